"""The Lance table behind a universe: its columns, how they are written, how they are read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vector_universe.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.table import Table

TABLE = "items"
_ROWS_PER_BATCH = 1024
_SEARCHED_COLUMNS = ["id", "title", "labels", "split", "ocr", "vector", "x", "y"]


@dataclass(frozen=True)
class Item:
    """What is said about one indexed image; its vector and position are kept in arrays beside it."""

    id: str
    title: str
    texts: list[str]
    labels: list[str]
    split: str
    thumbnail: bytes
    ocr: str = ""


@dataclass(frozen=True)
class Columns:
    """All columns but the pictures, in row order.

    Attributes:
        vectors_ND: (N, D) float32, L2-normalised rows.
        positions_N2: (N, 2) float32 in [-1, 1].
        row_ids: (N,) Lance's own row addresses, by which a thumbnail is fetched.
    """

    ids: list[str]
    titles: list[str]
    labels: list[list[str]]
    splits: list[str]
    ocr: list[str]
    vectors_ND: NDArray[np.float32]
    positions_N2: NDArray[np.float32]
    row_ids: list[int]


class ItemTable:
    """The open table; reads only."""

    def __init__(self, table: Table) -> None:
        self._table = table

    @classmethod
    def open(cls, folder: Path) -> ItemTable:
        """Open the table in `folder`.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        import lancedb

        if not (folder / f"{TABLE}.lance").is_dir():
            raise UserError(f"{folder} is incomplete: its table {TABLE}.lance is missing; build it again (--overwrite)")
        try:
            return cls(lancedb.connect(folder).open_table(TABLE))
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"{folder}: the table {TABLE}.lance cannot be read; build it again (--overwrite): "
                            f"{_first_line(error)}") from error

    def read_columns(self) -> Columns:
        """Read every column but the pictures into memory (4·N·D bytes, mostly vectors).

        Raises:
            UserError: the table is damaged.
        """
        try:
            table = self._table.search().select(_SEARCHED_COLUMNS).with_row_id(True).to_arrow()
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"the table {TABLE}.lance is damaged; build the universe again (--overwrite): "
                            f"{_first_line(error)}") from error
        table = table.sort_by("_rowid")  # row addresses grow in the order of writing
        vectors = table["vector"].combine_chunks()
        dimension = table.schema.field("vector").type.list_size
        vectors_ND = vectors.flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
        return Columns(
            ids=table["id"].to_pylist(),
            titles=table["title"].to_pylist(),
            labels=table["labels"].to_pylist(),
            splits=table["split"].to_pylist(),
            ocr=table["ocr"].to_pylist(),
            vectors_ND=np.ascontiguousarray(vectors_ND, dtype=np.float32),
            positions_N2=np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1),
            row_ids=table["_rowid"].to_pylist(),
        )

    def thumbnail(self, row_id: int) -> bytes:
        """The WebP picture at a row address of `Columns.row_ids`; no filter text is involved."""
        rows = self._table.take_row_ids([row_id]).select(["thumbnail"]).to_arrow()
        picture: bytes = rows["thumbnail"][0].as_py()
        return picture


def write_items(folder: Path, items: Sequence[Item], vectors_ND: NDArray[np.float32],
                positions_N2: NDArray[np.float32]) -> None:
    """Write the table of a new universe into `folder`.

    Vectors stay float32: Lance compares float16 ones with errors near 1e-4, enough to swap close neighbours.

    Args:
        items: N items.
        vectors_ND: (N, D) float32, L2-normalised rows.
        positions_N2: (N, 2) float32 in [-1, 1].
    """
    import lancedb
    import pyarrow as pa

    schema = _schema(vectors_ND.shape[1])
    batches = _batches(schema, items, vectors_ND, positions_N2)
    lancedb.connect(folder).create_table(TABLE, data=pa.RecordBatchReader.from_batches(schema, batches))


def _schema(dimension: int) -> pa.Schema:
    import pyarrow as pa

    # Without a declared key, two concurrent merge_inserts of the same id would leave two rows.
    key = {"lance-schema:unenforced-primary-key": "true"}
    return pa.schema([
        pa.field("id", pa.string(), nullable=False, metadata=key),
        pa.field("title", pa.string()),
        pa.field("texts", pa.list_(pa.string())),
        pa.field("labels", pa.list_(pa.string())),
        pa.field("split", pa.string()),
        pa.field("thumbnail", pa.binary()),
        pa.field("ocr", pa.string()),
        pa.field("vector", pa.list_(pa.float32(), dimension)),
        pa.field("x", pa.float32()),
        pa.field("y", pa.float32()),
    ])


def _batches(schema: pa.Schema, items: Sequence[Item], vectors_ND: NDArray[np.float32],
             positions_N2: NDArray[np.float32]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for start in range(0, len(items), _ROWS_PER_BATCH):
        part = items[start:start + _ROWS_PER_BATCH]
        vectors = np.ascontiguousarray(vectors_ND[start:start + len(part)])
        positions = positions_N2[start:start + len(part)]
        yield pa.record_batch([
            pa.array([item.id for item in part], pa.string()),
            pa.array([item.title for item in part], pa.string()),
            pa.array([item.texts for item in part], pa.list_(pa.string())),
            pa.array([item.labels for item in part], pa.list_(pa.string())),
            pa.array([item.split for item in part], pa.string()),
            pa.array([item.thumbnail for item in part], pa.binary()),
            pa.array([item.ocr for item in part], pa.string()),
            pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1]),
            pa.array(np.ascontiguousarray(positions[:, 0]), pa.float32()),
            pa.array(np.ascontiguousarray(positions[:, 1]), pa.float32()),
        ], schema=schema)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
