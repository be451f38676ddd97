"""*Without*: what is wanted, ranked so that what is not wanted falls and nothing else rises."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORGIVEN = 0.5  # of how much an item is wanted: so much likeness to the unwanted comes with being like the wanted
_STD_FLOOR = 1e-6  # of cosines; in a collection of one picture nothing stands out
_AT_FIRST, _GROWTH = 64, 4
_ROWS = 8192  # scored at once: 8·D bytes each

Unwanted = Sequence[tuple[NDArray[np.floating[Any]], float]]
Nearest = Callable[[int], tuple[NDArray[np.int64], NDArray[np.floating[Any]]]]


@dataclass(frozen=True)
class CollectionStatistics:
    """Mean and covariance of a collection's vectors: with them the cosines to any query have a mean and a spread.

    Attributes:
        mean_D: (D,) float64.
        covariance_DD: (D, D) float64, 8·D² bytes.
    """

    mean_D: NDArray[np.float64]
    covariance_DD: NDArray[np.float64]

    @classmethod
    def of(cls, vectors_ND: NDArray[np.floating[Any]], most: int = 20_000) -> CollectionStatistics:
        """Of N unit rows; of more than `most` it takes that many, drawn by a fixed seed."""
        if len(vectors_ND) > most:
            vectors_ND = vectors_ND[np.sort(np.random.default_rng(0).choice(len(vectors_ND), most, replace=False))]
        wide_ND = vectors_ND.astype(np.float64)
        mean_D = wide_ND.mean(axis=0)
        wide_ND -= mean_D
        return cls(mean_D, wide_ND.T @ wide_ND / max(1, len(wide_ND)))

    def standardise(self, cosines_N: NDArray[np.float64], query_D: NDArray[np.float64]) -> NDArray[np.float64]:
        """How many standard deviations above the collection's mean these cosines to a query are."""
        spread = math.sqrt(max(0.0, float(query_D @ self.covariance_DD @ query_D)))
        standard_N: NDArray[np.float64] = (cosines_N - query_D @ self.mean_D) / max(spread, _STD_FLOOR)
        return standard_N


@dataclass(frozen=True)
class Ranked:
    """The best k items of a ranking with something unwanted, best first.

    Attributes:
        rows: as `nearest` names them.
        scores: of `rank_with_unwanted`, by which they are ordered.
        cosines: to the wanted alone.
        complete: whether no other item can be among them; false where `at_most` ended the search.
    """

    rows: list[int]
    scores: list[float]
    cosines: list[float]
    complete: bool


def rank_with_unwanted(vectors_ND: NDArray[np.floating[Any]], wanted_D: NDArray[np.floating[Any]], unwanted: Unwanted,
                       statistics: CollectionStatistics) -> NDArray[np.float64]:
    """Scores (N,) float64 of "the wanted without the unwanted", in standard deviations; higher is better.

        s = z_wanted − Σ_j weight_j · max(0, z_unwanted_j − ½ z_wanted)

    z are cosines in standard deviations above their mean over the collection: cosines themselves cannot be weighed
    against each other, as some queries are near to everything and a text is far from every picture. An item loses for
    being more like the unwanted than comes with being like the wanted: kittens are cats, and a cat is somewhat like a
    kitten, so that half of z_wanted is forgiven. It gains nothing for being unlike the unwanted. In subtraction,
    q − λ·n, it does, and the opposite of the unwanted comes up, whatever it shows; where it does not, because n is
    only projected out, what carries both words hardly falls. Excluding whatever exceeds a threshold loses wanted items
    with it, for good.

    Always s ≤ z_wanted, on which `top_with_unwanted` rests.

    Args:
        vectors_ND: N unit rows.
        wanted_D: a unit vector.
        unwanted: unit vectors with their weights > 0; 1 is the ordinary one.
        statistics: of the collection, whichever of its items are ranked.
    """
    return _scores(vectors_ND, wanted_D, unwanted, statistics)[0]


def top_with_unwanted(nearest: Nearest, count: int, k: int, wanted_D: NDArray[np.floating[Any]], unwanted: Unwanted,
                      statistics: CollectionStatistics, at_most: int | None = None) -> Ranked:
    """The `k` best of `rank_with_unwanted` over `count` items, equal scores by row, without scoring all of them.

    The items nearest to the wanted are taken, some, then more; all others have s ≤ z_wanted ≤ that of the last one
    taken, so that the best are known once the k-th of them exceeds it (the threshold algorithm: Fagin, Lotem and Naor
    2001, "Optimal aggregation algorithms for middleware").

    Args:
        nearest: nearest(m) gives the m items of highest cosine to the wanted, best first: rows (n,), vectors (n, D);
            fewer than m only where there are no more.
        count: how many items can be found at all.
        k: how many, at least 1.
        wanted_D, unwanted, statistics: as of `rank_with_unwanted`.
        at_most: take no more items than this, at least k, and say so in `complete`.
    """
    limit = count if at_most is None else min(count, at_most)
    taken = min(limit, max(_AT_FIRST, _GROWTH * k))
    while True:
        rows, vectors_nD = nearest(taken)
        scores, cosines, wanted = _scores(vectors_nD, wanted_D, unwanted, statistics)
        order = np.lexsort((rows, -scores))[:k]
        # Strictly above: an item not taken might tie with the k-th and come before it by its row.
        complete = len(rows) < taken or taken >= count or bool(len(order) == k and scores[order[-1]] > wanted.min())
        if complete or taken >= limit:
            return Ranked(rows[order].tolist(), scores[order].tolist(), cosines[order].tolist(), complete)
        taken = min(limit, _GROWTH * taken)


def _scores(vectors_ND: NDArray[np.floating[Any]], wanted_D: NDArray[np.floating[Any]], unwanted: Unwanted,
            statistics: CollectionStatistics) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The scores, the cosines to the wanted, and these standardised, each (N,)."""
    cosines = _cosines(vectors_ND, wanted_D)
    wanted = statistics.standardise(cosines, wanted_D.astype(np.float64))
    scores = wanted.copy()
    for vector_D, weight in unwanted:
        found = statistics.standardise(_cosines(vectors_ND, vector_D), vector_D.astype(np.float64))
        scores -= weight * np.maximum(0.0, found - FORGIVEN * wanted)
    return scores, cosines, wanted


def _cosines(vectors_ND: NDArray[np.floating[Any]], query_D: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(N,) in float64, row by row the same whatever the other rows (a matrix product may round equal rows apart)."""
    wide_D, cosines_N = query_D.astype(np.float64), np.empty(len(vectors_ND))
    for start in range(0, len(vectors_ND), _ROWS):
        part = slice(start, start + _ROWS)
        cosines_N[part] = (vectors_ND[part].astype(np.float64) * wide_D).sum(axis=1)
    return np.clip(cosines_N, -1.0, 1.0)
