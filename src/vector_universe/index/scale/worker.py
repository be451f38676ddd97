"""What runs on each worker of a large job: the model, loaded once, and the rows of one part after another."""

from __future__ import annotations

import json
from pathlib import Path

import daft

from vector_universe.data.example import Example
from vector_universe.data.images import FileSlice
from vector_universe.data.rows import to_example
from vector_universe.errors import UserError
from vector_universe.index.ingest.embed import Embedder
from vector_universe.index.scale.parts import Job, Part, from_bytes, part_name
from vector_universe.index.table.item_table import TABLE
from vector_universe.index.table.place import Place


class PartWriter:
    """Embeds parts, writes their rows beside the table, and leaves a note of each."""

    def __init__(self, job: Job) -> None:
        import torch

        from vector_universe.models import load_run_model

        torch.set_num_threads(job.threads)
        self.job = job
        self.place = Place(job.place)
        model = load_run_model(self.place.local_folder("model"))
        if model.fingerprint() != job.model_fingerprint:
            raise UserError(f"{job.place}/model is not the model that the universe was begun with")
        torch.nn.Module.to(model, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        self.embedder = Embedder(model, job.schema, job.source, job.vectors, job.columns, job.id_prefix)

    @daft.method(return_dtype=daft.DataType.string())
    def write(self, rows: bytes) -> str:
        """What `attempt` says, as Daft calls it."""
        return self.attempt(rows)

    def attempt(self, rows: bytes) -> str:
        """JSON of {"part": text of `Part`} or {"error": why there is none}: one bad part must not end the others."""
        examples = [to_example(row) for row in from_bytes(rows)]
        try:
            part = self._write(examples)
        except Exception as error:  # whatever it is, it is told to whoever started the job
            reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            return json.dumps({"error": reason, "tried": len(examples)})
        return json.dumps({"part": part.to_json(), "tried": len(examples)})

    def _write(self, examples: list[Example]) -> Part:
        import pyarrow as pa
        from lance.fragment import write_fragments

        _refuse_out_of_sight(examples)
        tables, skipped, embedded = [], [], 0
        for table, unread, count in self.embedder.rows(examples):
            tables.append(table)
            skipped += unread
            embedded += count
        rows = pa.concat_tables(tables)
        fragments = write_fragments(rows, f"{self.place}/{TABLE}.lance", mode="append", schema=self.job.schema,
                                    storage_options=self.place.storage_options) if len(rows) else []
        part = Part(tuple(rows["id"].to_pylist()), tuple(said.hex() for said in rows["said_digest"].to_pylist()),
                    tuple(skipped), embedded, tuple(fragment.to_json() for fragment in fragments))
        ids = [self.job.id_prefix + example.id for example in examples]
        self.job.folder.write(f"{part_name(ids)}.json", part.to_json())  # last, and whole: from now on the part counts
        return part


def _refuse_out_of_sight(examples: list[Example]) -> None:
    """A worker that sees none of the files would list every picture as missing."""
    files = [example.image.path if isinstance(example.image, FileSlice) else example.image for example in examples
             if not isinstance(example.image, bytes)]
    if files and not any(Path(file).exists() for file in files):
        raise UserError(f"none of {len(files):,} pictures is on this worker, such as {files[0]}: workers need the same "
                        "paths as the machine that starts the job")
