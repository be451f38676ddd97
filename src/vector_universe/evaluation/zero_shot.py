"""Zero-shot classification: labels made texts, and every image given the class of the nearest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vector_universe.data import Example, read_pixels
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.prompts import PLAIN, Prompts, choose_prompts
from vector_universe.evaluation.subject import CHUNK, Subject, refuse_nan
from vector_universe.models.predictors import Predictor


def class_vectors(vectors_CPD: np.ndarray) -> np.ndarray:
    """One unit row a class: the mean of its P prompts' unit rows, at unit length again, (C, D).

    The ensemble of Radford et al. 2021, section 3.1.4: averaged as vectors, so that it costs no more than one prompt.
    """
    return _unit(_unit(vectors_CPD).mean(axis=1))


def class_texts(names: Sequence[str], prompts: Prompts) -> list[str]:
    """The prompts of each class, one class after the other."""
    return [text for name in names for text in prompts.texts(name)]


def mean_over_prompts(scores_NT: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Scores (N, C) of classes, from those of their `class_texts`."""
    return scores_NT.reshape(len(scores_NT), len(names), scores_NT.shape[1] // len(names)).mean(axis=2)


def zero_shot_classes(subject: Subject, names: Sequence[str], prompts: Prompts) -> np.ndarray:
    """Unit rows (C, D) of classes by their names.

    Raises:
        UserError: the model returns NaN.
    """
    vectors = subject.embed_texts(class_texts(names, prompts))
    return class_vectors(vectors.reshape(len(names), len(prompts.templates), -1))


def zero_shot_scores(subject: Subject, names: Sequence[str], prompts: Prompts) -> np.ndarray:
    """How well classes by their names fit all images of a subject, (N, C).

    Cosines with the classes' vectors; of a model that predicts words, log p(text | image) - log p(text), the mean over
    the prompts.

    Raises:
        UserError: the model returns NaN.
    """
    if isinstance(subject.model, Predictor):
        texts = class_texts(names, prompts)
        return mean_over_prompts(predicted_scores(subject.model, subject.examples, texts), names)
    return subject.images_ND @ zero_shot_classes(subject, names, prompts).T


def predicted_scores(model: Predictor, examples: Sequence[Example], texts: Sequence[str]) -> np.ndarray:
    """Scores (N, T) of texts for readable pictures, which are decoded a chunk at a time: features fill the memory.

    Raises:
        UserError: the model returns NaN.
    """
    parts = [np.empty((0, len(texts)), np.float32)]
    for start in range(0, len(examples), CHUNK):
        pixels_nSS3 = read_pixels(examples[start:start + CHUNK], model.framing).array
        parts.append(model.scores(model.read_pixels(pixels_nSS3), texts))
    scores_NT = np.concatenate(parts)
    refuse_nan(scores_NT, [example.id for example in examples])
    return scores_NT


def prompts_for(subject: Subject, config: EvaluateConfig) -> Prompts:
    """The prompts that the settings name; of "auto", what suits the data, or a model that predicts words: bare labels.

    Raises:
        UserError: there is no such set or file, or a line of the file has no {}.
    """
    if config.prompts == "auto" and isinstance(subject.model, Predictor):
        return PLAIN
    return choose_prompts(config, subject.dataset.name, subject.dataset.source)


def _unit(rows_ND: np.ndarray) -> np.ndarray:
    """Rows at length 1; a row of zeros, of prompts that cancel each other, stays."""
    lengths = np.linalg.norm(rows_ND, axis=-1, keepdims=True)
    return np.divide(rows_ND, lengths, out=np.zeros_like(rows_ND), where=lengths > 0)
