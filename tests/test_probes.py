"""The sections that the probes return: of classes, of labels, and where they cannot be learnt."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vector_universe.data import Example
from vector_universe.errors import UserError
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.few_shot import evaluate_few_shot
from vector_universe.evaluation.evaluators.probe_parts import held_out
from vector_universe.evaluation.evaluators.probes import evaluate_probes
from vector_universe.evaluation.label_ranking import average_precisions
from vector_universe.evaluation.subject import Subject

CONFIG = EvaluateConfig(draws=100, prompts="plain")
DATA = SimpleNamespace(name="made", source="made")
NAMES = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu"]


class Texts:
    """Stands for a model: its texts are the unit vectors that a class has as its mean."""

    def __init__(self, texts):
        self.texts = texts

    def embed_texts(self, texts):
        return np.stack([self.texts[text] for text in texts])


def subject(labels, splits, apart=1.0, seed=0, width=12, astray=0.0):
    """Rows around the mean of their labels; labels are lists of names, whose texts lie `astray` of these means."""
    draw = np.random.default_rng(seed)
    names = sorted({name for own in labels for name in own})
    means = dict(zip(names, draw.normal(size=(len(names), width)), strict=True))
    rows = np.stack([sum((means[name] for name in own), np.zeros(width)) * apart + draw.normal(size=width)
                     for own in labels])
    texts = {name: mean + astray * draw.normal(size=width) for name, mean in means.items()}
    unit = {name: (text / np.linalg.norm(text)).astype(np.float32) for name, text in texts.items()}
    examples = [Example(f"{place}.png", Path(f"{place}.png"), [], list(own), split)
                for place, (own, split) in enumerate(zip(labels, splits, strict=True))]
    return Subject("model", Texts(unit), DATA, examples,
                   (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), [])


def seven_classes(count=420, **settings):
    return subject([[NAMES[place % 7]] for place in range(count)],
                   [("train", "train", "validation", "test")[place // 7 % 4] for place in range(count)], **settings)


def nothing(stage, done, total):
    assert 0 <= done <= total


def test_a_section_of_classes():
    found = evaluate_probes(seven_classes(), CONFIG, nothing)
    metrics = [figure.metric for figure in found.figures]
    assert metrics == [f"{name} {metric}" for name in ("linear probe", "k-NN")
                       for metric in ("top-1", "top-5", "balanced accuracy")]
    top_1 = found.figure("test", "linear probe top-1")
    assert top_1.key
    assert top_1.chance == pytest.approx(1 / 7)
    assert 0.6 < top_1.low < top_1.value < top_1.high <= 1
    assert top_1.sample.units[0] == "21.png"
    assert found.figure("test", "linear probe top-5").chance == pytest.approx(5 / 7)
    assert found.figure("test", "linear probe balanced accuracy").value == pytest.approx(top_1.value)  # equal classes
    assert found.settings["strength chosen on"] == "validation split"
    assert (found.settings["training images"], found.settings["validation images"]) == (210, 105)
    by_class, confusion = found.tables
    assert [row[2] for row in by_class.rows] == sorted(row[2] for row in by_class.rows)
    assert confusion.heat
    assert sum(sum(row[1:]) for row in confusion.rows) == 105
    assert sum(row[1 + place] for place, row in enumerate(confusion.rows)) / 105 == pytest.approx(top_1.value)
    for case in found.cases:
        likeliest, _, right = case.found_texts[0]
        assert (case.kind == "hit") == right == (likeliest == case.query)
    assert {case.kind for case in found.cases} == {"hit", "miss"}
    assert len(found.plots[0].curves[0].x) == 10


def test_the_test_images_have_no_part_in_the_fit():
    whole = seven_classes()
    test = whole.places("test")
    turned = whole.images_ND.copy()
    turned[test] = -turned[test]
    one, other = (evaluate_probes(dataclasses.replace(whole, images_ND=rows), CONFIG, nothing)
                  for rows in (whole.images_ND, turned))
    assert one.details == other.details
    assert one.settings == other.settings
    assert other.figure("test", "linear probe top-1").value < 0.2


def test_without_a_test_split_the_validation_split_judges_and_a_fifth_is_held_out():
    made = seven_classes()
    examples = [dataclasses.replace(one, split="validation" if one.split == "test" else "train")
                for one in made.examples]
    found = evaluate_probes(dataclasses.replace(made, examples=examples), CONFIG, nothing)
    assert found.figures[0].test == "validation"
    assert found.settings["strength chosen on"] == "20% of the train split, by class"
    assert (found.settings["training images"], found.settings["validation images"]) == (252, 63)


def test_a_fifth_of_each_class_is_held_out():
    classes = np.repeat([0, 1, 2, 3], [20, 5, 2, 1])
    out = held_out(classes, 0)
    assert np.bincount(classes[out], minlength=4).tolist() == [4, 1, 1, 0]
    assert not np.array_equal(out, held_out(classes, 1))


def test_a_collapsed_model_is_at_chance_at_most():
    made = seven_classes()
    same = dataclasses.replace(made, images_ND=np.full_like(made.images_ND, 12**-0.5))
    found = evaluate_probes(same, CONFIG, nothing)
    for figure in found.figures:
        assert figure.value <= figure.chance + 1e-9, figure.metric


def test_a_section_of_labels():
    draw = np.random.default_rng(5)
    labels = [[NAMES[i] for i in draw.choice(7, draw.integers(1, 4), replace=False)] for _ in range(300)]
    splits = [("train", "train", "test")[place % 3] for place in range(300)]
    found = evaluate_probes(subject(labels, splits), CONFIG, nothing)
    by_label, by_image = (found.figure("test", f"linear probe mAP by {kind}") for kind in ("label", "image"))
    assert by_label.key
    assert by_image.low > 0.6 > by_image.chance
    assert by_label.low > 0.6 > by_label.chance
    assert by_label.value == pytest.approx(np.mean([row[3] for row in found.tables[0].rows]))
    assert found.settings["strength chosen on"] == "20% of the train split"
    assert {case.kind for case in found.cases} == {"hit", "miss"}


@pytest.mark.parametrize("labels", [
    [["ant", "cat"], ["ant"], []],  # one training image
    [["ant"], ["ant", "cat"], ["ant"]],  # one label to learn
    [["ant", "cat"], ["dog", "eel"], ["ant"]],  # none to judge by
    [[], ["dog", "eel"], []],
])
def test_labels_that_cannot_be_ranked_are_not_measured(labels):
    found = evaluate_probes(subject(labels, ["train", "test", "train"]), CONFIG, nothing)
    assert found.figures == ()
    assert "it takes two labels" in found.remarks[0]


def test_average_precisions_by_hand():
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 3.0, 1.0]])
    assert average_precisions(scores, np.array([[True, False, True], [False, True, False]])) == pytest.approx(
        [(1 + 2 / 3) / 2, 1 / 2])


def test_strange_classes_are_left_out_with_a_warning():
    made = seven_classes()
    examples = [dataclasses.replace(one, labels=["yak"]) if place in (21, 22) else one
                for place, one in enumerate(made.examples)]
    changed = dataclasses.replace(made, examples=examples)
    for found in (evaluate_probes(changed, CONFIG, nothing), evaluate_few_shot(changed, CONFIG, nothing)):
        assert found.warnings == ("2 test images are left out, of classes without a training image: 'yak'",)
        assert found.settings["test images"] == 103


@pytest.mark.parametrize("evaluator", [evaluate_probes, evaluate_few_shot])
def test_what_cannot_be_learnt_is_refused_only_where_it_was_asked_for(evaluator):
    same = subject([["cat"]] * 30, ["train", "test"] * 15)
    name = evaluator.__name__.removeprefix("evaluate_")
    found = evaluator(same, CONFIG, nothing)
    assert found.figures == ()
    assert found.remarks == ("Not measured: every image has the label 'cat': there is nothing to tell apart.",)
    with pytest.raises(UserError, match="nothing to tell apart"):
        evaluator(same, EvaluateConfig(only=(name,)), nothing)


@pytest.mark.parametrize("evaluator", [evaluate_probes, evaluate_few_shot])
def test_data_without_labels_or_without_a_split_has_no_section(evaluator):
    assert evaluator(subject([[]] * 8, ["train", "test"] * 4), CONFIG, nothing) is None
    assert evaluator(subject([["ant"], ["cat"]] * 4, ["train"] * 8), CONFIG, nothing) is None
    assert evaluator(subject([["ant"], ["cat"]] * 4, ["test"] * 8), CONFIG, nothing) is None


def test_a_section_of_few_shots():
    made = seven_classes(apart=0.8, astray=1.0)
    found = evaluate_few_shot(made, CONFIG, nothing)
    curve, line = found.plots[0].curves
    assert curve.x == (1, 2, 4, 8, 16)
    assert [figure.value for figure in found.figures[:5]] == list(curve.y)
    assert all(low < mean < high for low, mean, high in zip(curve.low, curve.y, curve.high, strict=True))
    assert line.style == "dashed"
    assert line.y[0] == found.details["zero_shot_top_1"]
    equal = found.figure("test", "images a class that equal zero-shot").value
    below = max(place for place in range(5) if curve.y[place] < line.y[0])
    assert curve.x[below] < equal <= curve.x[below + 1]
    assert f"worth {equal:.1f} images" in found.remarks[0]


def test_few_shots_of_images_with_several_labels_have_no_section():
    assert evaluate_few_shot(subject([["ant", "cat"], ["cat"]] * 4, ["train", "test"] * 4), CONFIG, nothing) is None
