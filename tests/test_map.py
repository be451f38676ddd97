"""The map: near vectors stand near each other, new items find their place, and the old ones never move."""

from __future__ import annotations

import numpy as np
import pytest

from vector_universe.index.map import knn, projection
from vector_universe.index.map.knn import nearest_rows
from vector_universe.index.map.projection import needs_redraw, place_new, project


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def planted(groups=8, each=40, width=32, spread=0.12, seed=0):
    """Unit rows round `groups` random centres, group after group."""
    random = np.random.default_rng(seed)
    centres = unit(random.normal(size=(groups, width)))
    return unit(np.repeat(centres, each, axis=0) + spread * random.normal(size=(groups * each, width)))


def neighbours_by_definition(queries, vectors, k):
    cosines = np.array([[float(np.dot(query, vector)) for vector in vectors.astype(np.float64)]
                        for query in queries.astype(np.float64)])
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(cosines, rows, axis=1), rows


# ---- neighbours ----

def test_few_vectors_get_their_exact_neighbours():
    vectors = planted()
    cosines, rows = nearest_rows(vectors[:30], vectors, 7)
    expected, expected_rows = neighbours_by_definition(vectors[:30], vectors, 7)
    np.testing.assert_allclose(cosines, expected, atol=1e-6)
    np.testing.assert_array_equal(rows, expected_rows)
    assert nearest_rows(vectors[:2], vectors[:3], 9)[1].shape == (2, 3)


@pytest.mark.parametrize("k", [1, 10, 400])
def test_many_vectors_get_nearly_exact_neighbours(monkeypatch, k):
    vectors = unit(np.random.default_rng(1).normal(size=(600, 12)))  # no clusters: the hardest case for lists
    monkeypatch.setattr(knn, "EXACT_UP_TO", 100)
    cosines, rows = nearest_rows(vectors, vectors, k)
    _, expected_rows = neighbours_by_definition(vectors, vectors, k)
    assert np.mean([len({*found} & {*true}) / k for found, true in zip(rows, expected_rows, strict=True)]) > 0.8
    np.testing.assert_array_equal(rows[:, 0], np.arange(600))  # itself, always
    np.testing.assert_allclose(cosines, np.einsum("nd,nkd->nk", vectors, vectors[rows]), atol=1e-5)
    assert (np.diff(cosines, axis=1) <= 1e-6).all()
    again = nearest_rows(vectors, vectors, k)
    np.testing.assert_array_equal(again[1], rows)


# ---- placing ----

def placed_by_definition(new, vectors, places, k):
    """In float64, one item at a time: by the old alone, then thirty times by the nearest of all others."""
    everything = np.concatenate([vectors, new]).astype(np.float64)
    spots = np.concatenate([places, np.zeros((len(new), 2))]).astype(np.float64)
    for turn in range(31):
        moved = spots.copy()
        for number in range(len(vectors), len(everything)):
            halves = ((everything - everything[number])**2).sum(axis=1) / 2
            halves[number] = np.inf
            halves[len(vectors):] = np.inf if turn == 0 else halves[len(vectors):]
            nearest = np.argsort(halves, kind="stable")[:k]
            moved[number] = np.average(spots[nearest], axis=0, weights=1 / (halves[nearest] + 1e-6))
        spots = moved
    return spots[len(vectors):]


@pytest.mark.parametrize("count", [1, 2, 24])
def test_placing_equals_the_definition(count):
    vectors, new = planted(seed=2), planted(each=3, seed=2, spread=0.2)[:count]
    places = np.random.default_rng(3).uniform(-1, 1, (len(vectors), 2)).astype(np.float32)
    np.testing.assert_allclose(place_new(new, vectors, places, k=4), placed_by_definition(new, vectors, places, 4),
                               atol=1e-3)


def test_an_item_equal_to_an_old_one_lands_on_it_and_the_old_stay():
    vectors = planted()
    places = project(vectors)
    before = places.copy()
    placed = place_new(vectors[::7], vectors, places)
    np.testing.assert_allclose(placed, places[::7], atol=1e-3)
    np.testing.assert_array_equal(places, before)


def test_placing_copes_with_nothing_new_and_with_one_old_item():
    vectors = planted()
    assert place_new(vectors[:0], vectors, np.zeros((len(vectors), 2), np.float32)).shape == (0, 2)
    one = place_new(vectors[:5], vectors[:1], np.full((1, 2), 0.25, np.float32))
    np.testing.assert_allclose(one, 0.25)


def test_what_is_new_in_kind_stays_together():
    vectors, stranger = planted(groups=9), planted(groups=9)[-40:]
    old = vectors[:-40]
    places = project(old)
    placed = place_new(stranger, old, places)
    spread = np.linalg.norm(placed - placed.mean(axis=0), axis=1).mean()
    assert spread < 0.1 * np.linalg.norm(places - places.mean(axis=0), axis=1).mean()
    assert (placed >= places.min(axis=0) - 1e-6).all()
    assert (placed <= places.max(axis=0) + 1e-6).all()


def kept_on_the_map(vectors, places, among):
    """Share of the ten nearest by cosine that are among the ten nearest on the map too, of the rows `among`."""
    true = neighbours_by_definition(vectors[among], vectors, 11)[1][:, 1:]
    away = np.linalg.norm(places[among][:, None].astype(np.float64) - places[None], axis=2)
    seen = np.argsort(away, axis=1, kind="stable")[:, 1:11]
    return np.mean([len({*one} & {*other}) / 10 for one, other in zip(true, seen, strict=True)])


def test_placed_items_keep_their_neighbours_nearly_as_well_as_drawn_ones():
    vectors = planted(groups=12, each=40)
    new = np.arange(0, len(vectors), 5)
    old = np.setdiff1d(np.arange(len(vectors)), new)
    drawn = project(vectors)
    places = np.empty_like(drawn)
    places[old] = project(vectors[old])
    places[new] = place_new(vectors[new], vectors[old], places[old])
    by_drawing, by_placing = (kept_on_the_map(vectors, found, new) for found in (drawn, places))
    assert by_drawing > 0.3  # by chance: 0.02
    assert by_placing > 0.6 * by_drawing
    group = np.arange(len(vectors)) // 40
    nearest = np.linalg.norm(places[new][:, None] - places[old][None], axis=2).argmin(axis=1)
    assert (group[old][nearest] == group[new]).mean() > 0.98


def test_a_large_map_is_a_drawn_sample_with_the_others_placed(monkeypatch):
    vectors = planted(groups=6, each=60)
    monkeypatch.setattr(projection, "_DRAWN", 120)
    places = project(vectors)
    np.testing.assert_array_equal(places, project(vectors.copy()))
    assert np.isfinite(places).all()
    assert np.abs(places).max() <= 1
    groups = places.reshape(6, 60, 2)
    spread = np.linalg.norm(groups - groups.mean(axis=1, keepdims=True), axis=2).mean()
    middles = groups.mean(axis=1)
    between = [np.linalg.norm(middles[a] - middles[b]) for a in range(6) for b in range(a)]
    assert min(between) > 2 * spread


def test_principal_components_equal_the_definition(monkeypatch):
    vectors = planted(groups=3, each=30)
    monkeypatch.setattr(projection, "_BLOCK", 17)  # blocks that do not come out even
    centred = vectors.astype(np.float64) - vectors.astype(np.float64).mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(projection._pca(vectors)), np.abs(left[:, :2] * values[:2]), atol=1e-6)


@pytest.mark.parametrize(("placed", "total", "said"), [(0, 0, False), (30, 100, False), (31, 100, True), (5, 5, True)])
def test_a_map_asks_to_be_drawn_anew_when_much_has_come(placed, total, said):
    line = needs_redraw(placed, total)
    assert (line is not None) == said
    if line:
        assert f"{placed} of {total}" in line


def test_islands_far_apart_are_drawn_nearer_and_stay_as_they_are():
    random = np.random.default_rng(4)
    islands = [random.uniform(0, 1, (200, 2)), np.add(random.uniform(0, 1, (40, 2)), [30.0, -50.0])]
    closed = projection._close_gaps(np.concatenate(islands))
    np.testing.assert_allclose(np.diff(closed[:200], axis=0), np.diff(islands[0], axis=0), atol=1e-9)
    np.testing.assert_allclose(np.diff(closed[200:], axis=0), np.diff(islands[1], axis=0), atol=1e-9)
    np.testing.assert_array_equal(np.argsort(closed, axis=0), np.argsort(np.concatenate(islands), axis=0))
    assert 1 < np.ptp(closed[:, 0]) < 5
    assert 1 < np.ptp(closed[:, 1]) < 6
    same = np.ones((5, 2))
    np.testing.assert_array_equal(np.ptp(projection._close_gaps(same), axis=0), [0, 0])
