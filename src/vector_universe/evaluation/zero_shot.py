"""Zero-shot classification: labels made texts, and every image given the class of the nearest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vector_universe.evaluation.prompts import Prompts
from vector_universe.evaluation.subject import Subject


def class_vectors(vectors_CPD: np.ndarray) -> np.ndarray:
    """One unit row a class: the mean of its P prompts' unit rows, at unit length again, (C, D).

    The ensemble of Radford et al. 2021, section 3.1.4: averaged as vectors, so that it costs no more than one prompt.
    """
    return _unit(_unit(vectors_CPD).mean(axis=1))


def zero_shot_classes(subject: Subject, names: Sequence[str], prompts: Prompts) -> np.ndarray:
    """Unit rows (C, D) of classes by their names.

    Raises:
        UserError: the model returns NaN.
    """
    texts = [text for name in names for text in prompts.texts(name)]
    vectors = subject.embed_texts(texts)
    return class_vectors(vectors.reshape(len(names), len(prompts.templates), -1))


def zero_shot_scores(subject: Subject, names: Sequence[str], prompts: Prompts) -> np.ndarray:
    """Cosines (N, C) of all images of a subject with classes by their names.

    Raises:
        UserError: the model returns NaN.
    """
    return subject.images_ND @ zero_shot_classes(subject, names, prompts).T


def _unit(rows_ND: np.ndarray) -> np.ndarray:
    """Rows at length 1; a row of zeros, of prompts that cancel each other, stays."""
    lengths = np.linalg.norm(rows_ND, axis=-1, keepdims=True)
    return np.divide(rows_ND, lengths, out=np.zeros_like(rows_ND), where=lengths > 0)
