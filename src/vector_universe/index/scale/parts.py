"""Parts of a large job: rows that workers wrote beside the table, each with a note that a restart finds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vector_universe.data.skipped import SkippedRow
from vector_universe.index.table.generation import Vectors
from vector_universe.index.table.place import Place

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "parts"
PART_ROWS = 2048  # a multiple of what the embedder takes at once, so that batches are those of one machine


@dataclass(frozen=True)
class Job:
    """What every worker needs to know besides the rows of its part.

    Attributes:
        place: where the generation lies.
        model_fingerprint: of the model whose copy is there.
        vectors: what items are searched by.
        schema: of the table.
        source: the name of the data set.
        columns: of the table, by the name of the metadata.
        id_prefix: put before every id.
        threads: of one worker, for the model.
    """

    place: str
    model_fingerprint: str
    vectors: Vectors
    schema: pa.Schema
    source: str
    columns: Mapping[str, str]
    id_prefix: str
    threads: int

    @property
    def folder(self) -> Place:
        """Where the notes of its parts lie: those of other data or other columns lie elsewhere."""
        what = (self.source, self.id_prefix, self.vectors, sorted(self.columns.items()),
                [(field.name, str(field.type)) for field in self.schema])
        return Place(self.place) / FOLDER / hashlib.sha256(repr(what).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Part:
    """What a worker made of one part.

    Attributes:
        ids: of the items that it wrote, as in the table.
        said: the digest of what is said about each, in hex.
        skipped: what it could not read.
        embedded: how many pictures went through the model.
        fragments: Lance's description of the files that hold the rows.
    """

    ids: tuple[str, ...]
    said: tuple[str, ...]
    skipped: tuple[SkippedRow, ...]
    embedded: int
    fragments: tuple[dict[str, Any], ...]

    def tried(self, id_prefix: str) -> list[str]:
        """Ids of all items that it was given."""
        return [*self.ids, *(id_prefix + row.file for row in self.skipped)]

    def to_json(self) -> str:
        """One text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Part:
        """What `to_json` wrote."""
        found = json.loads(text)
        return cls(tuple(found["ids"]), tuple(found["said"]), tuple(SkippedRow(**row) for row in found["skipped"]),
                   found["embedded"], tuple(found["fragments"]))


def part_name(ids: Iterable[str]) -> str:
    """The name of a part's note, by the items that it was given: written twice, it is still one."""
    return hashlib.sha256("\n".join(ids).encode("utf-8", "surrogatepass")).hexdigest()[:24]


def left_over(folder: Place) -> list[Part]:
    """The parts that an earlier run finished; notes that cannot be read are passed over."""
    found = []
    for name in folder.names():
        if name.endswith(".json") and not name.startswith("."):
            try:
                found.append(Part.from_json(folder.read(name) or ""))
            except (KeyError, TypeError, ValueError):
                continue
    return found


def to_bytes(rows: pa.Table) -> bytes:
    """Rows of a data set, to be sent to a worker."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def from_bytes(content: bytes) -> Sequence[dict[str, Any]]:
    """The rows that were sent, as `data.rows.to_example` takes them."""
    import pyarrow as pa

    rows: Sequence[dict[str, Any]] = pa.ipc.open_stream(content).read_all().to_pylist()
    return rows
