"""From an embedded query to a page of rows: nearest, without what is unwanted, with words, each picture once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vector_universe.index.search.distinct import distinct
from vector_universe.index.search.hybrid import fuse_rankings
from vector_universe.index.search.neighbours import Neighbours
from vector_universe.index.search.query import EmbeddedQuery, Query
from vector_universe.index.search.unwanted import top_with_unwanted
from vector_universe.index.table.full_text import text_matches
from vector_universe.index.table.item_table import ItemTable, explained

_AT_FIRST, _GROWTH = 20, 4  # as many as recall is measured with
_FUSED_FROM = 200  # of each ranking at least, so that what both have in the middle can come to the top
_UNWANTED_AT_MOST = 20_000  # items taken from an index of millions before the best so far must do

Best = Callable[[int], tuple[NDArray[np.int64], NDArray[np.float64]]]  # the best m rows with their cosines


@dataclass(frozen=True)
class Page:
    """One page of a ranking.

    Attributes:
        row_ids: (n,) Lance's row ids, best first.
        scores: (n,) cosines to the wanted; with something unwanted or with words they need not fall.
        among: how many items could have been found.
        more: whether there is a next page.
    """

    row_ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    among: int
    more: bool


def rank(query: Query, embedded: EmbeddedQuery, neighbours: Neighbours, images: Neighbours, table: ItemTable,
         where: str | None, among: NDArray[np.int64] | None) -> Page:
    """The page of a query that is no listing.

    Args:
        query: has passed its `check`.
        embedded: its vectors.
        neighbours: searches the column that is compared.
        images: holds the vectors of pictures, by which copies are known.
        table: at the version of both.
        where: the filters of the query, in SQL.
        among: row ids, ascending, that may be found; None for all.
    """
    left, among, count = neighbours.resolved(where, among)

    def nearest(m: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return neighbours.nearest(embedded.wanted_D, m, left, among, query.effort)

    best = _best(query, embedded, neighbours, nearest, table, where, among, count)
    if query.hybrid or neighbours.recall(query.effort) is not None:
        best = _steady(best, count)
    itself = {row_id for id in query.items if (row_id := table.row_id(id)) is not None}
    wanted = query.offset + query.k + 1  # one more: is there a next page?
    taken = wanted + len(itself)
    while True:
        row_ids, scores = best(min(taken, count)) if count else (np.zeros(0, np.int64), np.zeros(0))
        places = np.array([place for place, row_id in enumerate(row_ids.tolist()) if row_id not in itself], np.int64)
        if query.distinct and len(places):
            places = places[_distinct(row_ids[places], images, table)]
        if len(places) >= wanted or taken >= count or len(row_ids) < min(taken, count):
            break
        taken *= 2
    shown = places[query.offset:query.offset + query.k]
    return Page(row_ids[shown], scores[shown], count, len(places) > query.offset + query.k)


def _steady(best: Best, count: int) -> Best:
    """The same ranking, of which a longer answer begins with the shorter one, so that pages join without gap or repeat.

    Of an index, or of two rankings fused, the best 80 need not begin with the best 20: here the best 20 come first,
    then those of the best 80 that are not among them, and so on.
    """
    def steady(m: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        row_ids, scores = np.zeros(0, np.int64), np.zeros(0)
        step = min(_AT_FIRST, count)
        while True:
            found, their_scores = best(step)
            new = ~np.isin(found, row_ids)
            row_ids = np.concatenate([row_ids, found[new]])
            scores = np.concatenate([scores, their_scores[new]])
            if len(row_ids) >= m or step >= count:
                return row_ids[:m], scores[:m]
            step = min(_GROWTH * step, count)

    return steady


def _best(query: Query, embedded: EmbeddedQuery, neighbours: Neighbours, nearest: Best, table: ItemTable,
          where: str | None, among: NDArray[np.int64] | None, count: int) -> Best:
    is_approximate = neighbours.recall(query.effort) is not None

    def without(m: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        def with_vectors(m: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            row_ids, _ = nearest(m)
            return row_ids, neighbours.vectors_of(row_ids)

        found = top_with_unwanted(with_vectors, count, m, embedded.wanted_D, embedded.unwanted, neighbours.statistics,
                                  at_most=max(_UNWANTED_AT_MOST, m) if is_approximate else None)
        return np.array(found.rows, np.int64), np.array(found.cosines, np.float64)

    by_vector = without if embedded.unwanted else nearest
    if not query.hybrid:
        return by_vector

    allowed = frozenset() if among is None else frozenset(among.tolist())

    def hybrid(m: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        reach = min(max(m, _FUSED_FROM), count)
        row_ids, scores = by_vector(reach)
        # burnt-in words are no filter of the table: all matches are taken, of which few may be left
        deep = reach if query.burnt_in is None else neighbours.count
        with explained(table.place):
            words = text_matches(table.lance, query.words, deep, neighbours.with_vector(where))
        if among is not None:
            words = [row_id for row_id in words if row_id in allowed][:reach]
        fused = [row_id for row_id, _ in fuse_rankings([row_ids.tolist(), words])][:m]
        cosines = dict(zip(row_ids.tolist(), scores.tolist(), strict=True))
        missing = np.array(sorted(row_id for row_id in fused if row_id not in cosines), np.int64)
        if len(missing):
            found = neighbours.vectors_of(missing).astype(np.float64) @ embedded.wanted_D.astype(np.float64)
            cosines |= dict(zip(missing.tolist(), found.tolist(), strict=True))
        return np.array(fused, np.int64), np.array([cosines[row_id] for row_id in fused], np.float64)

    return hybrid


def _distinct(row_ids: NDArray[np.int64], images: Neighbours, table: ItemTable) -> NDArray[np.int64]:
    """The places of those that show another picture than all before them."""
    rows = table.take(row_ids.tolist(), ["image_digest", "look"])
    shown = ((row["image_digest"], row["look"], vector_D)
             for row, vector_D in zip(rows, images.vectors_of(row_ids), strict=True))
    return np.fromiter(distinct(shown), np.int64)
