"""The 2-D map: vectors in, positions in [-1, 1] out; the same vectors always give the same map."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

_NEIGHBOURS = 15
_EPOCHS = 200
_SEED = 0
# The middle 98 % of each axis fills this much of the square; outliers are pressed into the rim.
_CORE = 0.9


def project(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay L2-normalised vectors out on a map: UMAP over an exact cosine kNN graph, started from PCA.

    Fewer than 16 vectors have too few neighbours for a graph and get the PCA alone.
    McInnes et al., "UMAP: Uniform Manifold Approximation and Projection", 2018.

    Args:
        vectors_ND: (N, D) float32, L2-normalised rows, N >= 1.

    Returns:
        (N, 2) float32 in [-1, 1]; one scale for both axes.
    """
    count = len(vectors_ND)
    pca_N2 = _pca(vectors_ND)
    if np.abs(pca_N2).max() < 1e-6:  # one point, or all the same
        return np.zeros((count, 2), dtype=np.float32)
    if count <= _NEIGHBOURS:
        return _fit_square(pca_N2)
    return _fit_square(_umap(vectors_ND, pca_N2))


def _pca(vectors_ND: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first two principal components (N, 2), float64; a component's largest loading is positive."""
    centred_ND = vectors_ND.astype(np.float64) - vectors_ND.mean(axis=0, dtype=np.float64)
    _, axes_DD = np.linalg.eigh(centred_ND.T @ centred_ND)
    axes_D2 = axes_DD[:, ::-1][:, :2]
    if axes_D2.shape[1] < 2:  # one-dimensional embeddings
        axes_D2 = np.pad(axes_D2, ((0, 0), (0, 1)))
    largest = np.abs(axes_D2).argmax(axis=0)
    signs = np.where(axes_D2[largest, [0, 1]] < 0, -1.0, 1.0)
    positions_N2: NDArray[np.float64] = centred_ND @ (axes_D2 * signs)
    return positions_N2


def _umap(vectors_ND: NDArray[np.float32], pca_N2: NDArray[np.float64]) -> NDArray[np.float64]:
    import faiss
    import umap

    index = faiss.IndexFlatIP(vectors_ND.shape[1])
    index.add(np.ascontiguousarray(vectors_ND, dtype=np.float32))
    cosines, neighbours = index.search(np.ascontiguousarray(vectors_ND, dtype=np.float32), _NEIGHBOURS)
    distances = np.clip(1.0 - cosines, 0.0, None)
    start = (10 * pca_N2 / np.abs(pca_N2).max()).astype(np.float32)
    mapper = umap.UMAP(
        n_neighbors=_NEIGHBOURS,
        min_dist=0.1,
        metric="cosine",
        n_epochs=_EPOCHS,
        init=start,
        precomputed_knn=(neighbours, distances, None),
        force_approximation_algorithm=True,  # else small sets are measured again, pair by pair
        random_state=_SEED,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "transform will be unavailable": new items are placed by their neighbours
        positions_N2: NDArray[np.float64] = mapper.fit_transform(vectors_ND).astype(np.float64)
    # UMAP leaves a point without any edge undefined; its principal components are the next best place.
    return np.where(np.isfinite(positions_N2), positions_N2, start)


def _fit_square(positions_N2: NDArray[np.float64]) -> NDArray[np.float32]:
    low, high = np.percentile(positions_N2, [1, 99], axis=0)
    half = max(float((high - low).max()) / 2, 1e-12)
    scaled = (positions_N2 - (low + high) / 2) / half * _CORE
    distance = np.abs(scaled)
    rim = 1 - _CORE
    pressed = np.where(distance <= _CORE, distance, _CORE + rim * np.tanh((distance - _CORE) / rim))
    square_N2: NDArray[np.float32] = np.clip(np.sign(scaled) * pressed, -1.0, 1.0).astype(np.float32)
    return square_N2
