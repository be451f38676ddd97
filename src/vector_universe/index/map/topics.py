"""Topics: regions of the map that are one in meaning too, on two levels, with names from the texts and labels."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vector_universe.errors import UserError
from vector_universe.index.map.topic_names import TermCounts, name_groups

_MOST = 120  # fine topics
_COARSE = (8, 12)
_SEEDS = 600  # small clusters that Ward's method joins
_GAPS = 0.5  # silhouette from which on there is "a reasonable structure" (Kaufman and Rousseeuw 1990)
_FITTED_ON = 50_000  # items that the small clusters are found on
_READ = 100_000  # items whose words are counted
_JUDGED_ON = 2_000  # items of a silhouette
_BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Topics:
    """K fine topics, each within one of C coarse ones.

    Attributes:
        names: of the K fine topics, no two alike.
        shares: of each name, the share of the topic's items whose texts or labels hold a term of it: how well the name
            fits, 0 to 1.
        sizes: items of each.
        centroids_KD: unit rows, float32: the means of their vectors.
        positions_K2: where a name stands on the map: at the item in the middle of the topic.
        parents: which coarse topic each lies in.
        coarse_names, coarse_shares, coarse_sizes, coarse_positions_C2: likewise, of the coarse topics. A map with few
            topics has one level: the coarse topics are the fine ones.
    """

    names: tuple[str, ...]
    shares: tuple[float, ...]
    sizes: tuple[int, ...]
    centroids_KD: NDArray[np.float32]
    positions_K2: NDArray[np.float32]
    parents: tuple[int, ...]
    coarse_names: tuple[str, ...]
    coarse_shares: tuple[float, ...]
    coarse_sizes: tuple[int, ...]
    coarse_positions_C2: NDArray[np.float32]

    def assign(self, vectors_MD: NDArray[np.float32]) -> NDArray[np.int32]:
        """The fine topic (M,) of each new vector, by the nearest centroid; −1 for vectors of zeros or with NaN.

        Args:
            vectors_MD: (M, D), L2-normalised rows.

        Raises:
            UserError: the vectors are of another width.
        """
        if vectors_MD.ndim != 2 or vectors_MD.shape[1] != self.centroids_KD.shape[1]:
            raise UserError(f"vectors of shape {vectors_MD.shape} fit no topic: these topics have "
                            f"{self.centroids_KD.shape[1]} dimensions")
        found = [_nearest(vectors_MD[start:start + _BLOCK], self.centroids_KD)
                 for start in range(0, len(vectors_MD), _BLOCK)]
        return np.concatenate(found) if found else np.empty(0, np.int32)

    def to_json(self) -> str:
        """One JSON object; centroids as base64 of little-endian float16."""
        return json.dumps({
            "names": self.names, "shares": _rounded(self.shares), "sizes": self.sizes,
            "positions": _rounded(self.positions_K2), "parents": self.parents, "coarse_names": self.coarse_names,
            "coarse_shares": _rounded(self.coarse_shares), "coarse_sizes": self.coarse_sizes,
            "coarse_positions": _rounded(self.coarse_positions_C2), "dimension": self.centroids_KD.shape[1],
            "centroids": base64.b64encode(self.centroids_KD.astype("<f2").tobytes()).decode()}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Topics:
        """Read what `to_json` wrote.

        Raises:
            UserError: it is something else.
        """
        try:
            read = json.loads(text)
            centroids_KD = np.frombuffer(base64.b64decode(read["centroids"]), "<f2").reshape(-1, read["dimension"])
            topics = cls(
                names=tuple(read["names"]), shares=tuple(read["shares"]), sizes=tuple(read["sizes"]),
                centroids_KD=_unit(centroids_KD.astype(np.float32)),
                positions_K2=np.asarray(read["positions"], np.float32).reshape(-1, 2), parents=tuple(read["parents"]),
                coarse_names=tuple(read["coarse_names"]), coarse_shares=tuple(read["coarse_shares"]),
                coarse_sizes=tuple(read["coarse_sizes"]),
                coarse_positions_C2=np.asarray(read["coarse_positions"], np.float32).reshape(-1, 2))
            if not len(topics.names) == len(topics.centroids_KD) == len(topics.positions_K2) == len(topics.parents):
                raise ValueError("parts of unequal length")
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"the topics cannot be read ({error}): find them anew") from None
        return topics


def find_topics(vectors_ND: NDArray[np.float32], positions_N2: NDArray[np.float32], texts: Sequence[Sequence[str]],
                labels: Sequence[Sequence[str]], *, seed: int = 0,
                count: int | None = None) -> tuple[Topics, NDArray[np.int32]]:
    """Find and name the topics of a map.

    Ward's method (1963) joins small clusters of k-means, step by step the two whose union spreads least, so that the
    coarse topics hold whole fine ones. It sees vectors and places on the map, each with the same total variance: of
    the vectors alone a quarter of the topics would lie scattered over the map, of the map alone nothing holds the
    vectors together. How many there are is chosen by the silhouette (Rousseeuw 1987), at most 0.7 · √N and 120.

    Args:
        vectors_ND: (N, D), L2-normalised rows, N >= 1.
        positions_N2: their places on the map.
        texts, labels: of each item; either may be empty.
        seed: of the samples and of k-means; the same input and seed give the same topics.
        count: how many fine topics; None chooses.

    Returns:
        The topics, the largest first, and the fine topic (N,) of each item.

    Raises:
        UserError: `count` is below 1 or above N, or the arguments are of unequal length.
    """
    size = len(vectors_ND)
    if not size == len(positions_N2) == len(texts) == len(labels) or not size:
        raise UserError(f"topics need a place, texts and labels for each vector: there are {size} vectors, "
                        f"{len(positions_N2)} places, {len(texts)} texts and {len(labels)} labels")
    if count is not None and not 1 <= count <= size:
        raise UserError(f"{count} topics cannot be found among {size} items: choose from 1 to {size}")
    random = np.random.default_rng(seed)
    features = _Features.of(vectors_ND, positions_N2, _sample(random, size, _FITTED_ON))
    fitted_SF = features(_sample(random, size, _FITTED_ON))
    seeds_GF, seed_sizes_G = _small_clusters(fitted_SF, max(_SEEDS, 4 * (count or 0)), seed)
    cuts = ward(seeds_GF, seed_sizes_G)
    own_N = np.concatenate([_closest(features(np.arange(start, min(start + _BLOCK, size))), seeds_GF)
                            for start in range(0, size, _BLOCK)])

    judged = _sample(random, size, _JUDGED_ON)
    quality = _Silhouette(features(judged))
    most = min(len(cuts), _MOST, max(1, round(0.7 * size**0.5)))
    fine = min(count, len(cuts)) if count is not None else quality.choose(
        {number: cuts[number - 1][own_N[judged]] for number in _candidates(1, most)})
    coarse = fine if fine <= _COARSE[1] else quality.best(
        {number: cuts[number - 1][own_N[judged]] for number in range(_COARSE[0], _COARSE[1] + 1)})

    fine_N, coarse_N = _by_size(cuts[fine - 1][own_N]), _by_size(cuts[coarse - 1][own_N])
    members = [np.flatnonzero(fine_N == topic) for topic in range(fine_N.max() + 1)]
    middles = [_middle(positions_N2, rows) for rows in members]
    coarse_middles = [_middle(positions_N2, np.flatnonzero(coarse_N == topic)) for topic in range(coarse_N.max() + 1)]
    parents = [int(coarse_N[rows[0]]) for rows in members]

    counted = _sample(random, size, _READ)
    read = [texts[row] for row in counted], [labels[row] for row in counted]
    coarse_names, coarse_terms = name_groups(TermCounts(*read, coarse_N[counted], len(coarse_middles)),
                                             _titles(texts, coarse_middles))
    names = coarse_names if coarse == fine else name_groups(
        TermCounts(*read, fine_N[counted], len(members)), _titles(texts, middles),
        [coarse_terms[parent] for parent in parents], [found.name for found in coarse_names])[0]
    topics = Topics(
        names=tuple(found.name for found in names), shares=tuple(found.share for found in names),
        sizes=tuple(map(len, members)),
        centroids_KD=_unit(np.stack([vectors_ND[rows].mean(axis=0, dtype=np.float64) for rows in members])),
        positions_K2=positions_N2[middles].astype(np.float32), parents=tuple(parents),
        coarse_names=tuple(found.name for found in coarse_names),
        coarse_shares=tuple(found.share for found in coarse_names),
        coarse_sizes=tuple(np.bincount(coarse_N).tolist()),
        coarse_positions_C2=positions_N2[coarse_middles].astype(np.float32))
    return topics, fine_N


def ward(means_GF: NDArray[np.floating], sizes_G: NDArray[np.integer]) -> list[NDArray[np.int32]]:
    """Ward's method on weighted points: cuts[K − 1] gives each of the G points one of K clusters.

    Each step joins the two clusters a, b whose union adds least to the squared distances from the means,
    n_a · n_b / (n_a + n_b) · |μ_a − μ_b|² (Ward 1963); of equal ones, those that come first.
    """
    means: NDArray[np.float64] = means_GF.astype(np.float64)
    sizes: NDArray[np.float64] = sizes_G.astype(np.float64)
    count = len(means)
    costs_GG = np.full((count, count), np.inf)
    for point in range(count):
        costs_GG[point] = _costs(point, means, sizes)
    np.fill_diagonal(costs_GG, np.inf)
    own_G = np.arange(count)
    cuts = [own_G.astype(np.int32)]
    for _ in range(count - 1):
        kept, gone = sorted(divmod(int(costs_GG.argmin()), count))
        means[kept] = np.average(means[[kept, gone]], axis=0, weights=sizes[[kept, gone]])
        sizes[kept] += sizes[gone]
        own_G = np.where(own_G == gone, kept, own_G)
        costs_GG[gone], costs_GG[:, gone] = np.inf, np.inf
        renewed_G = np.where(np.isfinite(costs_GG[kept]), _costs(kept, means, sizes), np.inf)
        costs_GG[kept], costs_GG[:, kept] = renewed_G, renewed_G
        cuts.append(np.unique(own_G, return_inverse=True)[1].astype(np.int32))
    return cuts[::-1]


def _costs(point: int, means_GF: NDArray[np.float64], sizes_G: NDArray[np.float64]) -> NDArray[np.float64]:
    found_G: NDArray[np.float64] = sizes_G * sizes_G[point] / (sizes_G + sizes_G[point]) * (
        (means_GF - means_GF[point])**2).sum(axis=1)
    return found_G


@dataclass(frozen=True, eq=False)
class _Features:
    """Vectors and places, each centred and divided by its spread, side by side: (rows, D + 2)."""

    vectors_ND: NDArray[np.float32]
    positions_N2: NDArray[np.float32]
    means: tuple[NDArray[np.float32], NDArray[np.float32]]
    spreads: tuple[float, float]

    @classmethod
    def of(cls, vectors_ND: NDArray[np.float32], positions_N2: NDArray[np.float32],
           measured: NDArray[np.int64]) -> _Features:
        parts = vectors_ND[measured].astype(np.float32), positions_N2[measured].astype(np.float32)
        means = parts[0].mean(axis=0), parts[1].mean(axis=0)
        spreads = [float(np.sqrt(((part - mean)**2).sum(axis=1).mean()))
                   for part, mean in zip(parts, means, strict=True)]
        return cls(vectors_ND, positions_N2, means, (max(spreads[0], 1e-9), max(spreads[1], 1e-9)))

    def __call__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        parts = ((part[rows] - mean) / np.float32(spread) for part, mean, spread in
                 zip((self.vectors_ND, self.positions_N2), self.means, self.spreads, strict=True))
        return np.ascontiguousarray(np.concatenate(list(parts), axis=1), dtype=np.float32)


class _Silhouette:
    """Mean silhouette of groupings of the same rows: how much nearer a row is to its own group than to the next."""

    def __init__(self, rows_SF: NDArray[np.float32]) -> None:
        squares_S = (rows_SF**2).sum(axis=1)
        self._distances_SS = np.sqrt(np.clip(squares_S[:, None] + squares_S - 2 * rows_SF @ rows_SF.T, 0, None))
        np.fill_diagonal(self._distances_SS, 0)

    def __call__(self, groups_S: NDArray[np.integer]) -> float:
        """−1 to 1; a row that is alone in its group counts 0, and so does a single group."""
        names, groups_S = np.unique(groups_S, return_inverse=True)
        if len(names) < 2:
            return 0.0
        member_SK = np.eye(len(names), dtype=np.float32)[groups_S]
        sums_SK, sizes_K = self._distances_SS @ member_SK, member_SK.sum(axis=0)
        rows = np.arange(len(groups_S))
        own_S = sums_SK[rows, groups_S] / np.maximum(sizes_K[groups_S] - 1, 1)
        means_SK = sums_SK / sizes_K
        means_SK[rows, groups_S] = np.inf
        next_S = means_SK.min(axis=1)
        values_S = np.where(sizes_K[groups_S] > 1, (next_S - own_S) / np.maximum(np.maximum(own_S, next_S), 1e-12), 0)
        return float(values_S.mean())

    def best(self, groupings: dict[int, NDArray[np.integer]]) -> int:
        """The number of groups of the best grouping; of equal ones, the most."""
        return max(groupings, key=lambda number: (self(groupings[number]), number))

    def choose(self, groupings: dict[int, NDArray[np.integer]]) -> int:
        """The best grouping where it finds real gaps; else, of what has none, the best that cuts it finely enough."""
        found = self.best(groupings)
        if self(groupings[found]) >= _GAPS:
            return found
        return self.best({number: groups for number, groups in groupings.items() if 2 * number >= max(groupings)})


def _small_clusters(rows_SF: NDArray[np.float32], most: int,
                    seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Means and sizes of `most` clusters by k-means; of fewer rows, the rows themselves."""
    import faiss

    if len(rows_SF) <= most:
        return rows_SF, np.ones(len(rows_SF), np.int64)
    clustering = faiss.Kmeans(rows_SF.shape[1], most, niter=15, seed=seed, min_points_per_centroid=1)
    clustering.train(rows_SF)
    means_GF = np.asarray(clustering.centroids)
    sizes_G = np.bincount(_closest(rows_SF, means_GF), minlength=most)
    return means_GF[sizes_G > 0], sizes_G[sizes_G > 0]


def _closest(rows_BF: NDArray[np.float32], means_GF: NDArray[np.float32]) -> NDArray[np.int64]:
    found_B: NDArray[np.int64] = ((means_GF**2).sum(axis=1) / 2 - rows_BF @ means_GF.T).argmin(axis=1)
    return found_B


def _nearest(vectors_BD: NDArray[np.float32], centroids_KD: NDArray[np.float32]) -> NDArray[np.int32]:
    sound_B = np.isfinite(vectors_BD).all(axis=1) & (vectors_BD != 0).any(axis=1)
    cosines_BK = np.where(sound_B[:, None], vectors_BD, 0).astype(np.float32) @ centroids_KD.T
    return np.where(sound_B, cosines_BK.argmax(axis=1), -1).astype(np.int32)


def _by_size(groups_N: NDArray[np.int32]) -> NDArray[np.int32]:
    """Groups numbered anew, the largest 0; equal ones in their old order; empty ones left out."""
    numbers, places_N, sizes = np.unique(groups_N, return_inverse=True, return_counts=True)
    rank = np.empty(len(numbers), np.int32)
    rank[np.lexsort((numbers, -sizes))] = np.arange(len(numbers))
    return rank[places_N]


def _middle(positions_N2: NDArray[np.float32], rows: NDArray[np.int64]) -> int:
    """The row, of these, whose place is nearest to the median of x and y."""
    away_M = ((positions_N2[rows] - np.median(positions_N2[rows], axis=0))**2).sum(axis=1)
    return int(rows[int(away_M.argmin())])


def _titles(texts: Sequence[Sequence[str]], rows: Sequence[int]) -> list[str]:
    return [texts[row][0] if texts[row] else "" for row in rows]


def _sample(random: np.random.Generator, size: int, most: int) -> NDArray[np.int64]:
    """All row numbers, or `most` of them drawn, in order."""
    return np.arange(size) if size <= most else np.sort(random.choice(size, most, replace=False))


def _candidates(least: int, most: int) -> list[int]:
    """Numbers from `least` to `most`: each up to 20, then in steps of a twentieth."""
    found = list(range(least, min(most, 20) + 1))
    while found and found[-1] < most:
        found.append(min(most, found[-1] + max(1, found[-1] // 20)))
    return found


def _rounded(values: Sequence[float] | NDArray[np.floating]) -> list:
    rounded: list = np.round(np.asarray(values, np.float64), 4).tolist()
    return rounded


def _unit(rows_KD: NDArray[np.floating]) -> NDArray[np.float32]:
    lengths_K1 = np.linalg.norm(rows_KD, axis=1, keepdims=True)
    return np.divide(rows_KD, lengths_K1, out=np.zeros_like(rows_KD), where=lengths_K1 > 0).astype(np.float32)
