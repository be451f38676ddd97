"""Leaks: what training has too is found, whatever the splits are called; what it has not is left alone."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.pictures import shape
from vector_universe import load_dataset
from vector_universe.data import Example, ImageTextDataset
from vector_universe.data.doctor.scan import scan
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.leaks import evaluate_leaks
from vector_universe.evaluation.leaks import find_leaks
from vector_universe.evaluation.subject import Subject
from vector_universe.progress import silent


def encoded(picture, format="PNG", **options):
    file = io.BytesIO()
    picture.save(file, format, **options)
    return file.getvalue()


def noise(seed):
    """A picture like no other."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC)


def example(id, picture, text, split):
    return Example(id, picture if isinstance(picture, bytes) else encoded(picture), [text], [], split)


def dataset(*examples, source="made"):
    return ImageTextDataset.from_examples(examples, name="made", source=source)


@pytest.fixture
def leaky():
    """Four kinds of leaks among twelve test examples, and eight that are new."""
    trained = [example(f"train{number}", noise(number), f"title number {number}", "train") for number in range(12)]
    tested = [example("same", encoded(noise(0)), "another title", "test"),
              example("near", encoded(noise(1).resize((70, 70)), "JPEG", quality=60), "a third title", "test"),
              example("text", noise(102), "title number 2", "test"),
              example("loose", noise(103), "Title, number 3!", "test"),
              *(example(f"new{number}", noise(200 + number), f"unheard of {number}", "test") for number in range(8))]
    return dataset(*trained, *tested)


def test_each_kind_is_found_once_and_nothing_else(leaky):
    leaks = find_leaks(scan(leaky.split("train")), scan(leaky.split("test")))
    assert [(leak.kind, leak.id, leak.trained_id) for leak in leaks] == [
        ("image_identical", "same", "train0"), ("image_alike", "near", "train1"),
        ("text_identical", "text", "train2"), ("text_alike", "loose", "train3")]


def test_copies_within_the_test_are_no_leaks():
    data = dataset(example("a", noise(1), "one", "train"), example("b", noise(2), "two", "test"),
                   example("c", noise(2), "two", "test"))
    assert find_leaks(scan(data.split("train")), scan(data.split("test"))) == []


def test_names_of_classes_are_no_leaks():
    data = dataset(*(example(f"{split}{number}", noise(10 * number + (split == "test")), ["cat", "dog"][number % 2],
                             split) for split in ("train", "test") for number in range(6)))
    assert find_leaks(scan(data.split("train")), scan(data.split("test"))) == []


class Blind:
    """A model that need not see anything."""


def subject_of(data, folder=None):
    return Subject("blind", Blind(), data, list(data), np.zeros((len(data), 4), np.float32), [], folder)


def leaks_of(data, folder=None):
    return evaluate_leaks(subject_of(data, folder), EvaluateConfig(), silent)


def test_the_section_counts_and_names_them(leaky):
    section = leaks_of(leaky)
    assert section.figures[0].value == pytest.approx(4 / 12)
    assert [row[1] for row in section.tables[0].rows] == [1, 1, 1, 1]
    assert section.details["leaked"] == ["loose", "near", "same", "text"]
    assert "2 of 12 pictures of test are in training too" in section.warnings[0]
    assert {case.note for case in section.cases} == {"same, in training as train0", "near, in training as train1"}
    assert section.settings["trained_on_is_known"] is False


def test_without_a_test_or_a_train_split_there_is_nothing_to_compare(leaky):
    assert leaks_of(leaky.split("train")) is None
    assert leaks_of(leaky.split("test")) is None


def test_other_splits_than_those_of_training_are_noticed(small_run, small_folder):
    data = load_dataset(small_folder)
    assert leaks_of(data, small_run).warnings == ()
    splits = ["test" if split == "train" else "train" for split in data.table["split"]]
    section = leaks_of(data.with_splits(splits), small_run)
    trained = data.table["split"].count("train") if isinstance(data.table["split"], list) else sum(
        split == "train" for split in data.table["split"])
    assert f"{trained} of {trained} pictures of test were trained on" in section.warnings[0]
    assert section.settings["trained_on_is_known"]


def test_the_data_of_the_run_is_compared_where_another_set_is_measured(small_run, small_folder):
    circle = encoded(shape("red", "circle", "small"))
    other = dataset(example("copy", circle, "a copy of what was trained on", "test"),
                    example("new", noise(7), "new", "test"), source="elsewhere")
    trained = {json.loads(line) for line in (small_run / "trained_on.jsonl").read_text().splitlines()}
    section = leaks_of(other, small_run)
    expected = ["copy"] if "00.png" in trained else []
    assert section.details["leaked"] == expected
    assert section.settings["trained_on"] == str(small_folder)
    assert section.remarks == ("The model was trained on shapes.",)


def test_training_data_that_is_gone_is_said_to_be(leaky, tmp_path):
    (tmp_path / "vector_universe.json").write_text('{"kind": "run"}')
    (tmp_path / "data.json").write_text(json.dumps({"source": str(tmp_path / "gone"), "fingerprint": "0"}))
    section = leaks_of(leaky, tmp_path)
    assert "cannot be read here" in section.remarks[0]
    assert section.details["leaked"]
