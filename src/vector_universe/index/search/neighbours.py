"""Who is near a vector: all compared in memory, or, where there are too many, candidates of an index."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vector_universe.index.search import approximate
from vector_universe.index.search.combining import Combining
from vector_universe.index.search.exact import top_k, top_of
from vector_universe.index.search.unwanted import CollectionStatistics
from vector_universe.index.search.vector_scan import all_cosines, exact_nearest
from vector_universe.index.table.item_table import ItemTable
from vector_universe.index.table.rows import VectorColumn

if TYPE_CHECKING:
    from vector_universe.index.search.approximate import Effort
    from vector_universe.index.search.recall import MeasuredRecall

EXACT_UP_TO = 50_000  # vectors: so many are compared one by one in a few milliseconds
_FEW = 8  # one row in so many: products with fewer are taken by themselves, with more as part of all
_SCANNED = 20_000  # rows that are named: more of them are found in one pass over the column
_QUERIES = 32  # of one product
_SAMPLE = 20_000  # vectors for mean and covariance of a large table


class Neighbours:
    """The vectors of one column of a table, to be searched.

    Args:
        table: at one version.
        column: "image", "text" or "fused".
        measured: what the index of this column reaches; None searches exactly.
        held: up to so many vectors are held in memory and all compared, 50,000 by itself; queries of concurrent
            threads then share a product.
    """

    def __init__(self, table: ItemTable, column: VectorColumn, measured: MeasuredRecall | None,
                 held: int | None = None) -> None:
        self._table, self._column, self._measured = table, column, measured
        self.count = table.count(f"`{column}` IS NOT NULL")
        self.in_memory = self.count <= (EXACT_UP_TO if held is None else held)
        if self.in_memory:
            self._row_ids, half_ND = table.vectors(column)
            self._vectors_ND, self._lengths_N = _with_lengths(half_ND)
            self._cosines: Combining[NDArray[np.float32], NDArray[np.float32]] = Combining(self._products, _QUERIES)

    def nearest(self, query_D: NDArray[np.float32], k: int, where: str | None = None,
                among: NDArray[np.int64] | None = None, effort: Effort = "balanced",
                ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Row ids and cosines of the at most `k` nearest, best first, equal ones by row id.

        Args:
            query_D: (D,) unit.
            k: at least 1.
            where, among: as `resolved` returns them.
            effort: of the index; "exact" compares all.
        """
        if self.in_memory:
            places, scores = self._nearest_held(query_D, k, among)
            return self._row_ids[places], scores
        if among is not None and len(among) > _SCANNED:
            return exact_nearest(self._table.lance, self._column, query_D[None], k, where, among)[0]
        if among is not None:
            row_ids, half_ND = self._table.vectors(self._column, among.tolist())
            vectors_ND, lengths_N = _with_lengths(half_ND)
            found, scores = top_k(vectors_ND, query_D, k, lengths_N)
            return row_ids[found], scores
        lance = self._table.lance
        if self._measured is None:
            return exact_nearest(lance, self._column, query_D[None], k, where)[0]
        found_ids, scores = approximate.nearest(lance, self._column, query_D, k, where=where, effort=effort,
                                                measured=self._measured)
        return np.array(found_ids, np.int64), scores

    def resolved(self, where: str | None,
                 among: NDArray[np.int64] | None) -> tuple[str | None, NDArray[np.int64] | None, int]:
        """A filter and row ids that must both be passed, as what `nearest` takes; and how many items can be found.

        In memory, and where row ids are given, the filter is read once and becomes row ids of items with a vector;
        else it is left to the index.

        Args:
            where: a filter of `filters.to_sql`.
            among: row ids, ascending.
        """
        if where is None and among is None:
            return None, None, self.count
        passing = self.with_vector(where)
        if among is None and not self.in_memory:
            return passing, None, self._table.count(passing)
        if self.in_memory:
            found = self._row_ids if where is None else np.intersect1d(self._row_ids, self._table.row_ids(where), True)
        else:
            found = self._table.row_ids(passing)
        among = found if among is None else np.intersect1d(among, found, assume_unique=True)
        return None, among, len(among)

    def cosines(self, query_D: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Row ids, ascending, and cosines of all items that have a vector; float32, right to within 1e-5."""
        if self.in_memory:
            return self._row_ids, np.clip(self._cosines(query_D), -1, 1)
        return all_cosines(self._table.lance, self._column, query_D)

    def _nearest_held(self, query_D: NDArray[np.float32], k: int,
                      among: NDArray[np.int64] | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Places among the held vectors, and cosines."""
        if among is None:
            return top_of(self._cosines(query_D), self._vectors_ND, query_D, k)
        rows = np.searchsorted(self._row_ids, among[np.isin(among, self._row_ids, assume_unique=True)])
        if len(rows) * _FEW < self.count:
            found, scores = top_k(self._vectors_ND[rows], query_D, k, self._lengths_N[rows])
            return rows[found], scores
        return top_of(self._cosines(query_D), self._vectors_ND, query_D, k, rows)

    def _products(self, queries: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """The cosines (N,) of each query to all rows."""
        cosines_QN = np.stack(queries) @ self._vectors_ND.T
        cosines_QN /= self._lengths_N
        return list(cosines_QN)

    def with_vector(self, where: str | None) -> str:
        """A filter that also leaves out the items that have no vector in this column."""
        has_one = f"`{self._column}` IS NOT NULL"
        return has_one if where is None else f"({where}) AND {has_one}"

    @cached_property
    def statistics(self) -> CollectionStatistics:
        """Mean and covariance of the vectors, or of a sample of them."""
        return CollectionStatistics.of(self.sample(_SAMPLE))

    def vectors_of(self, row_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors (M, D) of those rows that have one, in their order."""
        stored_ND: NDArray[np.floating[Any]]
        if self.in_memory:
            found, stored_ND = self._row_ids, self._vectors_ND
        else:
            found, stored_ND = self._table.vectors(self._column, row_ids.tolist())
        return unit(stored_ND[np.searchsorted(found, row_ids[np.isin(row_ids, found)])])

    def sample(self, count: int, seed: int = 0) -> NDArray[np.float32]:
        """At most so many vectors, drawn by seed."""
        row_ids = self._row_ids if self.in_memory else self._table.row_ids(f"`{self._column}` IS NOT NULL")
        if len(row_ids) > count:
            row_ids = np.sort(np.random.default_rng(seed).choice(row_ids, count, replace=False))
        return self.vectors_of(row_ids)

    def recall(self, effort: Effort) -> float | None:
        """The recall that this effort reached when it was measured; None: it is exact."""
        if self.in_memory or self._measured is None or effort == "exact":
            return None
        reached = self._measured.efforts[effort]
        return reached.image if reached.text is None else min(reached.image, reached.text)


def _with_lengths(half_ND: NDArray[np.float16]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Stored vectors as they are, in float32, and their lengths, which rounding has moved off 1."""
    vectors_ND = half_ND.astype(np.float32)
    return vectors_ND, np.linalg.norm(vectors_ND, axis=1)


def unit(half_ND: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Stored vectors as unit rows of float32."""
    wide_ND = half_ND.astype(np.float32)
    wide_ND /= np.maximum(np.linalg.norm(wide_ND, axis=1, keepdims=True), 1e-12)
    return wide_ND
