"""Exact nearest neighbours by cosine, with an order that never depends on the machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vector_universe.index.search.vector_scan import best_first, unit

# float32 dot products of unit vectors err by less than this; rows that close to the cut are scored again.
_ROUNDING = 1e-5


def top_k(vectors_ND: NDArray[np.float32], query_D: NDArray[np.float32], k: int,
          lengths_N: NDArray[np.float32] | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The `k` rows nearest to the query: highest cosine first, equal scores by row number.

    A float32 product picks the candidates, then float64 scores rank them, so that rows with equal vectors
    tie exactly (a matrix product may round equal rows differently).

    Args:
        vectors_ND: (N, D), rows of any length but 0; N may be 0.
        query_D: (D,), L2-normalised.
        k: at least 1; above N, all rows are returned.
        lengths_N: L2 norms of the rows; None where all are 1.

    Returns:
        Row numbers and their cosines in [-1, 1], both of length min(k, N).
    """
    rough_N = vectors_ND @ query_D
    if lengths_N is not None:
        rough_N /= lengths_N
    return top_of(rough_N, vectors_ND, query_D, k)


def top_of(rough_N: NDArray[np.float32], vectors_ND: NDArray[np.float32], query_D: NDArray[np.float32], k: int,
           rows_M: NDArray[np.int64] | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What `top_k` returns, of cosines that are known to within 1e-5, by whichever product they were taken.

    Args:
        rough_N: cosines (N,) of all rows to the query.
        vectors_ND: (N, D), rows of any length but 0.
        query_D: (D,), L2-normalised.
        k: at least 1.
        rows_M: only these rows may be found, ascending.
    """
    if rows_M is not None:
        rough_N = rough_N[rows_M]
    count = len(rough_N)
    k = min(k, count)
    if not k:
        return np.zeros(0, np.int64), np.zeros(0)
    cut = np.partition(rough_N, count - k)[count - k] - _ROUNDING
    candidates = np.flatnonzero(rough_N >= cut)
    if rows_M is not None:
        candidates = rows_M[candidates]
    return best_first(candidates, vectors_ND[candidates], unit(query_D), k)
