"""Text queries: each distinct text of some examples once, with the images that carry it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vector_universe.evaluation.subject import Subject


@dataclass(frozen=True, eq=False)
class TextQueries:
    """The Q distinct texts of some examples, asked of N images.

    Attributes:
        texts: the Q texts.
        right: for each the places, among the N, of the images that carry it; at least one.
        units: for each the id of the first example that asks it: captions of one image are drawn together.
        images: ids of the N images.
    """

    texts: list[str]
    right: list[list[int]]
    units: list[str]
    images: list[str]


def text_queries(subject: Subject, asked_M: np.ndarray, candidates_N: np.ndarray | None = None,
                 held_out: bool = False) -> TextQueries:
    """The texts of the examples at places `asked`, whichever of the candidates carry them.

    Args:
        subject: whose examples.
        asked_M: places of the examples that ask.
        candidates_N: places of the images that are asked of, the former among them; by default the same.
        held_out: ask the texts that were kept out of training instead of those that are the examples' own.
    """
    examples = subject.examples
    texts = [example.held_out_texts if held_out else example.prompts for example in examples]
    candidates_N = asked_M if candidates_N is None else candidates_N
    units = {text: examples[index].id for index in reversed(asked_M.tolist()) for text in texts[index]}
    right: dict[str, list[int]] = {text: [] for index in asked_M for text in texts[index]}
    for place, index in enumerate(candidates_N):
        for text in dict.fromkeys(texts[index]):
            if text in right:
                right[text].append(place)
    return TextQueries(list(right), list(right.values()), [units[text] for text in right],
                       [examples[index].id for index in candidates_N])
