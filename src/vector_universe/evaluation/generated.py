"""Measures of generated pictures in the space of a model: do they fit their texts, and lie where real ones lie?"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

NEIGHBOURS = 5  # Naeem et al. 2020


@dataclass(frozen=True)
class TextMatch:
    """Cosines between pictures and texts.

    Attributes:
        own: mean of pictures with their own texts.
        shuffled: mean of pictures with the texts of others.
        right_order: share of pairs of a picture's own text and another that are in this order; .5 is chance.
        recall_at_10: share of pictures whose own text is among the ten nearest.
        chance_at_10: recall@10 of a random order.
    """

    own: float
    shuffled: float
    right_order: float
    recall_at_10: float
    chance_at_10: float

    def as_dict(self) -> dict[str, float]:
        """All figures by name."""
        return asdict(self)


def text_match(images_ND: np.ndarray, texts_ND: np.ndarray) -> TextMatch:
    """How well pictures fit their texts and no others.

    Args:
        images_ND: unit rows of the pictures, at least two.
        texts_ND: unit rows of their texts; row i belongs to picture i. Texts that are equal are no others.
    """
    cosines_NN = images_ND.astype(np.float64) @ texts_ND.T.astype(np.float64)
    own_N = np.diag(cosines_NN)
    others_NN = ~_equal_rows(texts_ND)
    above_N = (others_NN & (cosines_NN > own_N[:, None])).sum(1)
    level_N = (others_NN & (cosines_NN == own_N[:, None])).sum(1)
    in_order_N = 1 - (above_N + level_N / 2) / np.maximum(others_NN.sum(1), 1)
    return TextMatch(float(own_N.mean()), float(cosines_NN[others_NN].mean()) if others_NN.any() else float("nan"),
                     float(in_order_N.mean()), float((above_N < 10).mean()),
                     float(np.minimum(1, 10 / (others_NN.sum(1) + 1)).mean()))


def frechet_distance(one_ND: np.ndarray, other_MD: np.ndarray) -> float:
    """Distance between two sets of vectors, taken as Gaussian (Heusel et al. 2017, equation 6).

        ‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½)

    In features other than Inception's it is no FID, and is compared with nothing but itself at equal N and M: it grows
    as they fall.

    Args:
        one_ND, other_MD: rows, at least two each.
    """
    one_ND, other_MD = one_ND.astype(np.float64), other_MD.astype(np.float64)
    root_DD = _root(np.cov(one_ND, rowvar=False))
    eigenvalues_D = np.linalg.eigvalsh(root_DD @ np.cov(other_MD, rowvar=False) @ root_DD)  # those of Σ₁ Σ₂
    shared = np.sqrt(np.maximum(eigenvalues_D, 0)).sum()
    spread = one_ND.var(0, ddof=1).sum() + other_MD.var(0, ddof=1).sum() - 2 * shared
    return float(np.square(one_ND.mean(0) - other_MD.mean(0)).sum() + spread)


def density_and_coverage(real_ND: np.ndarray, generated_MD: np.ndarray, neighbours: int = NEIGHBOURS
                         ) -> tuple[float, float]:
    """How near generated vectors lie to real ones, and how many real ones they lie near (Naeem et al. 2020).

    Density is the mean number of real balls around a generated vector, over `neighbours`: 1 where both are alike, above
    where generated ones crowd where real ones are dense. Coverage is the share of real balls with a generated vector in
    them; it falls where modes are missing. A ball reaches from a real vector to its k-th nearest real one.

    Args:
        real_ND: rows, more than `neighbours`.
        generated_MD: rows.
        neighbours: k.
    """
    among_real_NN = _squared_distances(real_ND, real_ND)
    np.fill_diagonal(among_real_NN, np.inf)
    radius_N = np.partition(among_real_NN, neighbours - 1, axis=1)[:, neighbours - 1]
    inside_NM = _squared_distances(real_ND, generated_MD) < radius_N[:, None]
    return float(inside_NM.sum(0).mean() / neighbours), float(inside_NM.any(1).mean())


def mean_distance(rows_ND: np.ndarray) -> float:
    """Mean Euclidean distance between two different rows of at least two."""
    squared_NN = _squared_distances(rows_ND, rows_ND)
    return float(np.sqrt(squared_NN[~np.eye(len(rows_ND), dtype=bool)]).mean())


def _root(matrix_DD: np.ndarray) -> np.ndarray:
    """The square root of a symmetric matrix without negative eigenvalues, but for rounding."""
    values_D, vectors_DD = np.linalg.eigh(np.atleast_2d(matrix_DD))
    return (vectors_DD * np.sqrt(np.maximum(values_D, 0))) @ vectors_DD.T


def _squared_distances(one_ND: np.ndarray, other_MD: np.ndarray) -> np.ndarray:
    one_ND, other_MD = one_ND.astype(np.float64), other_MD.astype(np.float64)
    squared_NM = np.square(one_ND).sum(1)[:, None] + np.square(other_MD).sum(1) - 2 * one_ND @ other_MD.T
    return np.maximum(squared_NM, 0)


def _equal_rows(rows_ND: np.ndarray) -> np.ndarray:
    """Whether two rows are equal: bool (N, N)."""
    _, group_N = np.unique(rows_ND, axis=0, return_inverse=True)
    group_N = group_N.reshape(-1)
    return group_N[:, None] == group_N
