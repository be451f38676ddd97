"""The linear probe against scikit-learn's logistic regression, run to its end in float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, xlogy
from sklearn.linear_model import LogisticRegression

from vector_universe.evaluation.classification import classify
from vector_universe.evaluation.linear_probe import STRENGTHS, LinearProbe, Sweep, fit_path, suited, sweep


def features(rows=400, width=24, classes=5, seed=0, apart=0.6):
    """Unit rows around a common mean, with a decaying spectrum, as those of a network are."""
    draw = np.random.default_rng(seed)
    spectrum = np.arange(1, width + 1)**-0.7
    true = draw.integers(0, classes, rows)
    means = draw.normal(size=(classes, width)) * apart
    made = (draw.normal(size=(rows, width)) + means[true]) * spectrum
    made = made @ np.linalg.qr(draw.normal(size=(width, width)))[0] + 0.4
    return made / np.linalg.norm(made, axis=1, keepdims=True), true


def reference(rows, true, strength):
    """The optimum by scikit-learn, with the objective there as a mean."""
    model = LogisticRegression(C=strength, solver="newton-cg", tol=1e-10, max_iter=10_000).fit(rows, true)
    return model, objective(model.coef_, model.intercept_, rows, true, strength)


def objective(weights, bias, rows, true, strength):
    losses = -log_softmax(rows @ weights.T + bias, axis=1)[np.arange(len(true)), true]
    return losses.mean() + (weights**2).sum() / (2 * strength * len(rows))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [400, 15], ids=["more rows than columns", "fewer"])
def test_every_optimum_of_the_path_is_scikit_learns(kind, rows):
    made, true = features(rows)
    others, _ = features(300, seed=1)
    compared = 0
    for probe in fit_path(made.astype(kind), true):
        model, least = reference(made, true, probe.strength)
        assert probe.objective == pytest.approx(least, abs=3e-6)
        exact = objective(probe.weights_CD, probe.bias_C, made, true, probe.strength)
        assert probe.objective == pytest.approx(exact, abs=1e-6)
        likely = model.predict_proba(others)
        sure = np.diff(np.sort(likely, axis=1)[:, -2:], axis=1)[:, 0] > 0.03
        compared += int(sure.sum())
        assert np.array_equal(probe.logits(others).argmax(axis=1)[sure], likely.argmax(axis=1)[sure])
    assert compared > 1000


def test_predictions_and_probabilities_are_those_of_scikit_learn():
    made, true = features(apart=0.4)
    probe = fit_path(made, true, [10.0])[0]
    model, _ = reference(made, true, 10.0)
    assert np.array_equal(probe.logits(made).argmax(axis=1), model.predict(made))
    assert probe.probabilities(made) == pytest.approx(model.predict_proba(made), abs=2e-3)
    assert probe.probabilities(made).sum(axis=1) == pytest.approx(1)


def test_labels_are_problems_of_their_own():
    made, true = features()
    labels = np.stack([true == 0, true <= 1, true == 4], axis=1)
    for probe in fit_path(made, labels, [0.1, 10.0, 1000.0]):
        least = 0.0
        for label in range(3):
            model = LogisticRegression(C=probe.strength, solver="newton-cg", tol=1e-10, max_iter=10_000)
            yes = model.fit(made, labels[:, label]).predict_proba(made)[:, 1]
            least += -(xlogy(labels[:, label], yes) + xlogy(~labels[:, label], 1 - yes)).mean()
            least += (model.coef_**2).sum() / (2 * probe.strength * len(made))
        assert probe.objective == pytest.approx(least, abs=3e-6)
        assert probe.probabilities(made)[:, 2] == pytest.approx(yes, abs=5e-3)


def test_the_order_of_strengths_and_a_shift_of_the_features_change_nothing():
    made, true = features()
    up, down = fit_path(made, true), fit_path(made, true, STRENGTHS[::-1])[::-1]
    moved = fit_path(made + 3.0, true)
    for one, other, third in zip(up, down, moved, strict=True):
        assert other.objective == pytest.approx(one.objective, abs=3e-6)
        assert third.objective == pytest.approx(one.objective, abs=3e-6)


@pytest.mark.parametrize("made", [np.full((40, 6), 0.4, np.float32), np.eye(6, dtype=np.float32)[np.arange(40) % 2]],
                         ids=["collapsed", "two points"])
def test_features_without_variance_end_finite(made):
    true = np.arange(40) % 4 // 2
    for probe in fit_path(made, true):
        assert np.isfinite(probe.logits(made)).all()
    flat = fit_path(np.full((40, 6), 0.4, np.float32), np.arange(40) % 4 // 3)[-1]
    assert flat.objective == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)), abs=1e-6)


def test_suited_strengths_make_crowded_features_as_good_as_wide_ones():
    made, true = features()
    assert suited([1.0, 10.0], made * 10) == pytest.approx([strength / 100 for strength in suited([1.0, 10.0], made)])
    crowded = made * 0.01 + 0.5
    for wide, narrow in zip(fit_path(made, true, suited(STRENGTHS, made)),
                            fit_path(crowded, true, suited(STRENGTHS, crowded)), strict=True):
        assert narrow.objective == pytest.approx(wide.objective, abs=5e-6)
    assert np.isfinite(suited([1.0], np.ones((4, 3)))).all()


def test_a_class_without_rows_is_never_likely():
    made, true = features()
    probe = fit_path(made, true, [1.0], classes=7)[0]
    assert probe.weights_CD.shape == (7, made.shape[1])
    assert probe.probabilities(made)[:, 5:].max() < 0.01


def test_the_sweep_takes_the_best_and_fits_both_parts():
    made, true = features(600, apart=0.35)
    judged = []

    def judge(logits, classes):
        judged.append(classify(logits, classes).top_1)
        return judged[-1]

    found = sweep(made[:400], true[:400], made[400:], true[400:], judge)
    assert found.scores == tuple(judged)
    best = STRENGTHS[int(np.argmax(judged))]  # the first of equals is the smallest
    assert found.probe.strength == best
    _, least = reference(made, true, best)
    assert found.probe.objective == pytest.approx(least, abs=3e-6)


@pytest.mark.parametrize(("scores", "best", "at_the_edge"), [
    ((0.9, 0.8, 0.7), 0, True),
    ((0.7, 0.8, 0.9), 2, True),
    ((0.7, 0.9, 0.8), 1, False),
    ((0.9, 0.9, 0.9), 0, False),  # all are as good: no better one lies beyond
])
def test_the_edge_of_a_sweep(scores, best, at_the_edge):
    strengths = (0.1, 1.0, 10.0)
    probe = LinearProbe(np.zeros((2, 2)), np.zeros(2), strengths[best], 0.0, 1, True)
    assert Sweep(probe, strengths, scores).at_the_edge == at_the_edge


@pytest.mark.parametrize(("rows", "targets", "strengths", "said"), [
    (np.ones((3, 2)), np.zeros(2, int), [1.0], "give N ≥ 1 rows"),
    (np.ones((0, 2)), np.zeros(0, int), [1.0], "give N ≥ 1 rows"),
    (np.array([[1.0, np.nan]]), np.zeros(1, int), [1.0], "not finite"),
    (np.ones((3, 2)), np.array([0, 1, -1]), [1.0], "classes run from -1"),
    (np.ones((3, 2)), np.array([0, 1, 1]), [0.0], "must be positive"),
])
def test_impossible_input_is_refused(rows, targets, strengths, said):
    with pytest.raises(ValueError, match=said):
        fit_path(rows, targets, strengths)
