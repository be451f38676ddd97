"""Shift: the line of effective robustness against slow ones, probes, drops, and the section."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import linregress
from sklearn.linear_model import LogisticRegression

from vector_universe.data import Example, Framing, ImageTextDataset
from vector_universe.errors import UserError
from vector_universe.evaluation.bootstrap import Sample
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.corruptions import CORRUPTIONS
from vector_universe.evaluation.evaluators import shift
from vector_universe.evaluation.evaluators.shift import evaluate_shift
from vector_universe.evaluation.few_shot import STRENGTH
from vector_universe.evaluation.linear_probe import suited
from vector_universe.evaluation.robustness import (
    Line,
    drop_between,
    effective_robustness,
    fit_line,
    fit_probes,
)
from vector_universe.evaluation.shift_figures import drop, joint_draws, shift_figures
from vector_universe.evaluation.subject import Subject

CONFIG = EvaluateConfig(corruptions=True, draws=200)
COLOURS = {"red": (220, 30, 40), "green": (30, 160, 60), "blue": (40, 70, 220), "mauve": (170, 60, 170)}


class ColourModel:
    """An image is its mean colour, a text the mean of its colour words, with a word more that pulls it aside."""

    framing = Framing(16)

    def embed_pixels(self, pixels):
        return unit(pixels.reshape(len(pixels), -1, 3).mean(axis=1) + np.float32(1))

    def embed_texts(self, texts):
        words = [text.lower().replace(".", "").split() for text in texts]
        return unit(np.array([np.sum([COLOURS[word] for word in own if word in COLOURS] + [(1, len(own) / 9, 1)],
                                     axis=0) for own in words], np.float32))


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def picture(colour, seed):
    noise = np.random.default_rng(seed).normal(0, 25, (16, 16, 3))
    encoded = io.BytesIO()
    Image.fromarray(np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


def pictures(start=0, each=12, colours=("red", "green", "blue"), texts=False, label=str):
    """A third of each colour is tested, and the rest trained on."""
    return [Example(f"{colour}{number}", picture(colour, start + number), [f"{colour} thing"] if texts else [],
                    [label(colour)], split="test" if number % 3 == 0 else "train")
            for colour in colours for number in range(each)]


def subject_of(examples, name="colours"):
    return Subject.of(ColourModel(), ImageTextDataset.from_examples(examples, name=name, source="memory"))


def further(monkeypatch, examples, name="others"):
    monkeypatch.setattr(shift, "load_dataset", lambda source: ImageTextDataset.from_examples(
        examples, name=name, source=source))
    return EvaluateConfig(shift=("there",), draws=200)


def stages():
    calls = []
    return calls, lambda stage, done, total: calls.append((stage, done, total))


logits = st.lists(st.tuples(st.floats(0.02, 0.98), st.floats(0.02, 0.98)), min_size=3, max_size=8,
                  unique_by=lambda point: round(point[0], 2))


@given(logits)
@settings(max_examples=60)
def test_the_line_is_least_squares_in_logits(points):
    x, y = (np.array(column) for column in zip(*points, strict=True))
    found, slow = fit_line(x, y, 1000), linregress(np.log(x / (1 - x)), np.log(y / (1 - y)))
    assert (found.slope, found.intercept) == pytest.approx((slow.slope, slow.intercept))
    assert found.fitted


def test_a_point_on_the_line_has_no_effective_robustness_and_one_above_has():
    accuracies = np.array([0.2, 0.5, 0.8])
    shifted = 1 / (1 + np.exp(-(0.9 * np.log(accuracies / (1 - accuracies)) - 0.5)))
    line = fit_line(accuracies, shifted, 1000)
    assert float(line(0.5)) == pytest.approx(shifted[1])
    assert effective_robustness(0.5, float(shifted[1]), line) == pytest.approx(0)
    assert effective_robustness(0.5, float(shifted[1]) + 0.1, line) == pytest.approx(0.1)


@pytest.mark.parametrize("points", [([], []), ([0.5], [0.4]), ([0.5, 0.5], [0.3, 0.4])])
def test_fewer_than_two_distinct_points_give_y_equals_x(points):
    line = fit_line(*points, 100)
    assert (line.fitted, line.slope, line.intercept) == (False, 1, 0)
    assert effective_robustness(0.7, 0.6, line) == pytest.approx(-0.1)


def test_accuracies_of_none_and_all_are_half_an_image_off():
    line = fit_line([0.0, 1.0], [0.0, 1.0], 50)
    assert (line.slope, line.intercept) == pytest.approx((1, 0))
    assert fit_line([0.0, 1.0], [0.01, 0.99], 50).slope == pytest.approx(1)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_rising_line_rises(one, other):
    line = Line(0.7, -0.3, 5)
    assert (float(line(one)) <= float(line(other))) == (one <= other)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_last_probe_is_scikit_learns_on_all_and_others_are_nested(classes):
    generator = np.random.default_rng(0)
    numbers = np.repeat(np.arange(classes), 6)
    images = unit(generator.normal(size=(len(numbers), 8)) + 2 * np.eye(8)[numbers])
    probes = fit_probes(images, numbers, classes)
    assert [probe.name for probe in probes] == ["1 a class", "2 a class", "4 a class", "all"]
    # For two classes scikit-learn has one vector where a softmax has two that share it: half the penalty.
    strength = suited([STRENGTH], images)[0] * (2 if classes == 2 else 1)
    slow = LogisticRegression(C=strength, max_iter=1000, tol=1e-8).fit(images, numbers)
    assert probes[-1].scores(images).argmax(axis=1).tolist() == slow.predict(images).tolist()
    wanted = slow.predict_log_proba(images)
    found = probes[-1].scores(images)
    assert found - found.max(axis=1, keepdims=True) == pytest.approx(wanted - wanted.max(axis=1, keepdims=True),
                                                                     abs=1e-2)


def test_a_class_without_training_images_is_never_predicted():
    images = unit(np.random.default_rng(1).normal(size=(20, 4)))
    probe = fit_probes(images, np.repeat([0, 2], 10), 4)[-1]
    assert set(probe.scores(images).argmax(axis=1)) <= {0, 2}
    assert fit_probes(images, np.zeros(20, int), 4) == []


def test_a_drop_of_the_same_units_is_paired_and_narrower():
    generator = np.random.default_rng(2)
    before = generator.random(400) < 0.6
    after = before & (generator.random(400) < 0.9)
    names = [str(number) for number in range(400)]
    one, other, strangers = Sample.of(before, names), Sample.of(after, names), Sample.of(after)
    renamed = Sample.of(after, [f"other {name}" for name in names])
    paired, apart = drop(one, other, CONFIG), drop(one, renamed, CONFIG)
    assert paired.value == pytest.approx(before.mean() - after.mean())
    assert apart.value == pytest.approx(paired.value)
    assert paired.low > 0
    assert (paired.high - paired.low) < 0.7 * (apart.high - apart.low)
    assert drop_between(one, strangers, 300).low < paired.value < drop_between(one, strangers, 300).high


def test_joint_draws_are_those_of_the_same_units_in_any_order():
    generator = np.random.default_rng(3)
    values = generator.random(300) < 0.5
    names = [str(number) for number in range(300)]
    one, same = Sample.of(values, names), Sample.of(values[::-1], names[::-1])
    ones, others = joint_draws(one, same, CONFIG)
    assert ones == pytest.approx(others)
    assert ones.std() == pytest.approx(one.draws(2000).std(), rel=0.15)
    ones, others = joint_draws(one, Sample.of(values, [f"other {name}" for name in names]), CONFIG)
    assert abs(np.corrcoef(ones, others)[0, 1]) < 0.3


def test_two_sets_of_one_name_are_told_apart(monkeypatch):
    further(monkeypatch, pictures())
    config = EvaluateConfig(shift=("here", "there", "here"), draws=200)
    found = evaluate_shift(subject_of(pictures()), config, lambda *stage: None)
    assert found.figure("others", "zero-shot top-1").value == found.figure("there", "zero-shot top-1").value
    assert len({(figure.test, figure.metric) for figure in found.figures}) == len(found.figures)
    assert len({plot.title for plot in found.plots}) == len(found.plots) == 2


def test_only_metrics_of_both_sides_are_compared():
    some, more = {"a": Sample.of([1, 0])}, {"a": Sample.of([0, 0]), "b": Sample.of([1])}
    found = shift_figures(more, some, "x", CONFIG, ({"a": 0.5}, {"a": 0.25}))
    assert [(figure.test, figure.metric) for figure in found] == [("before x", "a"), ("x", "a"), ("x", "a, drop")]
    assert [figure.chance for figure in found] == [0.5, 0.25, None]
    assert found[2].value == pytest.approx(-0.5)


def test_no_shift_asked_for_is_no_section():
    assert evaluate_shift(subject_of(pictures()), EvaluateConfig(), lambda *stage: None) is None


def test_corruptions_are_measured_by_kind_and_strength():
    calls, progress = stages()
    found = evaluate_shift(subject_of(pictures(texts=True)), CONFIG, progress)
    assert calls[-1] == ("embedding corrupted pictures", 12 * 50, 12 * 50)
    assert found.figure("before corrupted, mean of all", "zero-shot top-1").value == 1
    assert found.figure("corrupted, mean of all", "zero-shot top-1").count == 12 * 50
    by_strength = [found.figure(f"corrupted at strength {strength}", "zero-shot top-1").value
                   for strength in range(1, 6)]
    assert found.figure("corrupted, mean of all", "zero-shot top-1").value == pytest.approx(np.mean(by_strength))
    assert found.figure("corrupted at strength 1", "zero-shot top-1, drop").value == pytest.approx(1 - by_strength[0])
    table = next(table for table in found.tables if table.title == "Corruptions: zero-shot top-1")
    assert [row[0] for row in table.rows] == [*CORRUPTIONS, "mean of all"]
    assert table.rows[-1][2:] == pytest.approx(by_strength)
    rows = {row[0]: row for row in table.rows}
    assert rows["saturation"][6] < 1  # a model that sees but the mean colour: in grey all classes are one
    assert rows["pixelate"][6] == 1
    titles = [plot.title for plot in found.plots]
    assert "Corruptions: text → image R@1" in titles
    assert titles[-1] == "Effective robustness: corrupted, mean of all"
    assert len(found.plots[0].curves) == 11
    assert len([figure for figure in found.figures if figure.key]) == 1
    assert len({(figure.test, figure.metric) for figure in found.figures}) == len(found.figures)


def test_only_so_many_pictures_are_corrupted(monkeypatch):
    monkeypatch.setattr(shift, "MOST_CORRUPTED", 5)
    found = evaluate_shift(subject_of(pictures()), CONFIG, lambda *stage: None)
    assert found.figure("corrupted, mean of all", "zero-shot top-1").count == 5 * 50
    assert "5 of 12 test pictures" in found.remarks[0]


def test_the_same_pictures_elsewhere_lose_nothing(monkeypatch):
    examples = [one for one in pictures() if one.split == "test"]
    found = evaluate_shift(subject_of(pictures()), further(monkeypatch, examples), lambda *stage: None)
    assert found.figure("others", "zero-shot top-1, drop").value == 0
    assert found.figure("others", "linear probe top-1").value == found.figure("before others",
                                                                             "linear probe top-1").value
    assert found.settings["shift"]["there"]["classes"] == ["blue", "green", "red"]


def test_only_shared_classes_are_compared_and_the_others_named(monkeypatch):
    examples = pictures(start=50, colours=("red", "mauve", "blue"), label=str.upper)
    found = evaluate_shift(subject_of(pictures()), further(monkeypatch, examples), lambda *stage: None)
    assert found.figure("others", "zero-shot top-1").count == 24
    assert found.figure("before others", "zero-shot top-1").count == 8
    assert found.figure("others", "zero-shot top-1").chance == 1 / 2
    assert found.warnings == ("Only 2 shared classes are compared; colours alone has 'green'.",
                              "Only 2 shared classes are compared; there alone has 'MAUVE'.")


def test_the_same_texts_are_asked_of_other_pictures(monkeypatch):
    ours = [Example(f"a{number}", picture(colour, number), [f"{colour} thing"], [], split="test")
            for number, colour in enumerate(("red", "green", "blue"))]
    theirs = [Example(f"b{number}", picture(colour, number + 9), [text], [])
              for number, (colour, text) in enumerate([("red", "red thing"), ("red", "green thing"), ("mauve", "x")])]
    found = evaluate_shift(subject_of(ours), further(monkeypatch, theirs), lambda *stage: None)
    assert found.settings["shift"]["there"]["texts"] == 2
    before, after = (found.figure(test, "text → image R@1") for test in ("before others", "others"))
    assert (before.value, before.sample.units) == (1, ("red thing", "green thing"))
    assert after.value < 1
    assert after.chance == 1 / 2
    assert [figure.metric for figure in found.figures if figure.key] == ["text → image R@1", "text → image R@10"]


def test_nothing_shared_is_refused(monkeypatch):
    config = further(monkeypatch, pictures(colours=("mauve",)))
    with pytest.raises(UserError, match="--shift there: it shares neither two classes nor two texts with colours"):
        evaluate_shift(subject_of(pictures()), config, lambda *stage: None)


def test_without_a_test_split_or_anything_to_ask_it_is_refused():
    with pytest.raises(UserError, match="colours has no test split"):
        evaluate_shift(subject_of([one for one in pictures() if one.split == "train"]), CONFIG, lambda *stage: None)
    with pytest.raises(UserError, match="neither one of several classes each nor texts"):
        evaluate_shift(subject_of(pictures(colours=("red",))), CONFIG, lambda *stage: None)


def test_without_training_pictures_the_line_is_said_to_be_the_diagonal():
    examples = [one for one in pictures() if one.split == "test"]
    found = evaluate_shift(subject_of(examples), CONFIG, lambda *stage: None)
    assert "against y = x" in found.remarks[0]
    rho = found.figure("corrupted, mean of all", "effective robustness of zero-shot").value
    assert rho == pytest.approx(-found.figure("corrupted, mean of all", "zero-shot top-1, drop").value)
