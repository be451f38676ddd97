"""A region of the map: the places inside a polygon that somebody has drawn."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vector_universe.errors import UserError

Polygon = tuple[tuple[float, float], ...]
MAX_CORNERS = 200


def check_polygon(polygon: Polygon) -> None:
    """Refuse what is no polygon.

    Raises:
        UserError: fewer than 3 corners or more than 200, or one that is not two finite numbers.
    """
    if not 3 <= len(polygon) <= MAX_CORNERS:
        raise UserError(f"the region has {len(polygon)} corners: give 3 to {MAX_CORNERS}")
    for corner in polygon:
        if len(corner) != 2 or not all(isinstance(value, int | float) and math.isfinite(value) for value in corner):
            raise UserError("a corner of the region is two finite numbers, x and y")


def inside(polygon: Polygon, x_N: NDArray[np.floating], y_N: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which of N places lie inside a polygon, by the even-odd rule: a ray from there crosses its edge an odd number of
    times (Shimrat 1962); where the edge crosses itself, what is enclosed twice lies outside. NaN lies nowhere.

    Args:
        polygon: has passed `check_polygon`; the last corner is joined to the first.
        x_N, y_N: (N,) coordinates.
    """
    corners_C2 = np.asarray(polygon, np.float64)
    (left, low), (right, high) = corners_C2.min(axis=0), corners_C2.max(axis=0)
    near = np.flatnonzero((x_N >= left) & (x_N <= right) & (y_N >= low) & (y_N <= high))
    x_M, y_M = x_N[near].astype(np.float64), y_N[near].astype(np.float64)
    odd_M = np.zeros(len(near), bool)
    for (x0, y0), (x1, y1) in zip(corners_C2, np.roll(corners_C2, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        level_M = (y0 > y_M) != (y1 > y_M)  # the edge passes the height of the place
        odd_M ^= level_M & (x_M < x0 + (y_M - y0) * ((x1 - x0) / (y1 - y0)))
    found_N = np.zeros(len(x_N), bool)
    found_N[near[odd_M]] = True
    return found_N
