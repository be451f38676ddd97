"""The spectrum of a set of vectors: into how many directions they spread, and how evenly (Roy & Vetterli 2007)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vector_universe.errors import UserError


@dataclass(frozen=True, eq=False)
class Spectrum:
    """How N vectors of D dimensions lie on the sphere.

    Attributes:
        shares: eigenvalues of EᵀE/N over their sum, largest first, min(N, D) of them; E has the rows, normalised. A
            flat spectrum is the aim: one large share is one direction into which all vectors crowd.
        centred_shares: the same after E's mean is taken from its rows and these are normalised again, as
            post-processing "centre" does.
        effective_rank: exp of the entropy of `shares`: 1 for one direction, D for a flat spectrum.
        centred_effective_rank: of `centred_shares`; NaN where all rows are equal.
        mean_cosine: of different rows; NaN for a single one.
        mean_norm: length of the mean of the normalised rows, 0 to 1; its square is the share of one fixed direction.
        count: N.
    """

    shares: np.ndarray
    centred_shares: np.ndarray
    effective_rank: float
    centred_effective_rank: float
    mean_cosine: float
    mean_norm: float
    count: int


def spectrum_of(rows_ND: np.ndarray) -> Spectrum:
    """Measure any matrix of vectors, in O(N·D·min(N, D)).

        from vector_universe.evaluation.spectrum import spectrum_of
        spectrum_of(np.load("vectors.npy")).effective_rank

    Args:
        rows_ND: vectors of any length but 0, of any floating-point type.

    Raises:
        UserError: it is no matrix, it is empty, or a row is zero, NaN or infinite.
    """
    rows_ND = np.asarray(rows_ND)
    if rows_ND.ndim != 2 or not rows_ND.size:
        raise UserError(f"vectors of shape {rows_ND.shape} have no spectrum: give a matrix of one row a vector")
    wide_ND = rows_ND.astype(np.float64)
    lengths_N = np.linalg.norm(wide_ND, axis=1)
    bad = np.flatnonzero(~np.isfinite(lengths_N) | (lengths_N == 0))
    if len(bad):
        raise UserError(f"{len(bad)} of {len(rows_ND)} vectors are zero, NaN or infinite, the first is row "
                        f"{int(bad[0])}: leave them out")
    unit_ND = wide_ND / lengths_N[:, None]
    count, mean_D = len(unit_ND), unit_ND.mean(axis=0)
    shares = _shares(unit_ND)
    centred_ND = unit_ND - mean_D
    apart_N = np.linalg.norm(centred_ND, axis=1)
    centred_ND = centred_ND[apart_N > 1e-9] / apart_N[apart_N > 1e-9, None]  # the others are the mean itself
    centred_shares = _shares(centred_ND) if len(centred_ND) else np.full(len(shares), np.nan)
    square = float(mean_D @ mean_D)
    return Spectrum(shares, centred_shares, _effective_rank(shares), _effective_rank(centred_shares),
                    (count * square - 1) / (count - 1) if count > 1 else float("nan"), float(np.sqrt(square)), count)


def _shares(rows_ND: np.ndarray) -> np.ndarray:
    count, width = rows_ND.shape
    gram = rows_ND.T @ rows_ND if width < count else rows_ND @ rows_ND.T  # both have the same eigenvalues above zero
    eigenvalues = np.maximum(np.linalg.eigvalsh(gram), 0)[::-1]
    found: np.ndarray = eigenvalues / eigenvalues.sum()
    return found


def _effective_rank(shares: np.ndarray) -> float:
    if np.isnan(shares).any():
        return float("nan")
    above = shares[shares > 0]
    return float(np.exp(-(above * np.log(above)).sum()))
