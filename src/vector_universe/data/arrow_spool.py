"""A table that is written row by row: in memory while it is small, in a file of the cache once it is not."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from vector_universe.data.rows import arrow_schema

if TYPE_CHECKING:
    import datasets

BATCH_ROWS = 1000
BATCH_BYTES = 4 * 1024 * 1024
IN_MEMORY = 64 * 1024 * 1024
ABANDONED_S = 24 * 3600


class ArrowSpool:
    """Collects rows of `arrow_schema`; use it in a `with` statement.

    Args:
        path: the file that is written once the rows take more than `IN_MEMORY` bytes.
        keep: leave the file for the next time, under this name; else it is gone with the table.
    """

    def __init__(self, path: Path, *, keep: bool) -> None:
        import pyarrow as pa
        self._path, self._keep = path, keep
        self._partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        self._schema = arrow_schema()
        self._rows: list[dict[str, Any]] = []
        self._row_bytes = 0
        self._batches: list[pa.RecordBatch] = []
        self._batch_bytes = 0
        self._writer: pa.RecordBatchStreamWriter | None = None

    @property
    def on_disk(self) -> bool:
        """Whether the rows so far outgrew memory."""
        return self._writer is not None

    def add(self, row: dict[str, Any]) -> None:
        """Take one more row."""
        self._rows.append(row)
        self._row_bytes += len(row["image"]["bytes"] or b"") + sum(map(len, row["texts"])) + len(row["metadata"] or "")
        if len(self._rows) >= BATCH_ROWS or self._row_bytes >= BATCH_BYTES:
            self._flush()

    def finish(self, fingerprint: str) -> datasets.Dataset:
        """The table; if it lies in a file, mapped into memory and read from there.

        Args:
            fingerprint: what `datasets` knows it by: another for other rows.
        """
        import pyarrow as pa
        self._flush()
        if self._writer is None:
            return as_dataset(pa.Table.from_batches(self._batches, self._schema), fingerprint)
        self._writer.close()
        if self._keep:
            os.replace(self._partial, self._path)
            return as_dataset(map_table(self._path), fingerprint)
        table = map_table(self._partial)
        if os.name != "nt":  # there a file in use cannot be removed
            self._partial.unlink()
        return as_dataset(table, fingerprint)

    def __enter__(self) -> ArrowSpool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if error is not None and self._writer is not None:
            self._writer.close()
            self._partial.unlink(missing_ok=True)

    def _flush(self) -> None:
        import pyarrow as pa
        if not self._rows:
            return
        batch = pa.RecordBatch.from_pylist(self._rows, self._schema)
        self._rows, self._row_bytes = [], 0
        if self._writer is not None:
            self._writer.write_batch(batch)
            return
        self._batches.append(batch)
        self._batch_bytes += batch.nbytes
        if self._batch_bytes > IN_MEMORY:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self._partial.parent)
            self._writer = pa.ipc.new_stream(str(self._partial), self._schema)
            for held in self._batches:
                self._writer.write_batch(held)
            self._batches = []


def _remove_abandoned(folder: Path) -> None:
    """Remove what runs that were killed left half written: nobody has written to it for a day."""
    for path in folder.glob("*.partial"):
        with suppress(OSError):  # another process was faster
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                path.unlink()


def map_table(path: Path) -> Any:
    """The table in a file written by a spool; only what is looked at is read."""
    import pyarrow as pa
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


def as_dataset(table: Any, fingerprint: str) -> datasets.Dataset:
    """An Arrow table as `datasets` holds one."""
    import datasets
    from datasets.table import InMemoryTable
    return datasets.Dataset(InMemoryTable(table), fingerprint=fingerprint)
