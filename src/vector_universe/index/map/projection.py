"""The 2-D map: vectors in, positions in [-1, 1] out; the same vectors always give the same map."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from vector_universe.index.map.knn import nearest_rows

_NEIGHBOURS = 15
_EPOCHS = 200
_SEED = 0
_DRAWN = 200_000  # items that UMAP lays out; further ones are placed among them
_PLACED_BY = 10  # neighbours
_ROUNDS = 30
_REDRAW = 0.3  # share of items placed since the map was drawn
_BLOCK = 16_384
# The middle 98 % of each axis fills this much of the square; outliers are pressed into the rim.
_CORE = 0.9
_GAP = 0.06  # of the middle 90 % of an axis: the widest empty band


def project(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay L2-normalised vectors out on a map: UMAP over a cosine kNN graph, started from PCA.

    The graph is exact up to 20,000 vectors (see `nearest_rows`). Above 200,000 a sample of as many is laid out, and the
    others are placed among them. Fewer than 16 vectors have too few neighbours for a graph and get the PCA alone.
    McInnes et al., "UMAP: Uniform Manifold Approximation and Projection", 2018.

    Args:
        vectors_ND: (N, D) float32, L2-normalised rows, N >= 1.

    Returns:
        (N, 2) float32 in [-1, 1]; one scale for both axes.
    """
    if len(vectors_ND) <= _DRAWN:
        return _draw(vectors_ND)
    drawn = np.sort(np.random.default_rng(_SEED).choice(len(vectors_ND), _DRAWN, replace=False))
    others = np.setdiff1d(np.arange(len(vectors_ND)), drawn)
    positions_N2 = np.empty((len(vectors_ND), 2), np.float32)
    positions_N2[drawn] = _draw(vectors_ND[drawn])
    positions_N2[others] = _among_old(vectors_ND[others], vectors_ND[drawn], positions_N2[drawn], _PLACED_BY)
    return positions_N2


def place_new(new_MD: NDArray[np.float32], vectors_ND: NDArray[np.float32], positions_N2: NDArray[np.float32],
              k: int = _PLACED_BY) -> NDArray[np.float32]:
    """Places for new items on a map that stays as it is: the mean of the places of their `k` nearest items.

    Each neighbour weighs 1 / (half its squared distance + 1e-6), so that an item equal to an old one lands on it. New
    items are neighbours too: first each stands where the old ones alone would have it, then, thirty times over, all go
    to the mean of their nearest among old and new (Zhu et al. 2003). Without that, a kind the map has never seen would
    be scattered over it; so it stands together, on a small spot, until the map is drawn anew (`needs_redraw`).

    Args:
        new_MD: (M, D), L2-normalised rows.
        vectors_ND: (N, D) of the items on the map, N >= 1.
        positions_N2: their places.
        k: at least 1; above N, all count.

    Returns:
        (M, 2) float32, within the bounds of the old places.
    """
    k = min(k, len(vectors_ND))
    placed_M2 = _among_old(new_MD, vectors_ND, positions_N2, k)
    if len(new_MD) < 2:
        return placed_M2
    _, old_Mk = nearest_rows(new_MD, vectors_ND, k)
    _, new_Mk = nearest_rows(new_MD, new_MD, k + 1)
    halves = np.concatenate([_half_squares(new_MD, vectors_ND, old_Mk), _half_squares(new_MD, new_MD, new_Mk)], axis=1)
    rows = np.concatenate([old_Mk, len(vectors_ND) + new_Mk], axis=1)
    halves[rows == len(vectors_ND) + np.arange(len(new_MD))[:, None]] = np.inf  # nobody is a neighbour of its own
    nearest_Mk = np.argsort(halves, axis=1, kind="stable")[:, :k]
    rows_Mk, halves_Mk = (np.take_along_axis(found, nearest_Mk, axis=1) for found in (rows, halves))
    everyone = np.concatenate([positions_N2, placed_M2]).astype(np.float32)
    for _ in range(_ROUNDS):
        everyone[len(vectors_ND):] = _weighted_mean(everyone, rows_Mk, halves_Mk)
    return everyone[len(vectors_ND):]


def _among_old(new_MD: NDArray[np.float32], vectors_ND: NDArray[np.float32], positions_N2: NDArray[np.float32],
               k: int) -> NDArray[np.float32]:
    """The weighted mean of the places of the `k` nearest old items, (M, 2)."""
    _, rows_Mk = nearest_rows(new_MD, vectors_ND, k)
    return _weighted_mean(positions_N2, rows_Mk, _half_squares(new_MD, vectors_ND, rows_Mk))


def _half_squares(new_MD: NDArray[np.float32], vectors_ND: NDArray[np.float32],
                  rows_Mk: NDArray[np.int64]) -> NDArray[np.float64]:
    """Half the squared distances, (M, k): 1 − cosine, but of equal rows zero to the last bit."""
    halves_Mk = np.empty(rows_Mk.shape)
    for start in range(0, len(new_MD), _BLOCK):
        block = slice(start, start + _BLOCK)
        for column, rows_B in enumerate(rows_Mk[block].T):
            away_BD = vectors_ND[rows_B].astype(np.float32) - new_MD[block].astype(np.float32)
            halves_Mk[block, column] = np.einsum("bd,bd->b", away_BD, away_BD) / 2
    return halves_Mk


def _weighted_mean(positions_N2: NDArray[np.float32], rows_Mk: NDArray[np.int64],
                   halves_Mk: NDArray[np.float64]) -> NDArray[np.float32]:
    weights_Mk = 1 / (halves_Mk + 1e-6)
    weights_Mk /= weights_Mk.sum(axis=1, keepdims=True)
    mean_M2: NDArray[np.float32] = np.einsum("mk,mkc->mc", weights_Mk, positions_N2[rows_Mk]).astype(np.float32)
    return mean_M2


def needs_redraw(placed: int, total: int) -> str | None:
    """One line for people where more than 30 % of a map's items were placed since it was drawn; else None.

    Args:
        placed: items that came later and were placed among the others.
        total: items on the map.
    """
    if total == 0 or placed / total <= _REDRAW:
        return None
    return (f"{placed:,} of {total:,} items ({placed / total:.0%}) came after the map was drawn and stand among what "
            "they are most like: draw it anew to give them regions of their own")


def _draw(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    count = len(vectors_ND)
    pca_N2 = _pca(vectors_ND)
    if np.abs(pca_N2).max() < 1e-6:  # one point, or all the same
        return np.zeros((count, 2), dtype=np.float32)
    if count <= _NEIGHBOURS:
        return _fit_square(pca_N2)
    return _fit_square(_close_gaps(_umap(vectors_ND, pca_N2)))


def _pca(vectors_ND: NDArray[np.float32]) -> NDArray[np.float64]:
    """The first two principal components (N, 2), float64; a component's largest loading is positive."""
    mean_D = vectors_ND.mean(axis=0, dtype=np.float64)
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(vectors_ND), _BLOCK)]  # float64 is wide
    spread_DD = sum((rows_BD.T @ rows_BD for rows_BD in (vectors_ND[block] - mean_D for block in blocks)),
                    np.zeros((len(mean_D), len(mean_D))))
    _, axes_DD = np.linalg.eigh(spread_DD)
    axes_D2 = axes_DD[:, ::-1][:, :2]
    if axes_D2.shape[1] < 2:  # one-dimensional embeddings
        axes_D2 = np.pad(axes_D2, ((0, 0), (0, 1)))
    largest = np.abs(axes_D2).argmax(axis=0)
    signs = np.where(axes_D2[largest, [0, 1]] < 0, -1.0, 1.0)
    return np.concatenate([(vectors_ND[block] - mean_D) @ (axes_D2 * signs) for block in blocks])


def _umap(vectors_ND: NDArray[np.float32], pca_N2: NDArray[np.float64]) -> NDArray[np.float64]:
    import umap

    cosines, neighbours = nearest_rows(vectors_ND, vectors_ND, _NEIGHBOURS)
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


def _close_gaps(positions_N2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw islands nearer: no empty band runs across the map, along either axis, that is wider than `_GAP`.

    How far UMAP puts parts of which no item is a neighbour of the other's means nothing, and may leave most of the map
    to nobody. Order along each axis and distances within each part stay.
    """
    order_N2 = np.argsort(positions_N2, axis=0, kind="stable")
    sorted_N2 = np.take_along_axis(positions_N2, order_N2, axis=0)
    low, high = np.percentile(positions_N2, [5, 95], axis=0)
    steps_N2 = np.minimum(np.diff(sorted_N2, axis=0, prepend=sorted_N2[:1]), _GAP * (high - low))
    closed_N2 = np.empty_like(positions_N2)
    np.put_along_axis(closed_N2, order_N2, np.cumsum(steps_N2, axis=0), axis=0)
    return closed_N2


def _fit_square(positions_N2: NDArray[np.float64]) -> NDArray[np.float32]:
    low, high = np.percentile(positions_N2, [1, 99], axis=0)
    half = max(float((high - low).max()) / 2, 1e-12)
    scaled = (positions_N2 - (low + high) / 2) / half * _CORE
    distance = np.abs(scaled)
    rim = 1 - _CORE
    pressed = np.where(distance <= _CORE, distance, _CORE + rim * np.tanh((distance - _CORE) / rim))
    square_N2: NDArray[np.float32] = np.clip(np.sign(scaled) * pressed, -1.0, 1.0).astype(np.float32)
    return square_N2
