"""Laying one map over another of the same items, so that what moved is what the models see differently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_IN_VIEW = 0.99  # share of the items that must lie within the map; the few beyond are drawn at its edge


@dataclass(frozen=True, eq=False)
class Alignment:
    """A turn, a mirroring where it helps, a scale and a shift: p ↦ scale · (p − origin) · turn + target.

    A map of neighbours has no direction and no unit, so that none of these changes what it says.
    """

    turn_22: NDArray[np.float64]
    scale: float
    origin_2: NDArray[np.float64]
    target_2: NDArray[np.float64]

    @classmethod
    def of(cls, places_N2: NDArray[np.floating], onto_N2: NDArray[np.floating]) -> Alignment:
        """The one that brings N places nearest to N others, and all but a few of them into [-1, 1].

        The turn is that of orthogonal Procrustes (Schönemann 1966): of all orthogonal matrices R, U·Vᵀ of the singular
        value decomposition XᵀY = U·S·Vᵀ makes |X·R − Y|² least, X and Y centred. The scale gives both maps the same
        spread, |Y| / |X|; that of least squares would shrink a map the more, the less it agrees.
        """
        origin_2, target_2 = (rows.astype(np.float64).mean(axis=0) for rows in (places_N2, onto_N2))
        centred_N2, wanted_N2 = places_N2 - origin_2, onto_N2 - target_2
        left_22, _, right_22 = np.linalg.svd(centred_N2.T @ wanted_N2)
        turn_22 = left_22 @ right_22
        spread = float(np.linalg.norm(centred_N2))
        scale = float(np.linalg.norm(wanted_N2)) / spread if spread > 1e-9 else 1.0
        away_N2 = np.abs(scale * centred_N2 @ turn_22)
        room_2 = np.maximum(1 - np.abs(target_2), 1e-6)
        beyond = float(np.quantile((away_N2 / room_2).max(axis=1), _IN_VIEW))
        return cls(turn_22, scale / max(beyond, 1.0), origin_2, target_2)

    def __call__(self, places_N2: NDArray[np.floating]) -> NDArray[np.float32]:
        """Where places (N, 2) of the one map lie on the other, within [-1, 1]."""
        moved_N2 = self.scale * (places_N2 - self.origin_2) @ self.turn_22 + self.target_2
        aligned_N2: NDArray[np.float32] = np.clip(moved_N2, -1, 1).astype(np.float32)
        return aligned_N2
