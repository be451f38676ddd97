"""Zero-shot figures on the way: when they are taken, what they say, and that taking them changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.pictures import write_shapes
from vector_universe import TrainConfig, UserError, load_dataset, train
from vector_universe.data.framing import Framing
from vector_universe.evaluation.zero_shot_task import ZeroShotTask, main_figure, most_frequent_label
from vector_universe.models.predictors import Predictor
from vector_universe.training.loop import _Loop
from vector_universe.training.measuring import measured_steps

TINY = TrainConfig(embedding_width=16, epochs=2, batch_size=8, precision="fp32")
FRAMING = Framing(64)


class Oracle(Predictor):
    """Scores texts by a table of its own, made of what each picture is; learns nothing."""

    def __init__(self, table):
        torch.nn.Module.__init__(self)
        self.table = table

    def read_pixels(self, pixels, batch_size=32):
        return np.arange(len(pixels), dtype=np.float32)[:, None, None]

    def scores(self, features_NLW, texts):
        return np.array([[self.table(int(row), text) for text in texts] for row in features_NLW[:, 0, 0]])


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    dataset = load_dataset(write_shapes(tmp_path_factory.mktemp("data") / "shapes"))
    return dataset.with_splits(["test" if place % 3 == 0 else "train" for place in range(len(dataset))])


@given(total=st.integers(1, 5000), points=st.integers(1, 40))
def test_points_rise_and_the_last_is_the_end(total, points):
    steps = measured_steps(total, points)
    assert steps[-1] == total
    assert steps == sorted(set(steps))
    assert steps[0] >= 1
    assert len(steps) <= points
    if points > 1 and total >= 64:
        assert abs(steps[0] - total / 64) <= 0.5


def test_points_are_even_on_a_log_axis():
    assert measured_steps(6400, 7) == [100, 200, 400, 800, 1600, 3200, 6400]
    assert measured_steps(3, 7) == [1, 2, 3]
    assert measured_steps(100, 0) == []


def test_what_knows_everything_is_always_right(shapes):
    asked = ZeroShotTask.of(shapes, "test", FRAMING)
    told = [{*example.texts, *example.labels} for example in asked.examples]
    found = asked.ask(Oracle(lambda row, text: float(any(text in one for one in told[row]))))
    assert found.figures["name_top_1"] == 1
    assert found.chances["name_top_1"] == pytest.approx(1 / len(asked.names))
    assert found.chances["label_top_1"] == pytest.approx(2 / len(asked.label_names))


def test_equal_scores_are_never_right(shapes):
    found = ZeroShotTask.of(shapes, "test", FRAMING).ask(Oracle(lambda row, text: 1.0))
    assert {name: found.figures[name] for name in ("name_top_1", "name_top_10", "label_top_1")} == {
        "name_top_1": 0, "name_top_10": 0, "label_top_1": 0}


def test_figures_are_means_of_what_was_right(shapes):
    asked = ZeroShotTask.of(shapes, "test", FRAMING)
    found = asked.ask(Oracle(lambda row, text: np.sin(row * 12.9898 + len(text) * 78.233 + ord(text[0]))))
    for name, right_N in found.right.items():
        assert found.figures[name] == pytest.approx(right_N.mean())
    stored = found.as_dict()["right"]
    assert {len(digits) for digits in stored.values()} == {len(asked.examples)}


def test_labels_that_are_captions_are_asked_as_they_are(shapes):
    table = shapes.table.map(lambda row: {"texts": row["texts"] + row["labels"]})
    captioned = type(shapes)(table, name="shapes", source="shapes")
    assert ZeroShotTask.of(captioned, "test", FRAMING).prompts.templates == ("{}",)
    assert len(ZeroShotTask.of(shapes, "test", FRAMING).prompts.templates) > 1


def test_labels_judge_where_texts_have_their_words(shapes):
    assert main_figure(shapes, "test") == "label_top_1"
    table = shapes.table.map(lambda row: {"labels": [f"zz{row['labels'][0]}"]})
    assert main_figure(type(shapes)(table, name="shapes", source="shapes"), "test") == "name_top_10"


def test_a_split_that_tells_nothing_apart_is_refused(shapes):
    with pytest.raises(UserError, match="no validation images"):
        main_figure(shapes, "validation")
    same = type(shapes)(shapes.table.map(lambda row: {"texts": ["one"], "labels": []}), name="shapes", source="shapes")
    for refuse in (lambda: main_figure(same, "test"), lambda: ZeroShotTask.of(same, "test", FRAMING)):
        with pytest.raises(UserError, match="nothing to tell apart"):
            refuse()


def test_the_most_frequent_label_is_the_one_that_most_pictures_have(shapes):
    label, share = most_frequent_label(shapes, "test")
    shares = {name: np.mean([name in example.labels for example in shapes.split("test")])
              for name in {name for labels in shapes.table["labels"] for name in labels}}
    assert share == shares[label] == max(shares.values())


def test_an_interrupted_run_has_every_look_once(shapes, tmp_path, monkeypatch):
    config = replace(TINY, zero_shot_points=5)
    whole_step = _Loop._step

    def stops(self, *arguments):
        if self.state.steps == 7:  # the last checkpoint is after step 5
            raise KeyboardInterrupt
        return whole_step(self, *arguments)

    train(shapes, config, tmp_path / "whole", quiet=True)
    monkeypatch.setattr(_Loop, "_step", stops)
    with pytest.raises(KeyboardInterrupt):
        train(shapes, config, tmp_path / "broken", quiet=True)
    monkeypatch.setattr(_Loop, "_step", whole_step)
    train(shapes, config, tmp_path / "broken", quiet=True)
    one, other = (looks(tmp_path / name) for name in ("whole", "broken"))
    assert one == other
    assert len(one) == 5


def looks(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "zero_shot" in line]


@pytest.mark.parametrize(("objective", "steps"), [("info_nce", [0, 1, 4, 9]), ("captioner", [0, 9])])
def test_measuring_leaves_training_as_it_is(shapes, tmp_path, objective, steps):
    config = TrainConfig(epochs=2, batch_size=8, precision="fp32", objective=objective)
    train(shapes, config, tmp_path / "without", quiet=True)
    train(shapes, replace(config, zero_shot_points=len(steps)), tmp_path / "with", quiet=True)
    one, other = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("without", "with"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    found = looks(tmp_path / "with")
    assert [look["step"] for look in found] == steps
    assert [look["images_seen"] for look in found] == [8 * (step + 1) for step in steps]
    assert set(found[0]["zero_shot"]) == set(found[0]["chance"]) > set(found[0]["right"])


def test_points_without_a_test_split_are_refused_before_any_step(shapes, tmp_path):
    everything = shapes.with_splits(["train"] * len(shapes))
    with pytest.raises(UserError, match="no validation image"):
        train(everything, replace(TINY, zero_shot_points=4), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
