"""Hubness: a few candidates that are near to everything, and many that nothing ever finds (Radovanović et al. 2010)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TILE = 1024  # queries compared at once


@dataclass(frozen=True, eq=False)
class Hubness:
    """How evenly Q queries share their k nearest out of N candidates.

    Attributes:
        counts_N: N_k, of how many queries each candidate is among the k nearest.
        skewness: of N_k, E(N_k − μ)³ / σ³: 0 for an even share, above 1 a few hubs take the places of the others; 0
            where all are equal.
        never: share of candidates that no query has among its k nearest.
        chance_skewness, chance_never: the same where every query draws its k at random.
        hub: place of the candidate with the highest count, which is `counts_N[hub]`; of several the first.
        k, queries: as given; k is at most N.
    """

    counts_N: np.ndarray
    skewness: float
    never: float
    chance_skewness: float
    chance_never: float
    hub: int
    k: int
    queries: int


def hubness(queries_QD: np.ndarray, candidates_ND: np.ndarray, k: int = 10) -> Hubness | None:
    """Count the k-occurrences of N candidates; None where every query has all of them, N ≤ k, or there is no query.

    Args:
        queries_QD: unit rows.
        candidates_ND: unit rows; of equal cosines the first are the nearer ones.
        k: how many neighbours count.
    """
    count, queries = len(candidates_ND), len(queries_QD)
    if not queries or count <= k:
        return None
    counts_N = np.zeros(count, np.int64)
    for start in range(0, queries, TILE):
        cosines_TN = queries_QD[start:start + TILE] @ candidates_ND.T
        counts_N += np.bincount(nearest(cosines_TN, k).ravel(), minlength=count)
    share = k / count  # drawn at random, N_k is binomial: Q trials of probability k / N
    spread = counts_N.std()
    return Hubness(
        counts_N=counts_N, skewness=float(np.mean((counts_N - counts_N.mean())**3) / spread**3) if spread > 0 else 0.0,
        never=float(np.mean(counts_N == 0)), chance_skewness=(1 - 2 * share) / (queries * share * (1 - share))**0.5,
        chance_never=(1 - share)**queries, hub=int(counts_N.argmax()), k=k, queries=queries)


def nearest(cosines_QN: np.ndarray, k: int) -> np.ndarray:
    """Places of the k highest of every row, best first, (Q, min(k, N)); of equal ones the first."""
    k = min(k, cosines_QN.shape[1])
    if cosines_QN.shape[1] <= 4 * k:
        return np.argsort(-cosines_QN, axis=1, kind="stable")[:, :k]
    edge_Q1 = -np.partition(-cosines_QN, k - 1, axis=1)[:, k - 1:k]
    places_QK = np.empty((len(cosines_QN), k), np.int64)
    for row, (cosines_N, edge) in enumerate(zip(cosines_QN, edge_Q1[:, 0], strict=True)):
        likely = np.flatnonzero(cosines_N >= edge)  # more than k where several tie at the edge
        places_QK[row] = likely[np.argsort(-cosines_N[likely], kind="stable")[:k]]
    return places_QK
