"""Few-shot curves: what is drawn, the interval, and where the curve crosses the zero-shot line."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from vector_universe.evaluation import few_shot as module
from vector_universe.evaluation.few_shot import crossing, few_shot, possible_shots
from vector_universe.evaluation.linear_probe import fit_path, suited


def planted(rows, seed, classes=4, width=16, apart=1.5):
    draw = np.random.default_rng(seed)
    true = np.arange(rows) % classes
    means = np.random.default_rng(99).normal(size=(classes, width)) * apart
    made = draw.normal(size=(rows, width)) + means[true]
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32), true


def test_accuracy_grows_with_shots_to_that_of_the_planted_classes():
    train, classes = planted(200, 0, apart=0.7)
    test, wanted = planted(400, 1, apart=0.7)
    found = few_shot(train, classes, test, wanted, 4)
    assert [point.shots for point in found] == [1, 2, 4, 8, 16]
    assert found[0].mean < found[2].mean < found[4].mean
    assert found[4].mean > 0.7
    assert all(0.25 < point.low <= point.mean <= point.high <= 1 for point in found)


def test_the_interval_is_students():
    train, classes = planted(100, 0, apart=0.5)
    test, wanted = planted(200, 1, apart=0.5)
    point = few_shot(train, classes, test, wanted, 4, [4], samples=6)[0]
    assert len(set(point.accuracies)) > 1
    low, high = stats.t.interval(0.95, 5, np.mean(point.accuracies), stats.sem(point.accuracies))
    assert (point.low, point.high) == pytest.approx((low, high))


def test_images_are_drawn_without_replacement_and_grow(monkeypatch):
    train, classes = planted(40, 0)
    number = {row.tobytes(): place for place, row in enumerate(train)}
    drawn = []

    def watched(rows, targets, strengths, count):
        drawn.append([number[row.tobytes()] for row in rows])
        assert np.bincount(targets).tolist() == [len(rows) // 4] * 4
        return fit_path(rows, targets, strengths, count)

    monkeypatch.setattr(module, "fit_path", watched)
    few_shot(train, classes, train, classes, 4, [2, 8], samples=5)
    assert all(len(set(places)) == len(places) for places in drawn)
    for small, large in zip(drawn[:5], drawn[5:], strict=True):
        assert set(small) < set(large)
    assert len({tuple(places) for places in drawn}) == 10


def test_a_seed_gives_the_same_curve_and_another_another():
    train, classes = planted(100, 0, apart=0.5)
    test, wanted = planted(200, 1, apart=0.5)
    one, again, other = (few_shot(train, classes, test, wanted, 4, [2], seed=seed)[0] for seed in (3, 3, 4))
    assert one == again
    assert one.accuracies != other.accuracies


def test_small_classes_give_all_they_have():
    train, classes = planted(40, 0)
    kept = np.flatnonzero((classes != 3) | (np.arange(40) < 12))  # class 3 has three images
    point = few_shot(train[kept], classes[kept], train, classes, 4, [1, 8])[1]
    assert point.short == 1
    assert possible_shots(np.array([3, 10, 10, 10])) == [1, 2, 4, 8]
    assert possible_shots(np.array([1, 1, 1, 10])) == [1]
    assert possible_shots(np.array([4, 4, 1, 1])) == [1, 2, 4]


def test_the_strength_is_16_by_spread():
    train, classes = planted(80, 0)
    spread = np.square(train - train.mean(axis=0)).sum(axis=1).mean()
    reference = LogisticRegression(C=16 / spread, tol=1e-8, max_iter=1000).fit(train, classes)
    probe = fit_path(train, classes, suited([16], train))[0]
    assert probe.probabilities(train) == pytest.approx(reference.predict_proba(train), abs=2e-3)
    assert few_shot(np.ones_like(train), classes, np.ones_like(train), classes, 4, [1])[0].mean == pytest.approx(
        0, abs=0.26)  # a collapsed model is at chance at most


@pytest.mark.parametrize(("accuracies", "zero_shot", "wanted"), [
    ([0.2, 0.4, 0.6], 0.5, 2 * 2**0.5),
    ([0.2, 0.4, 0.6], 0.4, 2),
    ([0.2, 0.4, 0.6], 0.1, 1),
    ([0.2, 0.4, 0.6], 0.2, 1),
    ([0.2, 0.4, 0.6], 0.6, 4),
    ([0.2, 0.4, 0.6], 0.61, None),
    ([0.3, 0.2, 0.4], 0.35, 2 * 2**0.75),
    ([0.3, 0.3, 0.3], 0.5, None),
])
def test_the_crossing_lies_between_points_by_their_logarithm(accuracies, zero_shot, wanted):
    assert crossing([1, 2, 4], accuracies, zero_shot) == (None if wanted is None else pytest.approx(wanted))


def test_impossible_input_is_refused():
    train, classes = planted(8, 0)
    with pytest.raises(ValueError, match="a row a class"):
        few_shot(train, classes, train, classes, 5)
    with pytest.raises(ValueError, match="give 2 samples"):
        few_shot(train, classes, train, classes, 4, samples=1)
