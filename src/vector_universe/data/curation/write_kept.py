"""The last pass: each unit is read once more and its kept rows are written, by the thresholds alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from vector_universe.data.curation.match_shards import matched
from vector_universe.data.curation.queries import read_written
from vector_universe.data.curation.selection import charges
from vector_universe.data.curation.shards import Unit, read
from vector_universe.errors import UserError

QUERY = "query"  # the column that is added
GROUP_ROWS, GROUP_BYTES = 1 << 16, 1 << 26


def write_unit(unit: Unit, matches: Path, part: Path, done: Path, work: Path, list_file: Path) -> Path:
    """Write the kept rows of a unit with all their columns, and the query that each is charged to.

    Args:
        unit: what to read.
        matches: folder that the first pass left of it.
        part: Parquet file to write; none if no row is kept.
        done: file that is there afterwards: charged and kept pairs of each query in this unit.
        work: folder with `selection.npz`.
        list_file: the queries.
    """
    if done.exists():
        return done
    counts, thresholds, queries = _selection(work, (work / "selection.npz").stat().st_mtime_ns, list_file)
    facts = matched(matches)
    charged, kept = np.zeros(len(counts), np.int64), np.zeros(len(counts), np.int64)
    partial = part.with_name(f"{part.name}.partial-{os.getpid()}")
    with _Writer(partial) as writer:
        batches = _Rows(read(unit))
        for run, first in zip(facts.runs, facts.first_rows, strict=True):
            pairs = run.read()
            query = charges(pairs, counts, thresholds)
            query[run.left_out()] = -1
            chosen = np.flatnonzero(query >= 0)
            chosen = chosen[np.argsort(pairs.rows[chosen])]
            charged += np.bincount(query[chosen], minlength=len(counts))
            kept += np.bincount(pairs.take(chosen).queries, minlength=len(counts))
            for rows, numbers in batches.take(first + pairs.rows[chosen].astype(np.int64), query[chosen]):
                writer.write(rows, queries.take(pa.array(numbers)))
        if batches.finish() != facts.rows:
            raise UserError(f"{unit.path} has changed while it was curated: start again in a new folder")
    if partial.exists():
        os.replace(partial, part)
    with (temporary := done.with_name(f"{done.name}.partial-{os.getpid()}")).open("wb") as file:
        np.savez(file, charged=charged, kept=kept)
    os.replace(temporary, done)
    return done


class _Rows:
    """Rows picked from a stream by ascending numbers."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._batch: pa.RecordBatch | None = next(batches, None)
        self._first = 0

    def take(self, rows: np.ndarray, queries: np.ndarray) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """Batches of these rows, with their queries."""
        while len(rows) and self._batch is not None:
            here = int(np.searchsorted(rows, self._first + len(self._batch)))
            if here:
                yield self._batch.take(pa.array(rows[:here] - self._first)), queries[:here]
                rows, queries = rows[here:], queries[here:]
            if len(rows):
                self._next()

    def finish(self) -> int:
        """Read to the end; returns how many rows there were."""
        while self._batch is not None:
            self._next()
        return self._first

    def _next(self) -> None:
        self._first += len(self._batch or ())
        self._batch = next(self._batches, None)


class _Writer:
    """A Parquet file that is only there if a row is written; in groups of rows that are worth it."""

    def __init__(self, path: Path) -> None:
        self._path, self._size = path, 0
        self._file: Any = None
        self._waiting: list[pa.RecordBatch] = []

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        if self._file is not None:
            self._file.close()
        if kind is not None:
            self._path.unlink(missing_ok=True)

    def write(self, rows: pa.RecordBatch, queries: pa.Array) -> None:
        if QUERY in rows.schema.names:
            rows = rows.drop_columns([QUERY])
        self._waiting.append(rows.append_column(QUERY, queries))
        self._size += rows.nbytes
        if self._size >= GROUP_BYTES or sum(map(len, self._waiting)) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            if self._file is None:
                self._file = pa.parquet.ParquetWriter(self._path, table.schema, compression="zstd")
            self._file.write_table(table, row_group_size=GROUP_ROWS)
        self._waiting, self._size = [], 0


@lru_cache(maxsize=1)  # once a process, for all its units
def _selection(work: Path, written_ns: int, list_file: Path) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    with np.load(work / "counts.npz") as counts, np.load(work / "selection.npz") as selection:
        return counts["counts"], selection["thresholds"], pa.array(read_written(list_file), pa.string())
