"""What is asked of what in retrieval: each split among itself, among all images, and texts that training never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vector_universe.data.splits import SPLITS
from vector_universe.evaluation.ranks import Ranks, ranks, ranks_both_ways
from vector_universe.evaluation.subject import Subject

TEXT_TO_IMAGE: Literal["text → image"] = "text → image"
IMAGE_TO_TEXT: Literal["image → text"] = "image → text"


@dataclass(frozen=True, eq=False)
class RetrievalTest:
    """One set of queries among one set of candidates, with the ranks that came out.

    Attributes:
        name: a split's name, "… among all", or "unseen texts among all".
        direction: which of texts and images are the queries.
        texts: distinct texts, the queries or the candidates.
        places: of the images in `Subject.examples`, the candidates or the queries.
        ranks: of the right candidates.
        units: the example that each of the A queries belongs to; of a text that several carry, the first of them.
    """

    name: str
    direction: Literal["text → image", "image → text"]
    texts: list[str]
    places: np.ndarray
    ranks: Ranks
    units: list[str]


def retrieval_tests(subject: Subject, advance: Callable[[int], None] | None = None) -> list[RetrievalTest]:
    """Ask everything that a data set has queries for; `advance(n)` is called with texts as they get ranked.

    Equal texts are one query with several right images; an image with several captions has several right texts.
    Images without a text are asked for by their labels. Texts that the data set keeps out of training are tried as
    "unseen texts".
    """
    own = [example.prompts for example in subject.examples]
    held_out = [example.held_out_texts for example in subject.examples]
    everywhere = np.arange(len(own))
    tests: list[RetrievalTest] = []
    for split in SPLITS:
        members = subject.places(split)
        if not len(members):
            continue
        alone = _ask(subject, split, own, members, members, advance)
        tests += alone
        name = f"{split} among all"
        if len(members) == len(everywhere):  # the same question
            tests += [RetrievalTest(name, test.direction, test.texts, test.places, test.ranks, test.units)
                      for test in alone if test.direction == TEXT_TO_IMAGE]
        else:
            tests += _ask(subject, name, own, members, everywhere, advance)
    return tests + _ask(subject, "unseen texts among all", held_out, subject.places("train"), everywhere, advance)


def count_queries(subject: Subject) -> int:
    """An upper bound of what `retrieval_tests` advances by."""
    return sum(2 * len(example.prompts) + len(example.held_out_texts) for example in subject.examples)


def _ask(subject: Subject, name: str, texts: Sequence[Sequence[str]], asked_M: np.ndarray, candidates_N: np.ndarray,
         advance: Callable[[int], None] | None) -> list[RetrievalTest]:
    """The texts of the examples `asked` among images; where those are the candidates, these among the texts as well."""
    examples = subject.examples
    right = _right_images(texts, asked_M, candidates_N)
    if not right:
        return []
    queries = list(right)
    first = {text: index for index in reversed(asked_M.tolist()) for text in texts[index]}
    units = [examples[first[text]].id for text in queries]
    texts_QD, images_ND = subject.embed_texts(queries), subject.images_ND[candidates_N]
    if asked_M is not candidates_N:
        found = ranks(texts_QD, images_ND, list(right.values()), advance)
        return [RetrievalTest(name, TEXT_TO_IMAGE, queries, candidates_N, found, units)]
    forth, back = ranks_both_ways(texts_QD, images_ND, list(right.values()), advance)
    return [RetrievalTest(name, TEXT_TO_IMAGE, queries, candidates_N, forth, units),
            RetrievalTest(name, IMAGE_TO_TEXT, queries, candidates_N, back,
                          [examples[candidates_N[place]].id for place in back.asked_A])]


def _right_images(texts: Sequence[Sequence[str]], asked_M: np.ndarray,
                  candidates_N: np.ndarray) -> dict[str, list[int]]:
    """For each distinct text of the examples `asked`, the places among `candidates` of all images that carry it."""
    right: dict[str, list[int]] = {text: [] for index in asked_M for text in texts[index]}
    for place, index in enumerate(candidates_N):
        for text in dict.fromkeys(texts[index]):
            if text in right:
                right[text].append(place)
    return right
