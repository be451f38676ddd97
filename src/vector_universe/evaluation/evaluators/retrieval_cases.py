"""Hits and misses of retrieval, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from vector_universe.evaluation.retrieval_tests import TEXT_TO_IMAGE, RetrievalTest
from vector_universe.evaluation.section import Case, shorten
from vector_universe.evaluation.subject import Subject

TEXT_CASES, IMAGE_CASES = 6, 3  # hits, and as many misses
NEAREST = 5

Kind = Literal["hit", "miss"]
Nearest = list[tuple[int, float]]  # candidates with their scores


def retrieval_cases(subject: Subject, test: RetrievalTest) -> list[Case]:
    """Hits spread over the test, and the worst misses, of distinct images; the same at every call.

    Images are asked with only where they have texts of their own.
    """
    ranks = test.ranks
    rows_A = np.arange(len(ranks.asked_A))
    images_ND, texts_ND = subject.images_ND[test.places], subject.embed_texts(test.texts)
    if test.direction == TEXT_TO_IMAGE:
        return [_text_case(test, kind, row, _nearest(texts_ND[ranks.asked_A[row]], images_ND))
                for kind, rows in _chosen(rows_A, test, TEXT_CASES).items() for row in rows]
    own_A = np.array([bool(subject.examples[test.places[query]].texts) for query in ranks.asked_A], bool)
    return [_image_case(subject, test, kind, row, _nearest(images_ND[ranks.asked_A[row]], texts_ND))
            for kind, rows in _chosen(rows_A[own_A], test, IMAGE_CASES).items() for row in rows]


def _chosen(rows_A: np.ndarray, test: RetrievalTest, count: int) -> dict[Kind, list[int]]:
    """Rows of the queries to show."""
    first_A = test.ranks.first_A
    hits = _one_a_unit(rows_A[first_A[rows_A] == 1], test.units)
    spread = np.unique(np.linspace(0, len(hits) - 1, min(count, len(hits))).round().astype(int))
    misses = rows_A[first_A[rows_A] > 1]
    worst = _one_a_unit(misses[np.argsort(-first_A[misses], kind="stable")], test.units)
    return {"hit": [hits[place] for place in spread], "miss": worst[:count]}


def _one_a_unit(rows: np.ndarray, units: Sequence[str]) -> list[int]:
    """The first row of each unit, in order."""
    firsts: dict[str, int] = {}
    for row in rows.tolist():
        firsts.setdefault(units[row], row)
    return list(firsts.values())


def _text_case(test: RetrievalTest, kind: Kind, row: int, nearest: Nearest) -> Case:
    right = _right(test, row)
    return Case(kind, shorten(test.texts[test.ranks.asked_A[row]]),
                wanted=tuple(int(test.places[candidate]) for candidate in right),
                found=tuple((int(test.places[candidate]), score, candidate in right) for candidate, score in nearest),
                note=_note(test, row))


def _image_case(subject: Subject, test: RetrievalTest, kind: Kind, row: int, nearest: Nearest) -> Case:
    right = _right(test, row)
    place = int(test.places[test.ranks.asked_A[row]])
    return Case(kind, shorten(subject.examples[place].title), query_image=place,
                found_texts=tuple((shorten(test.texts[candidate]), score, candidate in right)
                                  for candidate, score in nearest), note=_note(test, row))


def _right(test: RetrievalTest, row: int) -> list[int]:
    """The right candidates of a query, best first."""
    query = test.ranks.asked_A[row]
    begin, end = np.searchsorted(test.ranks.queries_P, [query, query + 1])
    return test.ranks.candidates_P[begin:end].tolist()


def _nearest(query_D: np.ndarray, candidates_ND: np.ndarray) -> Nearest:
    """The nearest candidates with their cosines, best first."""
    score_N = candidates_ND @ query_D
    return [(int(candidate), float(score_N[candidate]))
            for candidate in np.argsort(-score_N, kind="stable")[:NEAREST]]


def _note(test: RetrievalTest, row: int) -> str:
    return f"rank {test.ranks.first_A[row]:,} of {test.ranks.candidates:,}"
