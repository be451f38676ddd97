"""Embed a large source beyond one process: the same embedder on Daft, natively or on a Ray cluster, and one commit.

Workers are sent the rows of the data set, read the pictures, and write the rows of the table beside it; only the last
step, one commit by whoever started the job, makes them part of the table.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from vector_universe.data.read_ahead import cores
from vector_universe.data.skipped import SkippedRow
from vector_universe.errors import UserError
from vector_universe.index.ingest.embed import said_digest
from vector_universe.index.scale.parts import PART_ROWS, Job, Part, left_over, to_bytes
from vector_universe.index.table.generation import Generation
from vector_universe.index.table.item_table import ItemTable
from vector_universe.index.table.place import Place
from vector_universe.progress import StageProgress, silent

if TYPE_CHECKING:
    from vector_universe.data import ImageTextDataset

Engine = Literal["daft", "ray"]
_THREADS = 4  # of a worker on a CPU: more of them gain little in one forward pass
_WAVE_BYTES = 2**30  # of rows on their way to workers; more only where pictures lie inside the table


@dataclass
class Scaled:
    """What a large job did, in items; `embedded` counts pictures that went through the model in this run."""

    written: int = 0
    embedded: int = 0
    skipped: list[SkippedRow] = field(default_factory=list)


def embed_at_scale(place: Place, generation: Generation, table: ItemTable, dataset: ImageTextDataset,
                   positions: Sequence[int], *, source: str, columns: Mapping[str, str], id_prefix: str = "",
                   engine: Engine = "daft", workers: int | None = None,
                   still_in_use: Callable[[], None] = lambda: None, progress: StageProgress | None = None) -> Scaled:
    """Add examples that a table does not have yet, embedded by many processes, in one commit.

    Every 2,048 examples are a part. A part that is finished is kept until the commit: the same call after a kill
    embeds what is missing alone. A call that finds its work done by another one meanwhile leaves its own out.

    Args:
        place: of the generation; on a cluster one that all machines see, such as s3://.
        generation: with a copy of the model, from which workers load it.
        table: of the generation, with all its columns.
        dataset: files that it names must have the same path on every machine; pictures in the data set itself are sent.
        positions: of the new examples in it.
        source: name of the data set in the table.
        columns: of the table, by the name of the metadata.
        id_prefix: put before every id.
        engine: "daft" for processes of this machine, "ray" for the cluster of RAY_ADDRESS, or a Ray on this machine.
        workers: processes; unset: one a GPU, or one for 4 cores.
        still_in_use: called before the commit; raises where the table is no longer the one in use.
        progress: called with (stage, done, total).

    Raises:
        UserError: an extra is missing, Ray cannot be reached, the table cannot be written, or a part has failed; the
            other parts are committed.
    """
    _start(engine)
    progress = progress or silent
    workers, threads, gpus = _workers(engine, workers)
    job = Job(place.uri, generation.model_fingerprint, generation.vectors, table.schema, source, dict(columns),
              id_prefix, threads)
    scaled = Scaled()
    failed: list[str] = []
    todo = list(positions)
    while todo and not failed:
        parts = _usable(place, job, dataset, todo)
        done = {id for part in parts for id in part.tried(id_prefix)}
        for outcome in _run(job, dataset, _without(dataset, todo, done, id_prefix), workers, gpus, progress,
                            (len(done), len(todo))):
            if isinstance(outcome, Part):
                parts.append(outcome)
                scaled.embedded += outcome.embedded
            else:
                failed.append(outcome)
        still_in_use()
        todo = _commit(place, dataset, todo, parts, id_prefix, scaled)
    place.remove(f"parts/{job.folder.uri.rsplit('/', 1)[1]}")
    table.refresh()
    if failed:
        raise UserError(f"{len(failed)} of {-(-len(positions) // PART_ROWS)} parts of {PART_ROWS:,} pictures failed "
                        f"(the first: {failed[0]}); {scaled.written:,} pictures of the others are indexed: run the "
                        "same command again for the rest")
    return scaled


def _start(engine: Engine) -> None:
    """Bring up the engine, once a process."""
    try:
        import daft
        import lance  # noqa: F401
        if engine == "ray":
            import ray
    except ImportError as error:
        raise UserError(f"--engine {engine} needs {error.name}: pip install \"vector-universe[scale]\"") from None
    if engine == "ray" and not ray.is_initialized():
        try:
            with warnings.catch_warnings():  # Ray forks to start programs of its own, which use no Lance
                warnings.filterwarnings("ignore", message=".*fork")
                ray.init(log_to_driver=False, include_dashboard=None if "RAY_ADDRESS" in os.environ else False,
                         logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(f"Ray cannot be reached (RAY_ADDRESS={os.environ.get('RAY_ADDRESS', '')}): "
                            f"{str(error).splitlines()[0]}") from error
    runner = "ray" if engine == "ray" else "native"
    if daft.get_or_infer_runner_type() != runner:
        try:
            daft.set_runner_ray() if runner == "ray" else daft.set_runner_native()
        except Exception as error:  # Daft takes one for the life of a process
            raise UserError(f"--engine {engine}: this process has begun with Daft's other engine, start a new one"
                            ) from error


def _workers(engine: Engine, given: int | None) -> tuple[int, int, int]:
    """How many workers, threads of each, and GPUs of each."""
    if given is not None and given < 1:
        raise UserError(f"workers is {given}: give at least 1")
    if engine == "ray":
        import ray

        found = ray.cluster_resources()
        here, gpus = int(found.get("CPU", 1)), int(found.get("GPU", 0))
    else:
        import torch

        here, gpus = cores(), torch.cuda.device_count()
    workers = given or gpus or -(-here // _THREADS)
    return workers, max(1, here // workers), 1 if gpus >= workers else 0


def _usable(place: Place, job: Job, dataset: ImageTextDataset, todo: Sequence[int]) -> list[Part]:
    """Parts of a run that was stopped, of which every item is still to be written, and said to be the same."""
    from vector_universe.index.scale.append import is_whole

    found = left_over(job.folder)
    if not found:
        return []
    positions = dict(zip(_ids(dataset, todo, job.id_prefix), todo, strict=True))
    usable: list[Part] = []
    taken: set[str] = set()
    for part in found:
        tried = part.tried(job.id_prefix)
        if all(id in positions and id not in taken for id in tried) and is_whole(place, part) \
                and all(said_digest(dataset[positions[id]]).hex() == said
                        for id, said in zip(part.ids, part.said, strict=True)):
            usable.append(part)
            taken.update(tried)
    return usable


def _run(job: Job, dataset: ImageTextDataset, todo: Sequence[int], workers: int, gpus: int, progress: StageProgress,
         before: tuple[int, int]) -> Iterator[Part | str]:
    """What became of each part, as it comes: the part, or why there is none."""
    done, total = before
    try:
        for text in _outcomes(job, _waves(dataset, todo), workers, gpus):
            outcome = json.loads(text)
            done += outcome["tried"]
            progress("embedding images", done, total)
            yield Part.from_json(outcome["part"]) if "part" in outcome else str(outcome["error"])
    except Exception as error:  # a worker that was killed, or could not begin
        yield _last_line(error)


def _outcomes(job: Job, waves: Iterator[list[bytes]], workers: int, gpus: int) -> Iterator[str]:
    """What `PartWriter.write` says of each part, from workers of Daft."""
    import daft

    from vector_universe.index.scale.worker import PartWriter

    writer = daft.cls(PartWriter, use_process=True, max_concurrency=workers, gpus=gpus,
                      cpus=None if gpus else float(job.threads))(job)
    native = daft.get_or_infer_runner_type() == "native"
    for wave in waves:
        rows = daft.from_pydict({"rows": wave})
        rows = rows.into_batches(1) if native else rows.into_partitions(len(wave))
        for row in rows.select(writer.write(rows["rows"]).alias("outcome")).iter_rows():
            yield row["outcome"]


def _waves(dataset: ImageTextDataset, todo: Sequence[int]) -> Iterator[list[bytes]]:
    """The rows of parts, a gigabyte at a time."""
    wave: list[bytes] = []
    for start in range(0, len(todo), PART_ROWS):
        part = dataset.table.select(todo[start:start + PART_ROWS]).with_format("arrow")[:]
        wave.append(to_bytes(part))
        if sum(map(len, wave)) >= _WAVE_BYTES:
            yield wave
            wave = []
    if wave:
        yield wave


def _commit(place: Place, dataset: ImageTextDataset, todo: Sequence[int], parts: Sequence[Part], id_prefix: str,
            scaled: Scaled) -> list[int]:
    """Put the parts into the table; the positions still to be done, because others wrote into the same parts."""
    from vector_universe.index.scale.append import append

    order = {id: place for place, id in enumerate(_ids(dataset, todo, id_prefix))}
    parts = sorted(parts, key=lambda part: min(order[id] for id in part.tried(id_prefix)))
    taken, there = append(place, parts)
    scaled.written += sum(len(part.ids) for part in taken)
    scaled.skipped += [row for part in taken for row in part.skipped]
    left_out = {id for part in parts if part not in taken for id in part.tried(id_prefix)} - there
    return [position for id, position in zip(order, todo, strict=True) if id in left_out]


def _without(dataset: ImageTextDataset, todo: Sequence[int], done: set[str], id_prefix: str) -> Sequence[int]:
    if not done:
        return todo
    return [position for id, position in zip(_ids(dataset, todo, id_prefix), todo, strict=True) if id not in done]


def _ids(dataset: ImageTextDataset, positions: Sequence[int], id_prefix: str) -> list[str]:
    return [id_prefix + id for id in dataset.table.select_columns("id").select(positions)["id"]]


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"a worker stopped: {lines[-1][:300] if lines else type(error).__name__}"
