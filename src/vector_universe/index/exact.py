"""Exact nearest neighbours by cosine, with an order that never depends on the machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# float32 dot products of unit vectors err by less than this; rows that close to the cut are scored again.
_ROUNDING = 1e-5


def top_k(vectors_ND: NDArray[np.float32], query_D: NDArray[np.float32], k: int) -> tuple[list[int], list[float]]:
    """The `k` rows nearest to the query: highest cosine first, equal scores by row number.

    A float32 product picks the candidates, then float64 scores rank them, so that rows with equal vectors
    tie exactly (a matrix product may round equal rows differently).

    Args:
        vectors_ND: (N, D), L2-normalised rows.
        query_D: (D,), L2-normalised.
        k: at least 1; above N, all rows are returned.

    Returns:
        Row numbers and their cosines in [-1, 1], both of length min(k, N).
    """
    count = len(vectors_ND)
    k = min(k, count)
    rough_N = vectors_ND @ query_D
    cut = np.partition(rough_N, count - k)[count - k] - _ROUNDING
    candidates = np.flatnonzero(rough_N >= cut)
    products = vectors_ND[candidates].astype(np.float64) * query_D.astype(np.float64)
    scores = np.clip(products.sum(axis=1), -1.0, 1.0)
    order = np.lexsort((candidates, -scores))[:k]
    return candidates[order].tolist(), scores[order].tolist()
