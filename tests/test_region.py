"""Regions of the map: places inside a polygon, against a definition that takes one place at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vector_universe.errors import UserError
from vector_universe.index.search.region import check_polygon, inside

STAR = tuple((math.sin(turn * 4 * math.pi / 5), math.cos(turn * 4 * math.pi / 5)) for turn in range(5))


def by_definition(polygon, x, y):
    """Whether a ray to the right crosses the edge an odd number of times."""
    crossed = 0
    for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (y0 <= y < y1 or y1 <= y < y0) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            crossed += 1
    return crossed % 2 == 1


@pytest.mark.parametrize("corners", [3, 4, 7, 200])
def test_it_equals_the_definition(corners):
    draw = np.random.default_rng(corners)
    polygon = tuple(map(tuple, draw.uniform(-1, 1, (corners, 2)).tolist()))
    x, y = draw.uniform(-1.2, 1.2, (2, 400)).astype(np.float32)
    expected = [by_definition(polygon, float(a), float(b)) for a, b in zip(x, y, strict=True)]
    assert inside(polygon, x, y).tolist() == expected


def test_what_a_star_encloses_twice_lies_outside():
    found = inside(STAR, np.array([0.0, 0.0, 0.0], np.float32), np.array([0.0, 0.8, 1.1], np.float32))
    assert found.tolist() == [False, True, False]


def test_places_without_numbers_lie_nowhere():
    square = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
    values = np.array([np.nan, np.inf, 0.0], np.float32)
    assert inside(square, values, values).tolist() == [False, False, True]
    assert not inside(((0, 0), (0, 0), (0, 0)), values, values).any()
    assert inside(square, values[:0], values[:0]).shape == (0,)


@pytest.mark.parametrize("polygon", [((0, 0), (1, 1)), ((0, 0),) * 201, ((0, 0), (1, 1), (math.nan, 0)),
                                     ((0, 0), (1, 1), (math.inf, 0)), ((0, 0), (1, 1), (1,)),
                                     ((0, 0), (1, 1), ("a", 0))])
def test_what_is_no_polygon(polygon):
    with pytest.raises(UserError):
        check_polygon(polygon)
