"""Two universes of the same items by different models: a base model and the one adapted from it, say."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from vector_universe.errors import UserError
from vector_universe.index import Matches, Query
from vector_universe.index.map.knn import exactly_nearest_rows
from vector_universe.serve.served.align import Alignment
from vector_universe.serve.served.snapshot import NO_TOPIC, Served, Snapshot

if TYPE_CHECKING:
    from vector_universe.index.map.topics import Topics

Side = Literal["this", "other"]

_SAMPLE = 1_000  # items whose neighbours are compared
_AMONG = 50_000  # items among which their neighbours are looked for
_NEAREST = 10


@dataclass(frozen=True, eq=False, kw_only=True)
class OtherSide(Snapshot):
    """Another universe, in the rows, ids and labels of the first; of M items there, those that the first has.

    Places are laid over those of the first, NaN where an item is missing; topics are its own.

    Attributes:
        here: the first universe.
        there: the other one, in its own rows.
        row_there_N: the row there of each row here, −1 where it is missing.
        row_here_M: the row here of each row there, −1 where it is missing.
        alignment: how its places were laid over the first's.
    """

    here: Snapshot
    there: Snapshot
    row_there_N: NDArray[np.int64]
    row_here_M: NDArray[np.int64]
    alignment: Alignment

    def search(self, query: Query) -> Matches:
        """Matches in the other universe of items that the first has too, said in the first one's words.

        Filters, region and burnt-in words are those of the first, so that both search among the same items; a listing
        is the same in both.
        """
        if query.is_listing:
            return self.here.search(query)
        for part in (*query.like, *query.without):
            if part.item is not None and self.row(part.item) is None:
                raise UserError(f"no item {part.item[:80]!r} in the universe {self.here.universe.name!r}")
        bare = replace(query, filters=(), region=(), burnt_in=None)
        found = self.there.universe.search(bare, among=self._among_there(query))
        row_ids = self.row_ids_N[self.row_here_M[self.there.rows_of(found.row_ids)]]
        said = self.here.universe.table.take(row_ids.tolist(), ["title", "labels"])
        hits = tuple(replace(hit, title=item["title"], labels=item["labels"] or [])
                     for hit, item in zip(found, said, strict=True))
        return replace(found, hits=hits, row_ids=row_ids)

    def scores(self, query: Query) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Row ids here, and the cosines there."""
        row_ids, cosines_M = self.there.universe.scores(query)
        row_here_M = self.row_here_M[self.there.rows_of(row_ids)]
        return self.row_ids_N[row_here_M[row_here_M >= 0]], cosines_M[row_here_M >= 0]

    def compared(self, id: str, k: int) -> tuple[Matches, Matches]:
        """The `k` nearest items of an item here and there, among those that both have.

        Raises:
            UserError: one of them lacks the item.
        """
        query = Query.of(item=id, k=k)
        among = None if self.shared == len(self.here) else self.row_ids_N[self.row_there_N >= 0]
        return self.here.universe.search(query, among=among), self.search(query)

    @property
    def shared(self) -> int:
        """How many items both have."""
        return int((self.row_there_N >= 0).sum())

    @cached_property
    def kept(self) -> float:
        """How alike the models see the items: the share of an item's 10 nearest that stay, 0 to 1.

        The mean over at most 1,000 items drawn by seed, among all that both have or 50,000 of them drawn.
        """
        rows = self.row_here_M[self.there.has_vector_N & (self.row_here_M >= 0)]
        rows = np.sort(rows[self.here.has_vector_N[rows]])
        random = np.random.default_rng(0)
        if len(rows) > _AMONG:
            rows = np.sort(random.choice(rows, _AMONG, replace=False))
        asking = np.sort(random.choice(len(rows), min(_SAMPLE, len(rows)), replace=False))
        here, there = (_nearest_places(snapshot, at, asking) for snapshot, at in (
            (self.here, rows), (self.there, self.row_there_N[rows])))
        if not here.shape[1]:
            return 1.0
        return float(np.mean([len(np.intersect1d(one, two)) / len(one)
                              for one, two in zip(here, there, strict=True)]))

    @cached_property
    def topics(self) -> Topics | None:
        """Its own, where they lie on the aligned map."""
        found = self.there.topics
        return None if found is None else replace(found, positions_K2=self.alignment(found.positions_K2),
                                                  coarse_positions_C2=self.alignment(found.coarse_positions_C2))

    def _among_there(self, query: Query) -> NDArray[np.int64] | None:
        """Row ids there, ascending, of the items to search among; None: all of them."""
        filtered = bool(query.filters or query.region or query.burnt_in is not None)
        if not filtered and self.shared == len(self.there):
            return None
        rows = self.here.rows_of(self.here.universe.kept(query)) if filtered else slice(None)
        there = self.row_there_N[rows]
        return np.sort(self.there.row_ids_N[there[there >= 0]])


def compare(here: Snapshot, there: Snapshot) -> Snapshot:
    """The first universe with the other one beside it, as `other`; its version changes with either.

    Raises:
        UserError: they have no item in common.
    """
    row_there_N = pc.fill_null(pc.index_in(here.ids, value_set=there.ids), -1).to_numpy().astype(np.int64)
    rows = np.flatnonzero(row_there_N >= 0)
    if not len(rows):
        raise UserError(f"{there.universe.place} has no item of {here.universe.place}: compare universes of the same "
                        "items, which go by the same ids")
    row_here_M = np.full(len(there), -1, np.int64)
    row_here_M[row_there_N[rows]] = rows
    places_S2 = np.stack([there.x_N, there.y_N], axis=1)[row_there_N[rows]]
    alignment = Alignment.of(places_S2, np.stack([here.x_N, here.y_N], axis=1)[rows])
    places_N2 = np.full((len(here), 2), np.nan, np.float32)
    places_N2[rows] = alignment(places_S2)
    topic_N = np.full(len(here), NO_TOPIC, np.uint16)
    topic_N[rows] = there.topic_N[row_there_N[rows]]
    first = {field.name: getattr(here, field.name) for field in fields(Snapshot)}
    version = f"{here.version}+{there.version}"
    other = OtherSide(**(first | {
        "universe": there.universe, "version": version, "x_N": places_N2[:, 0].copy(), "y_N": places_N2[:, 1].copy(),
        "topic_N": topic_N, "other": None}), here=here, there=there, row_there_N=row_there_N, row_here_M=row_here_M,
        alignment=alignment)
    return replace(here, version=version, other=other)


def side_of(current: Snapshot, side: Side) -> Snapshot:
    """One of two compared universes by itself; without a comparison there is "this" alone."""
    if current.other is None:
        return current
    return current.other.here if side == "this" else current.other.there


def put(served: Served, renewed: Snapshot, side: Side) -> None:
    """Replace one of the universes that are served; the other stays as it is.

    Raises:
        UserError: the two have no item in common any more; what was served is served on.
    """
    with served.lock:
        other = served.current.other
        if other is None:
            served.current = renewed
        else:
            served.current = compare(renewed, other.there) if side == "this" else compare(other.here, renewed)


def _nearest_places(snapshot: Snapshot, rows: NDArray[np.int64], asking: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each asking place in `rows`, the places of its 10 nearest (A, ≤ 10), without itself; equal ones by place."""
    units_MD = snapshot.universe.stored_vectors(snapshot.row_ids_N[rows])
    _, found = exactly_nearest_rows(units_MD[asking], units_MD, _NEAREST + 1)
    kept = min(_NEAREST, len(rows) - 1)
    return np.stack([one[one != place][:kept] for one, place in zip(found, asking, strict=True)])
