"""Calibration: found again where it is known, honest on queries left out, kept with the model, shown in a search."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vector_universe import DualEncoder, Universe, load_dataset
from vector_universe.cli import main
from vector_universe.data import Example
from vector_universe.evaluation.calibration import (
    Hits,
    best_threshold,
    calibration_error,
    cross_fit,
    equal_mass_bins,
    fit,
    fit_logistic,
    hits_of,
)
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.calibration import calibration_of, evaluate_calibration, log_loss
from vector_universe.evaluation.subject import Subject
from vector_universe.index.table.generation import current, read, renew_calibration
from vector_universe.index.table.place import Place
from vector_universe.models import DualEncoderConfig
from vector_universe.models.calibration import Calibration
from vector_universe.models.post_processing import PostProcessing

KNOWN = Calibration(30.0, -9.0, 200, 0.25, 300, "data", "model")


def logistic(values):
    return 1 / (1 + np.exp(-values))


def silent(stage, done, total):
    pass


def search(seed, queries, candidates, k=10, apart=0.3, spread=0.08):
    """Hits of simulated searches: one right image at a mean cosine of `apart`, the others about 0.

    The odds of a cosine s are exactly logistic: slope apart / spread², intercept −apart² / (2 spread²) − ln(N − 1).
    """
    draw = np.random.default_rng(seed)
    cosines = draw.normal(0, spread, (queries, candidates))
    cosines[:, 0] += apart
    best_without = cosines[:, 1:].max(axis=1)
    places = np.argsort(-cosines, axis=1)[:, :k]
    found = np.take_along_axis(cosines, places, axis=1)
    return Hits(found, places == 0, found[:, 0], best_without, candidates)


# ---- the map ----


def test_the_fit_finds_a_known_logistic_model_again():
    draw = np.random.default_rng(0)
    cosines = draw.uniform(0.1, 0.5, 200_000)
    right = draw.random(len(cosines)) < logistic(25 * cosines - 8)
    slope, intercept = fit_logistic(cosines, right)
    assert slope == pytest.approx(25, rel=0.02)
    assert intercept == pytest.approx(-8, rel=0.02)


@given(st.integers(0, 2**32 - 1))
def test_the_fit_is_the_best_by_gradient(seed):
    draw = np.random.default_rng(seed)
    values = draw.normal(size=60)
    right = draw.random(60) < logistic(2 * values)
    slope, intercept = fit_logistic(values, right)
    above, below = right.sum(), (~right).sum()
    residual = logistic(slope * values + intercept) - np.where(right, (above + 1) / (above + 2), 1 / (below + 2))
    assert abs(residual.sum()) < 1e-5  # both derivatives of the likelihood are zero
    assert abs((residual * values).sum()) < 1e-5


def test_cosines_that_separate_perfectly_have_a_finite_slope():
    slope, intercept = fit_logistic(np.array([0.1, 0.2, 0.7, 0.8]), np.array([False, False, True, True]))
    assert 0 < slope < 1000
    assert logistic(slope * 0.45 + intercept) == pytest.approx(0.5, abs=1e-6)


def test_of_full_lists_of_hits_the_simulation_has_the_known_numbers():
    hits = search(0, 3000, 200, k=200)
    fitted = fit(hits)
    assert fitted.slope == pytest.approx(0.3 / 0.08**2, rel=0.05)
    assert fitted.intercept == pytest.approx(-(0.3**2) / (2 * 0.08**2) - np.log(199), rel=0.05)


def test_the_shift_by_candidates_is_right():
    """Fitted among 200, used among 2,000: what is said to be so likely is so often right, by bins."""
    few, many = search(0, 3000, 200), search(1, 3000, 2000)
    fitted = fit(few)
    calibration = Calibration(fitted.slope, fitted.intercept, 200, fitted.threshold, 3000, "", "")
    units = [str(number) for number in range(3000)]
    shifted, _ = calibration_error(calibration.probability(many.cosines_QK, 2000), many.right_QK, units, draws=100)
    as_it_is, _ = calibration_error(calibration.probability(many.cosines_QK), many.right_QK, units, draws=100)
    assert shifted < 0.015
    assert as_it_is > 0.05

    def balanced(least):
        said = calibration.probability(np.stack([many.best_Q, many.best_without_Q]), 2000) >= least
        return (said[0].mean() + 1 - said[1].mean()) / 2

    best = best_threshold(many.best_Q, many.best_without_Q)
    at_best = ((many.best_Q >= best).mean() + (many.best_without_Q < best).mean()) / 2
    at_old = ((many.best_Q >= fitted.threshold).mean() + (many.best_without_Q < fitted.threshold).mean()) / 2
    assert at_best >= balanced(calibration.least_probability) > at_old + 0.02
    assert at_best - balanced(calibration.least_probability) < 0.02


def test_where_cosines_say_nothing_there_is_no_fit():
    hits = search(0, 100, 50, apart=0.0)
    assert fit(replace(hits, right_QK=np.zeros_like(hits.right_QK))) is None
    assert fit(replace(hits, right_QK=np.ones_like(hits.right_QK))) is None
    backwards = search(0, 400, 50, k=50, apart=-0.3)
    assert fit(backwards) is None
    assert cross_fit(backwards, [str(number) for number in range(400)]) is None


# ---- the threshold ----


@given(st.lists(st.integers(0, 12), min_size=1, max_size=20), st.lists(st.integers(0, 12), min_size=1, max_size=20))
def test_the_threshold_has_the_best_balanced_accuracy(with_answer, without):
    with_answer, without = np.array(with_answer) / 12, np.array(without) / 12

    def balanced(threshold):
        return ((with_answer >= threshold).mean() + (without < threshold).mean()) / 2

    tried = np.concatenate([[-1.0, 2.0], (np.arange(-1, 14) + 0.5) / 12])
    found = best_threshold(with_answer, without)
    # "refuse all" and "refuse none" are as good as each other, so that a threshold above all is never needed
    assert balanced(found) == pytest.approx(max(map(balanced, tried)))


# ---- hits ----


def test_hits_equal_a_slow_search():
    draw = np.random.default_rng(0)
    queries, images = (rows / np.linalg.norm(rows, axis=1, keepdims=True)
                       for rows in (draw.normal(size=(30, 6)), draw.normal(size=(20, 6))))
    right = [[row % 20, (row * 7) % 20] for row in range(29)] + [list(range(20))]
    found = hits_of(queries, images, right, k=4)
    for row, own in enumerate(right):
        cosines = images @ queries[row]
        order = sorted(range(20), key=lambda place: -cosines[place])
        np.testing.assert_allclose(found.cosines_QK[row], cosines[order[:4]])
        assert found.right_QK[row].tolist() == [place in own for place in order[:4]]
        others = [cosines[place] for place in range(20) if place not in own]
        assert found.best_without_Q[row] == pytest.approx(max(others, default=-1))
    np.testing.assert_allclose(found.best_Q, found.cosines_QK[:, 0])
    assert found.candidates == 20
    assert hits_of(queries, images[:3], [[0]] * 30).cosines_QK.shape == (30, 3)


# ---- judging ----


def test_bins_have_equal_mass_and_ties_stay_together():
    draw = np.random.default_rng(0)
    assert set(np.bincount(equal_mass_bins(draw.random(1000)))) == {100}
    tied = draw.integers(0, 3, 1000) / 3
    numbers = equal_mass_bins(tied)
    assert all(len(set(numbers[tied == value])) == 1 for value in set(tied))
    assert set(equal_mass_bins(np.full(50, 0.3))) == {0}


def test_the_error_is_that_of_a_slow_sum():
    draw = np.random.default_rng(0)
    chances, right = draw.random((50, 4)), draw.random((50, 4)) < 0.5
    bins = equal_mass_bins(chances.ravel())
    slow = sum(np.mean(bins == one) * abs(chances.ravel()[bins == one].mean() - right.ravel()[bins == one].mean())
               for one in set(bins))
    assert calibration_error(chances, right, [str(row // 2) for row in range(50)])[0] == pytest.approx(slow)


def test_its_interval_holds_the_truth():
    """Probabilities that are right have an error of 0, and too bold ones a known one: 19 of 20 intervals hold it."""
    held = {0.0: 0, 0.03: 0, 0.1: 0}
    for seed in range(60):
        draw = np.random.default_rng(seed)
        chances = draw.uniform(0.2, 0.8, (150, 5))
        for shift in held:
            right = draw.random(chances.shape) < chances - shift
            found = calibration_error(chances, right, [str(row) for row in range(150)], draws=200)[1]
            held[shift] += found.low <= shift <= found.high
    assert min(held.values()) >= 54, held


def test_cross_fitting_judges_every_query_by_others():
    hits, units = search(0, 300, 100), [str(row // 2) for row in range(300)]
    found = cross_fit(hits, units, seed=3)
    whole = fit(hits)
    assert np.abs(found.probabilities_QK - whole.probability(hits.cosines_QK)).max() < 0.1
    slopes = {(row, number) for row, number in enumerate(np.round(found.base_rates_Q, 9))}
    assert len({number for _, number in slopes}) > 1
    assert all(found.base_rates_Q[row] == found.base_rates_Q[row + 1] for row in range(0, 300, 2))  # one unit, one fold
    # a query that alone is odd is not fitted on
    odd = replace(hits, right_QK=hits.right_QK.copy())
    odd.right_QK[:2] = ~odd.right_QK[:2]
    np.testing.assert_array_equal(cross_fit(odd, units, seed=3).probabilities_QK[:2], found.probabilities_QK[:2])


def test_log_loss():
    found = log_loss(np.array([0.8, 0.8, 0.0]), np.array([True, False, True]))
    assert found == pytest.approx([-np.log(0.8), -np.log(0.2), 12 * np.log(10)])


# ---- on a subject ----


class Told:
    """A model that gives the vectors it was told."""

    def __init__(self, vectors):
        self.vectors = vectors

    def embed_texts(self, texts):
        return np.stack([self.vectors[text] for text in texts])

    def fingerprint(self):
        return "the model"


class Data:
    fingerprint = "the data"


def told(count=200, noise=0.8, sign=1):
    draw = np.random.default_rng(0)
    own = draw.normal(size=(count, 16))
    images, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True)
                     for rows in (own, sign * own + noise * draw.normal(size=own.shape)))
    examples = [Example(str(number), b"", [f"text {number}"], [], "validation") for number in range(count)]
    return Subject("told", Told({f"text {number}": row for number, row in enumerate(texts)}), Data(), examples,
                   images.astype(np.float32), [])


def test_the_section_and_the_calibration_agree():
    subject = told()
    section = evaluate_calibration(subject, EvaluateConfig(draws=200), silent)
    found = calibration_of(section, "the data", "the model")
    assert (found.slope, found.threshold) == (section.details["slope"], section.details["threshold"])
    assert (found.candidates, found.queries, found.data, found.model) == (200, 200, "the data", "the model")
    error = section.figure("validation", "expected calibration error")
    assert error.value < 0.03
    brier, loss = (section.figure("validation", name) for name in ("Brier score", "log loss"))
    assert brier.high < brier.chance
    assert loss.high < loss.chance
    assert section.figure("validation", "answerable queries refused").value < 0.3
    assert section.figure("validation", "unanswerable queries caught").value > 0.7
    assert section.warnings == ()
    assert section.plots[0].diagonal
    curve = section.plots[0].curves[0]
    assert len(curve.x) == len(curve.low) == 10
    assert all(low - 1e-12 <= y <= high for low, y, high in zip(curve.low, curve.y, curve.high, strict=True))


def test_too_few_texts_or_none():
    few = evaluate_calibration(told(49), EvaluateConfig(), silent)
    assert calibration_of(few, "", "") is None
    assert "fewer than 50 texts" in few.remarks[0]
    train = replace(told(), examples=[replace(example, split="train") for example in told().examples])
    assert evaluate_calibration(train, EvaluateConfig(), silent) is None


def test_a_threshold_that_tells_nothing_is_warned_of():
    section = evaluate_calibration(told(noise=4.0), EvaluateConfig(draws=100), silent)
    assert "cannot tell whether anything matches" in section.warnings[0]
    blind = calibration_of(section, "", "")
    assert blind.probability(-0.99) >= blind.least_probability  # so that no search says that nothing matches


def test_a_model_whose_cosines_say_nothing_is_warned_of():
    subject = told(60, noise=0.1)
    point = replace(subject, images_ND=np.tile(subject.images_ND[:1], (60, 1)))
    found = evaluate_calibration(replace(point, _texts={}), EvaluateConfig(draws=100), silent)
    never = evaluate_calibration(told(60, sign=-1, noise=0.0), EvaluateConfig(draws=100), silent)
    assert calibration_of(never, "", "") is None  # the own image is never among the nearest
    assert found.warnings or found.figure("validation", "log loss").value > 0.9 * found.figure(
        "validation", "log loss").chance


# ---- the numbers, kept ----


def test_probabilities():
    assert KNOWN.probability(0.3) == pytest.approx(0.5)
    assert KNOWN.probability(0.3, 200) == KNOWN.probability(0.3)
    assert KNOWN.probability(0.3, 2000) == pytest.approx(1 / 11)  # odds of 1 fall tenfold
    np.testing.assert_allclose(KNOWN.probability(np.array([0.3, -40, 40])), [0.5, 0, 1])
    assert KNOWN.least_probability == pytest.approx(logistic(30 * 0.25 - 9))


def test_it_is_kept_beside_the_model(tmp_path):
    torch.manual_seed(0)
    model = DualEncoder.from_scratch(["a", "b"], DualEncoderConfig(image_width=64, embedding_width=16)).eval()
    model.save_pretrained(tmp_path)
    before = model.fingerprint()
    assert not (tmp_path / "calibration.json").exists()
    assert DualEncoder.from_pretrained(tmp_path).calibration is None
    model.calibration = KNOWN
    assert model.fingerprint() == before
    model.save_pretrained(tmp_path)
    assert DualEncoder.from_pretrained(tmp_path).calibration == KNOWN
    model.set_post_processing(PostProcessing("centre", 16))
    assert model.calibration is None  # cosines are others now
    model.save_pretrained(tmp_path)
    assert not (tmp_path / "calibration.json").exists()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"slope": 1}',
                                     KNOWN.to_json().replace("30.0", "NaN"), KNOWN.to_json().replace("30.0", "-30.0"),
                                     KNOWN.to_json().replace("200", "0"), KNOWN.to_json().replace("30.0", '"30"')])
def test_a_damaged_file_is_no_calibration(content, tmp_path):
    (tmp_path / "calibration.json").write_text(content)
    assert Calibration.read(tmp_path) is None


# ---- in a search ----


@pytest.fixture
def calibrated(universe_path, tmp_path):
    """The universe of the shapes, whose model says what its cosines mean."""
    path = tmp_path / "universe"
    shutil.copytree(universe_path, path)
    found = replace(KNOWN, model=Universe.open(path).generation.model_fingerprint, candidates=60, threshold=-1.0)
    _give(path, found)
    return path, found


def _give(path, found):
    """Give a universe's model another calibration, as indexing with a calibrated model does."""
    root = Place(path)
    renew_calibration(root, read(root, current(root)), SimpleNamespace(calibration=found))


def test_hits_of_a_text_have_probabilities(calibrated, universe_path):
    path, found = calibrated
    hits = Universe.open(path).search("large red circle", k=5)
    plain = Universe.open(universe_path).search("large red circle", k=5)
    assert [hit.probability for hit in plain] == [None] * 5
    assert tuple(replace(hit, probability=None) for hit in hits) == plain.hits
    assert [hit.probability for hit in hits] == pytest.approx([found.probability(hit.score, 60) for hit in hits])


def test_other_searches_have_none(calibrated, small_folder):
    universe = Universe.open(calibrated[0])
    image = load_dataset(small_folder)[0].image
    for hits in (universe.search(image=image), universe.search("circle", image=image),
                 universe.neighbours(universe.search("circle")[0].id)):
        assert all(hit.probability is None for hit in hits)
        assert hits.doubt is None


def test_searching_a_vector_loads_no_model(calibrated):
    universe = Universe.open(calibrated[0])
    universe.search_vector(np.ones(64))
    assert universe._model is None


def test_the_command_shows_them(calibrated, capsys):
    path, found = calibrated
    main(["search", str(path), "large red circle", "-k", "2"])
    shown = capsys.readouterr()
    assert "match" in shown.out
    assert "%" in shown.out
    assert "nothing here matches" not in shown.err
    _give(path, replace(found, threshold=1.0))
    main(["search", str(path), "large red circle", "-k", "2", "--json"])
    shown = capsys.readouterr()
    assert [set(hit) for hit in json.loads(shown.out)] == [{"id", "title", "labels", "score", "probability"}] * 2
    main(["search", str(path), "large red circle", "-k", "2"])
    assert "nothing here matches well: the best is '" in capsys.readouterr().err


def test_without_a_calibration_nothing_is_claimed(universe_path, capsys):
    main(["search", str(universe_path), "large red circle", "-k", "2"])
    assert "%" not in capsys.readouterr().out
    main(["search", str(universe_path), "large red circle", "-k", "1", "--json"])
    assert json.loads(capsys.readouterr().out)[0]["probability"] is None


def test_a_calibration_of_another_model_is_left_out_with_a_warning(calibrated):
    path, found = calibrated
    _give(path, replace(found, model="0123456789abcdef"))
    with pytest.warns(UserWarning, match="measured with the model 0123456789ab"):
        hits = Universe.open(path).search("circle")
    assert hits[0].probability is None


def test_a_universe_that_is_there_gets_a_later_calibration(calibrated, small_folder):
    path, found = calibrated
    model = DualEncoder.from_pretrained(path / "g0001" / "model").eval()
    model.calibration = replace(found, slope=12.0)
    Universe.build(model, load_dataset(small_folder), path)
    assert Calibration.read(path / "g0001" / "model").slope == 12
