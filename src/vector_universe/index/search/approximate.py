"""Approximate nearest neighbours in a Lance table: an index proposes candidates, exact cosines rank them.

The index is IVF with RaBitQ codes: partitions around k-means centres, each vector kept as a few bits a dimension
(Gao and Long, "RaBitQ", SIGMOD 2024; with several bits, Gao et al., SIGMOD 2025). A query looks into the `nprobes`
partitions nearest to it and takes the `refine` · k rows of nearest code; their stored vectors are then scored in
float64, so that a score, and the order of two hits, never depend on the index or the effort.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from vector_universe.index.search.vector_scan import best_first, damage_named, exact_nearest, rows_of, unit, with_sums

if TYPE_CHECKING:
    from lancedb.table import Table

    from vector_universe.index.search.recall import MeasuredRecall
    from vector_universe.progress import StageProgress

Effort = Literal["fast", "balanced", "thorough", "exact"]

MEASURED_K = 20  # the k that settings are measured with; a larger k looks into more partitions
_BITS = 4  # a dimension. At 200,000 × 512, text queries: 1 bit reaches recall .90 at most, 4 bits .998 in the same time
_ROWS_PER_PARTITION = 2048
_PARTITIONS = 256  # at most: finding the centre of every row is most of the build, and Lance does it slowly on float16
_SAMPLES, _ROUNDS = 32, 8  # of k-means; Lance's 256 and 50 take over six minutes at 200,000 × 512 in float16
_EXACT_MATCHES = 2000  # a filter that keeps no more is answered exactly, in about 35 ms; the index takes 20 and more


@dataclass(frozen=True)
class Setting:
    """How far a search looks: partitions of the index, and candidates for each result."""

    nprobes: int
    refine: int


def build_vector_index(table: Table, column: str, progress: StageProgress | None = None) -> None:
    """Create or replace the index of one column of vectors, and wait until it is there.

    Args:
        table: an open table.
        column: its fixed-size list of float16.
        progress: called with ("indexing vectors", done, total).

    Raises:
        UserError: the table is damaged, or its vectors cannot be indexed.
    """
    from lancedb.index import IvfRq

    if progress is not None:
        progress("indexing vectors", 0, 1)
    config = IvfRq(distance_type="cosine", num_partitions=partitions_of(table), num_bits=_BITS,
                   sample_rate=_SAMPLES, max_iterations=_ROUNDS)
    with damage_named(f"the vectors in the column {column!r}"):
        table.create_index(column, config=config, name=index_name(column), replace=True)
        table.wait_for_index([index_name(column)], timeout=timedelta(hours=1))
    if progress is not None:
        progress("indexing vectors", 1, 1)


def nearest(table: Table, column: str, query_D: NDArray[np.floating], k: int, *, where: str | None = None,
            effort: Effort = "balanced",
            measured: MeasuredRecall) -> tuple[list[int], NDArray[np.float64]]:
    """The `k` rows nearest to a query by cosine.

    A filter is applied before the search, so that it never starves: one that keeps few rows is answered exactly; for
    one that keeps many, more partitions are looked into the fewer it keeps, and all where they hold too few. Rows that
    came after the index was built are found too.

    Args:
        table: an open table.
        column: its fixed-size list of float16.
        query_D: (D,), of any length but zero.
        k: at least 1; fewer are returned where fewer rows match.
        where: only rows for which this SQL is true; build it from typed parts.
        effort: how hard to look; "exact" reads every vector.
        measured: what the settings of each effort are.

    Returns:
        Row ids and float64 cosines in [-1, 1], best first, equal scores by row id.

    Raises:
        UserError: the table or its index is damaged, or `where` is no filter of its columns.
    """
    with damage_named("the table"):
        rows = table.count_rows()
        matches = rows if where is None else table.count_rows(where)
    if matches == 0:
        return [], np.empty(0)
    few = where is not None and matches <= _EXACT_MATCHES
    setting = None if effort == "exact" or few else _widened(measured.setting(effort), k, rows, matches)
    if setting is not None and k * setting.refine < matches:
        ids, scores = candidates(table, column, query_D, k, setting, where)
        if len(ids) == k:
            return ids.tolist(), scores
    ids, scores = exact_nearest(table, column, query_D[None], min(k, matches), where)[0]
    return ids.tolist(), scores


def candidates(table: Table, column: str, query_D: NDArray[np.floating], k: int, setting: Setting,
               where: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best `k` of what the index proposes at one setting; returns and raises as `nearest`, with an array of ids.

    Fewer than `k` only where no more rows pass the filter.
    """
    from lancedb.query import LanceVectorQueryBuilder

    search = table.search(np.asarray(query_D, np.float32), vector_column_name=column, query_type="vector")
    assert isinstance(search, LanceVectorQueryBuilder)
    query = search.distance_type("cosine").minimum_nprobes(setting.nprobes).maximum_nprobes(0)  # 0: all if need be
    query = query.limit(max(k, MEASURED_K) * setting.refine)
    query = query.select([*with_sums(table, column), "_distance"]).with_row_id(True)
    if where is not None:
        query = query.where(where, prefilter=True)
    with damage_named(f"the index of the column {column!r}"):
        found = query.to_arrow()
    return best_first(*rows_of(found, column), unit(query_D), k)


def partitions_of(table: Table) -> int:
    """How many partitions the index of a table of this size has."""
    return max(1, min(_PARTITIONS, math.ceil(table.count_rows() / _ROWS_PER_PARTITION)))


def index_name(column: str) -> str:
    """What the index of a column of vectors is called."""
    return f"{column}_idx"


def _widened(setting: Setting, k: int, rows: int, matches: int) -> Setting:
    """More partitions where each holds fewer of the rows wanted: for a larger k, and behind a filter."""
    factor = math.ceil(max(1.0, k / MEASURED_K) * math.sqrt(rows / matches))
    return Setting(setting.nprobes * factor, setting.refine)
