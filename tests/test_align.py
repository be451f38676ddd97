"""Laying one map over another."""

from __future__ import annotations

import numpy as np
import pytest

from vector_universe.serve.served.align import Alignment


def turned(places_N2, degrees, mirrored=False):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return places_N2 @ turn @ np.diag([1, -1 if mirrored else 1])


def some_places(count=200, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 2)) * [0.2, 0.1]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 37, 180, 271])
def test_a_map_that_was_turned_mirrored_scaled_and_shifted_comes_back(degrees, mirrored):
    onto = some_places()
    moved = 3 * turned(onto, degrees, mirrored) + [5, -7]
    np.testing.assert_allclose(Alignment.of(moved, onto)(moved), onto, atol=1e-6)


def test_no_other_turn_brings_the_maps_nearer():
    """Against trying them all, of maps that agree only roughly."""
    onto = some_places()
    places = turned(onto, 100, mirrored=True) + np.random.default_rng(1).normal(size=onto.shape) * 0.15
    found = Alignment.of(places, onto)

    def distance(aligned):
        return ((aligned - onto)**2).sum()

    centred = found.scale * (places - places.mean(axis=0))
    tried = [distance(turned(centred, degrees / 4, mirrored) + onto.mean(axis=0))
             for degrees in range(4 * 360) for mirrored in (False, True)]
    assert distance(found(places)) <= min(tried) + 1e-5
    assert distance(found(places)) >= min(tried) * 0.999


def test_maps_that_do_not_agree_keep_their_size():
    onto, places = some_places(seed=1), some_places(seed=2)
    aligned = Alignment.of(places, onto)(places)
    assert np.linalg.norm(aligned - aligned.mean(axis=0)) == pytest.approx(np.linalg.norm(onto - onto.mean(axis=0)))


def test_what_would_leave_the_map_is_brought_back_into_it():
    square = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    aligned = Alignment.of(turned(square, 45), square * [1, 0.2])(turned(square, 45))
    assert np.abs(aligned).max() <= 1
    assert (np.abs(aligned).max(axis=1) == 1).mean() <= 0.011


def test_items_that_all_lie_in_one_place_can_be_aligned():
    onto = some_places()
    aligned = Alignment.of(np.full((200, 2), 0.3), onto)(np.full((200, 2), 0.3))
    np.testing.assert_allclose(aligned, np.tile(onto.mean(axis=0), (200, 1)), atol=1e-6)
    assert np.isfinite(Alignment.of(onto[:1], onto[:1])(onto[:1])).all()
