"""Zero-shot labels: the nearest label by the prompts of the evaluation, its probability, and none where none fits."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch

from vector_universe.errors import UserError
from vector_universe.evaluation.prompts import EMOJI, PHOTO
from vector_universe.index.labels import zero_shot_labels as module
from vector_universe.index.labels.zero_shot_labels import check_labels, zero_shot_labels
from vector_universe.models.calibration import Calibration

WIDTH = 24
LABELS = ["cat", "Sports_Car", "한국 음식"]


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


class FakeModel:
    """Texts by a hash."""

    logit_scale = torch.tensor(math.log(8.0))

    def __init__(self, calibration=None):
        self.calibration = calibration

    def embed_texts(self, texts):
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") for text in texts]
        return unit(np.stack([np.random.default_rng(seed).normal(size=WIDTH) for seed in seeds]))


def calibration(slope=12.0, intercept=-3.0, threshold=0.3):
    return Calibration(slope, intercept, 100, threshold, 50, "data", "model")


def images(count=50, seed=0):
    return unit(np.random.default_rng(seed).normal(size=(count, WIDTH)))


def by_definition(model, vectors, labels, prompts):
    """One image and one label at a time, in float64."""
    means = []
    for label in labels:
        rows = model.embed_texts(prompts.texts(label)).astype(np.float64)
        mean = sum(row / np.linalg.norm(row) for row in rows) / len(rows)
        means.append(mean / np.linalg.norm(mean))
    cosines = np.array([[float(np.dot(vector, mean)) for mean in means] for vector in vectors.astype(np.float64)])
    raised = np.exp(math.exp(float(model.logit_scale)) * cosines)
    return cosines, raised / raised.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("block", [7, 65_536])
def test_it_equals_the_definition(monkeypatch, block):
    monkeypatch.setattr(module, "_BLOCK", block)
    model, vectors = FakeModel(), images()
    found = zero_shot_labels(model, vectors, LABELS, every=True)
    _, expected = by_definition(model, vectors, LABELS, PHOTO)
    np.testing.assert_allclose(found.all_NL, expected, atol=1e-5)
    np.testing.assert_allclose(found.probabilities_N, expected.max(axis=1), atol=1e-5)
    assert found.labels == [LABELS[place] for place in expected.argmax(axis=1)]
    assert found.matches_N is None


def test_auto_takes_the_prompts_of_the_data_as_evaluation_does():
    model, vectors = FakeModel(), images()
    found = zero_shot_labels(model, vectors, LABELS, name="Emoji", every=True)
    np.testing.assert_allclose(found.all_NL, by_definition(model, vectors, LABELS, EMOJI)[1], atol=1e-5)
    assert zero_shot_labels(model, vectors, LABELS).all_NL is None


def test_none_of_these_is_a_match_that_is_less_likely_than_the_least_that_calibration_believes():
    measured = calibration()
    model, vectors = FakeModel(measured), images(400)
    found = zero_shot_labels(model, vectors, LABELS)
    cosines, _ = by_definition(model, vectors, LABELS, PHOTO)
    best = cosines.max(axis=1)
    logits = measured.slope * best + measured.intercept - math.log(len(LABELS) / measured.candidates)
    matches = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(found.matches_N, matches, atol=1e-5)
    fits = matches >= measured.least_probability
    assert 0.05 < fits.mean() < 0.95
    assert [label is not None for label in found.labels] == fits.tolist()
    everything = zero_shot_labels(model, vectors, LABELS, none=False)
    assert None not in everything.labels
    np.testing.assert_array_equal(everything.probabilities_N, found.probabilities_N)


def test_one_label_and_no_vectors():
    found = zero_shot_labels(FakeModel(), images(3), ["cat"])
    assert found.labels == ["cat"] * 3
    np.testing.assert_allclose(found.probabilities_N, 1)
    nothing = zero_shot_labels(FakeModel(calibration()), images(0), LABELS, every=True)
    assert nothing.labels == []
    assert nothing.all_NL.shape == (0, 3)


@pytest.mark.parametrize(("labels", "says"), [
    ([], "no labels"), ("cat", "no labels"), (["cat", "  "], "label 2 of 2 is blank"),
    (["cat", "dog", "cat"], "'cat' and 'cat' are the same"),
    (["comic book", "Comic_Book"], "'comic book' and 'Comic_Book' are the same")])
def test_labels_that_say_nothing_are_refused(labels, says):
    with pytest.raises(UserError, match=says):
        check_labels(labels)
    with pytest.raises(UserError, match=says):
        zero_shot_labels(FakeModel(), images(), labels)


def test_other_bad_input_is_refused():
    with pytest.raises(UserError, match="24 dimensions"):
        zero_shot_labels(FakeModel(), images()[:, :5], LABELS)
    with pytest.raises(UserError, match="no such set"):
        zero_shot_labels(FakeModel(), images(), LABELS, prompts="haiku")
    broken = FakeModel()
    broken.embed_texts = lambda texts: np.full((len(texts), WIDTH), np.nan, np.float32)
    with pytest.raises(UserError, match="no vector for the label 'cat'"):
        zero_shot_labels(broken, images(), LABELS)
