"""Text queries of a split: each distinct text once, with the images that carry it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vector_universe.evaluation.subject import Subject


@dataclass(frozen=True, eq=False)
class TextQueries:
    """The Q distinct texts of M images.

    Attributes:
        texts: the Q texts.
        right: for each the places, among the M, of the images that carry it; at least one.
        texts_of: for each of the M images the places of its own texts among the Q.
        units: for each text the id of the first image that carries it: captions of one image are drawn together.
        images: ids of the M images.
    """

    texts: list[str]
    right: list[list[int]]
    texts_of: list[list[int]]
    units: list[str]
    images: list[str]


def text_queries(subject: Subject, places: np.ndarray) -> TextQueries:
    """The texts of the examples at these places, as retrieval asks with them."""
    examples = [subject.examples[place] for place in places]
    right: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        for text in dict.fromkeys(example.prompts):
            right.setdefault(text, []).append(place)
    number = {text: row for row, text in enumerate(right)}
    return TextQueries(list(right), list(right.values()),
                       [[number[text] for text in dict.fromkeys(example.prompts)] for example in examples],
                       [examples[images[0]].id for images in right.values()], [example.id for example in examples])
