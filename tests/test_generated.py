"""Figures of generated pictures against slow references, and at the ends of their scales."""

from __future__ import annotations

import numpy as np
import pytest

from vector_universe.evaluation.generated import density_and_coverage, frechet_distance, mean_distance, text_match


def rows(count: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_text_match_against_loops():
    images, texts = unit(rows(30, 8, 0) + 1.5 * rows(30, 8, 1)), unit(rows(30, 8, 1))
    found = text_match(images, texts)
    order, shuffled, first = [], [], []
    for i in range(30):
        others = [images[i] @ texts[j] for j in range(30) if j != i]
        order += [images[i] @ texts[i] > other for other in others]
        shuffled += others
        first.append(sum(other > images[i] @ texts[i] for other in others) < 10)
    assert found.own == pytest.approx(np.mean([images[i] @ texts[i] for i in range(30)]))
    assert found.shuffled == pytest.approx(np.mean(shuffled))
    assert found.right_order == pytest.approx(np.mean(order))
    assert found.recall_at_10 == pytest.approx(np.mean(first))
    assert found.chance_at_10 == pytest.approx(1 / 3)


def test_pictures_that_say_nothing_are_at_chance():
    found = text_match(unit(rows(400, 32, 0)), unit(rows(400, 32, 1)))
    assert abs(found.right_order - 0.5) < 0.03
    assert abs(found.recall_at_10 - found.chance_at_10) < 0.03


def test_equal_texts_are_not_others():
    texts = unit(rows(3, 8, 1))[[0, 0, 1, 2]]
    found = text_match(texts, texts)
    assert found.right_order == 1
    assert found.shuffled < found.own == pytest.approx(1)


def test_frechet_distance_of_gaussians_along_axes():
    one, other = rows(5000, 3, 0), rows(5000, 3, 1)
    one, other = ((z - z.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(z, rowvar=False))).T for z in (one, other))
    scale, shift = np.array([2.0, 0.5, 3.0]), np.array([1.0, -1.0, 0.0])
    by_hand = (shift**2).sum() + ((scale - 1) ** 2).sum()  # of diagonal covariances
    assert frechet_distance(one, other * scale + shift) == pytest.approx(by_hand, rel=1e-6)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one, other * scale + shift) == pytest.approx(frechet_distance(other * scale + shift, one))


def test_frechet_distance_holds_where_there_are_fewer_rows_than_dimensions():
    one, other = rows(10, 40, 0), rows(12, 40, 1)
    assert 0 < frechet_distance(one, other) < np.inf


def test_density_and_coverage_against_loops():
    real, generated = rows(40, 4, 0), rows(25, 4, 1) * 0.5
    radius = [sorted(np.linalg.norm(real[i] - real[j]) for j in range(40) if j != i)[4] for i in range(40)]
    inside = np.array([[np.linalg.norm(real[i] - g) < radius[i] for g in generated] for i in range(40)])
    density, coverage = density_and_coverage(real, generated)
    assert density == pytest.approx(inside.sum() / (5 * 25))
    assert coverage == pytest.approx(inside.any(1).mean())


def test_coverage_falls_when_modes_are_missing_and_density_does_not():
    real = np.concatenate([rows(100, 4, 0), rows(100, 4, 1) + 20])
    density, coverage = density_and_coverage(real, rows(200, 4, 2))  # one of two modes
    whole_density, whole_coverage = density_and_coverage(real, np.concatenate([rows(100, 4, 3), rows(100, 4, 4) + 20]))
    assert coverage <= 0.5 < whole_coverage
    assert density > 0.8 * whole_density


def test_one_picture_for_all_covers_next_to_nothing():
    real = rows(200, 8, 0)
    assert density_and_coverage(real, np.repeat(real[:1], 100, axis=0))[1] < 0.1


def test_mean_distance_by_hand():
    assert mean_distance(np.array([[0.0, 0], [3, 4], [0, 0]])) == pytest.approx(10 / 3)
