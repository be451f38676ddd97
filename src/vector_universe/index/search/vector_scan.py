"""A column of stored vectors, read in a stream: the exact neighbours of queries, and the vectors of given rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vector_universe.errors import UserError
from vector_universe.index.table.item_table import is_panic
from vector_universe.index.table.rows import sum_of, vector_sums

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.table import Table

_ROWS = 8192  # of a batch: with 512 dimensions, 16 MB in float32
_ROUNDING = 1e-5  # float32 cosines err by less; rows that close to the cut are scored again


def exact_nearest(table: Table, column: str, queries_QD: NDArray[np.floating], k: int,
                  where: str | None = None,
                  among: NDArray[np.int64] | None = None) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """For each query the `k` rows of highest cosine, by one pass over the column in O(Q·k) memory.

    The stored sums are not compared: that would take longer than the pass itself.

    Args:
        table: an open table.
        column: its fixed-size list of float16 or float32; null vectors are passed over.
        queries_QD: (Q, D), of any length but zero.
        k: at least 1; fewer are returned where fewer rows have a vector.
        where: only rows for which this SQL is true.
        among: only these row ids, ascending.

    Returns:
        For each query the row ids and float64 cosines in [-1, 1], best first, equal scores by row id.

    Raises:
        UserError: the table is damaged, or `where` is no filter of its columns.
    """
    bests = [_Best(query_D, k) for query_D in unit(queries_QD)]
    units_DQ = unit(queries_QD).astype(np.float32).T
    with damage_named(f"the vectors in the column {column!r}"):
        for row_ids_B, vectors_BD in _scan(table, column, where):
            if among is not None:
                wanted_B = np.isin(row_ids_B, among, assume_unique=True)
                row_ids_B, vectors_BD = row_ids_B[wanted_B], vectors_BD[wanted_B]
            rough_BQ = vectors_BD @ units_DQ / np.linalg.norm(vectors_BD, axis=1, keepdims=True)
            for best, rough_B in zip(bests, np.ascontiguousarray(rough_BQ.T), strict=True):
                best.add(row_ids_B, vectors_BD, rough_B)
    return [(best.row_ids, best.scores) for best in bests]


def all_cosines(table: Table, column: str,
                query_D: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Row ids, ascending, and float32 cosines of all rows that have a vector, by one pass over the column.

    Raises:
        UserError: the table is damaged.
    """
    unit_D = unit(query_D).astype(np.float32)
    row_ids, found = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    with damage_named(f"the vectors in the column {column!r}"):
        for row_ids_B, vectors_BD in _scan(table, column, None):
            row_ids.append(row_ids_B)
            found.append(vectors_BD @ unit_D / np.linalg.norm(vectors_BD, axis=1))
    row_ids_N, found_N = np.concatenate(row_ids), np.concatenate(found)
    order_N = np.argsort(row_ids_N)
    return row_ids_N[order_N], np.clip(found_N[order_N], -1, 1)


def best_first(row_ids_N: NDArray[np.int64], vectors_ND: NDArray[np.floating], query_D: NDArray[np.float64],
               k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best `k` of some rows: their ids and cosines to a unit query, equal scores by row id."""
    scores_N = cosines(vectors_ND, query_D)
    order = np.lexsort((row_ids_N, -scores_N))[:k]
    return row_ids_N[order], scores_N[order]


def cosines(vectors_ND: NDArray[np.floating], query_D: NDArray[np.float64]) -> NDArray[np.float64]:
    """Float64 cosines (N,) to a unit query; sums run along each row, so that none depends on the rows beside it."""
    wide_ND = vectors_ND.astype(np.float64)
    scores_N: NDArray[np.float64] = (wide_ND * query_D).sum(axis=1) / np.sqrt((wide_ND * wide_ND).sum(axis=1))
    return np.clip(scores_N, -1.0, 1.0)


def vectors_of(table: Table, column: str, row_ids: Sequence[int]) -> NDArray[np.float32]:
    """The stored vectors (n, D) float32 of rows, in the order asked for.

    Raises:
        UserError: the table is damaged, a vector is not what was written, or one of the rows is gone or has none.
    """
    wanted = np.asarray(row_ids, dtype=np.int64)
    with damage_named(f"the vectors in the column {column!r}"):
        found = table.take_row_ids(np.unique(wanted).tolist()).select(with_sums(table, column)).with_row_id().to_arrow()
    ids, vectors_ND = rows_of(found, column)
    order = np.argsort(ids)
    places = np.searchsorted(ids, wanted, sorter=order)
    if len(ids) != len(np.unique(wanted)):
        raise UserError(f"{len(np.unique(wanted)) - len(ids)} of the rows asked for have no vector in {column!r} "
                        "or were removed: search again")
    return vectors_ND[order[places]]


def rows_of(rows: pa.Table | pa.RecordBatch, column: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Row ids (n,) and vectors (n, D) float32 of read rows, without those whose vector is null.

    Raises:
        UserError: a vector is not what was written, by its sum, where the sums were read too.
    """
    import pyarrow as pa

    names = [name for name in ("_rowid", column, sum_of(column)) if name in rows.schema.names]
    table = pa.table({name: rows.column(name) for name in names})
    table = table.filter(table.column(column).is_valid()).combine_chunks()
    width = table.schema.field(column).type.list_size
    vectors = table.column(column).combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    if sum_of(column) in names and not np.array_equal(vector_sums(vectors), table.column(sum_of(column)).to_numpy()):
        raise UserError(f"the table is damaged: vectors of the column {column!r} are not what was written; make it "
                        "again with `vu index … --overwrite`")
    ids: NDArray[np.int64] = table.column("_rowid").to_numpy().astype(np.int64)
    return ids, vectors.astype(np.float32)


def with_sums(table: Table, column: str) -> list[str]:
    """The columns to read for vectors that `rows_of` is to verify: their own, and that of their sums if it is there."""
    names = table.schema.names
    return [name for name in (column, sum_of(column)) if name in names]


def unit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """The same directions with length 1, in float64."""
    wide = np.asarray(rows, dtype=np.float64)
    lengthed: NDArray[np.float64] = wide / np.linalg.norm(wide, axis=-1, keepdims=True)
    return lengthed


@contextmanager
def damage_named(what: str) -> Iterator[None]:
    """Turns what Lance raises on files that it cannot read into one line that says what is damaged."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, OSError | RuntimeError | ValueError) and not is_panic(error):
            raise
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"{what} cannot be read: index it again with `vu index … --overwrite` ({first})") from error


class _Best:
    """The best rows so far of one query."""

    def __init__(self, query_D: NDArray[np.float64], k: int) -> None:
        self._query_D, self._k = query_D, k
        self.row_ids = np.empty(0, np.int64)
        self.scores = np.empty(0)

    def add(self, row_ids_B: NDArray[np.int64], vectors_BD: NDArray[np.float32], rough_B: NDArray[np.float32]) -> None:
        cut = self.scores[-1] if len(self.scores) == self._k else -2.0
        if len(rough_B) > self._k:
            cut = max(cut, np.partition(rough_B, -self._k)[-self._k])
        near = np.flatnonzero(rough_B >= cut - _ROUNDING)
        if len(near) == 0:
            return
        ids = np.concatenate([self.row_ids, row_ids_B[near]])
        scores = np.concatenate([self.scores, cosines(vectors_BD[near], self._query_D)])
        order = np.lexsort((ids, -scores))[:self._k]
        self.row_ids, self.scores = ids[order], scores[order]


def _scan(table: Table, column: str, where: str | None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    query = table.search().select([column]).with_row_id(True)
    if where is not None:
        query = query.where(where)
    for batch in query.to_batches(batch_size=_ROWS):
        ids, vectors_BD = rows_of(batch, column)
        if len(ids):
            yield ids, vectors_BD
