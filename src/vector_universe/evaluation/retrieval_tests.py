"""What is asked of what in retrieval: each split among itself, among all images, and texts that training never saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vector_universe.data.splits import SPLITS
from vector_universe.evaluation.queries import text_queries
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
    everywhere = np.arange(len(subject.examples))
    tests: list[RetrievalTest] = []
    for split in SPLITS:
        members = subject.places(split)
        if not len(members):
            continue
        alone = _ask(subject, split, members, members, advance)
        tests += alone
        name = f"{split} among all"
        if len(members) == len(everywhere):  # the same question
            tests += [RetrievalTest(name, test.direction, test.texts, test.places, test.ranks, test.units)
                      for test in alone if test.direction == TEXT_TO_IMAGE]
        else:
            tests += _ask(subject, name, members, everywhere, advance)
    return tests + _ask(subject, "unseen texts among all", subject.places("train"), everywhere, advance, held_out=True)


def count_queries(subject: Subject) -> int:
    """An upper bound of what `retrieval_tests` advances by."""
    return sum(2 * len(example.prompts) + len(example.held_out_texts) for example in subject.examples)


def _ask(subject: Subject, name: str, asked_M: np.ndarray, candidates_N: np.ndarray,
         advance: Callable[[int], None] | None, held_out: bool = False) -> list[RetrievalTest]:
    """The texts of the examples `asked` among images; where those are the candidates, these among the texts as well."""
    asked = text_queries(subject, asked_M, candidates_N, held_out)
    if not asked.texts:
        return []
    texts_QD, images_ND = subject.embed_texts(asked.texts), subject.images_ND[candidates_N]
    if asked_M is not candidates_N:
        found = ranks(texts_QD, images_ND, asked.right, advance)
        return [RetrievalTest(name, TEXT_TO_IMAGE, asked.texts, candidates_N, found, asked.units)]
    forth, back = ranks_both_ways(texts_QD, images_ND, asked.right, advance)
    return [RetrievalTest(name, TEXT_TO_IMAGE, asked.texts, candidates_N, forth, asked.units),
            RetrievalTest(name, IMAGE_TO_TEXT, asked.texts, candidates_N, back,
                          [asked.images[place] for place in back.asked_A])]
