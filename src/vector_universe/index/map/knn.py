"""Nearest neighbours of many vectors at once: exact among few; among many, of each vector's surroundings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EXACT_UP_TO = 20_000  # rows; the work for all of them grows with the square
_PROBES = 16  # lists of mean size that each query looks through
_TRAINED_ON = 64  # rows for each list


def nearest_rows(queries_MD: NDArray[np.float32], vectors_ND: NDArray[np.float32],
                 k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The `k` rows of `vectors_ND` nearest to each query by cosine, nearest first.

    Above 20,000 rows the vectors are parted into lists round trained centroids, and the queries of a list look through
    the lists nearest to it alone: an inverted file (Sivic and Zisserman 2003), a list of queries at once, so that the
    work is matrix products. The same arrays give the same answer.

    Args:
        queries_MD: (M, D), L2-normalised rows.
        vectors_ND: (N, D), L2-normalised rows, N >= 1.
        k: at least 1; above N, all rows are returned.

    Returns:
        Cosines (M, min(k, N)) float32 and row numbers (M, min(k, N)).
    """
    if len(vectors_ND) <= EXACT_UP_TO:
        return exactly_nearest_rows(queries_MD, vectors_ND, k)
    return _by_lists(np.ascontiguousarray(queries_MD, dtype=np.float32),
                     np.ascontiguousarray(vectors_ND, dtype=np.float32), min(k, len(vectors_ND)))


def exactly_nearest_rows(queries_MD: NDArray[np.float32], vectors_ND: NDArray[np.float32],
                         k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """As `nearest_rows`, with every query compared with every vector, however many there are."""
    import faiss

    cosines_Mk, rows_Mk = faiss.knn(
        np.ascontiguousarray(queries_MD, dtype=np.float32), np.ascontiguousarray(vectors_ND, dtype=np.float32),
        min(k, len(vectors_ND)), metric=faiss.METRIC_INNER_PRODUCT)
    return cosines_Mk, rows_Mk


def _by_lists(queries_MD: NDArray[np.float32], vectors_ND: NDArray[np.float32],
              k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    import faiss

    count, width = vectors_ND.shape
    lists = int(2 * count**0.5)
    # six rounds: the lists need to be even, not best
    means = faiss.Kmeans(width, lists, niter=6, seed=0, spherical=True, min_points_per_centroid=1)
    means.train(np.ascontiguousarray(vectors_ND[:: max(1, count // (_TRAINED_ON * lists))]))
    centroids_LD = np.asarray(means.centroids)
    home_N, home_M = (faiss.knn(rows, centroids_LD, 1, metric=faiss.METRIC_INNER_PRODUCT)[1][:, 0]
                      for rows in (vectors_ND, queries_MD))
    members = np.split(np.argsort(home_N, kind="stable"), np.bincount(home_N, minlength=lists).cumsum()[:-1])
    asking = np.split(np.argsort(home_M, kind="stable"), np.bincount(home_M, minlength=lists).cumsum()[:-1])
    surroundings_LL = np.argsort(-(centroids_LD @ centroids_LD.T), axis=1, kind="stable")
    sizes_L = np.array([len(rows) for rows in members])
    enough = max(4 * k, _PROBES * count // lists)

    cosines_Mk = np.empty((len(queries_MD), k), np.float32)
    rows_Mk = np.empty((len(queries_MD), k), np.int64)
    for home, places in enumerate(asking):
        if len(places):
            near = surroundings_LL[home]
            taken = near[: int(np.searchsorted(sizes_L[near].cumsum(), enough)) + 1]
            rows = np.concatenate([members[number] for number in taken])
            cosines_Mk[places], found = faiss.knn(queries_MD[places], vectors_ND[rows], k,
                                                  metric=faiss.METRIC_INNER_PRODUCT)
            rows_Mk[places] = rows[found]
    return cosines_Mk, rows_Mk
