"""Retrieval: at which rank does the first right answer come?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

TILE = 1024  # queries compared at once: memory is TILE x candidates, whatever the number of queries


@dataclass(frozen=True)
class Retrieval:
    """How well queries find their own among the candidates.

    Attributes:
        recall_at_1, recall_at_5, recall_at_10: share of queries with a right candidate among the first k.
        median_rank: of the first right candidate; 1 is the best.
        chance_at_10: the recall@10 that a random order would reach.
        queries, candidates: how many there were.
    """

    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    median_rank: float
    chance_at_10: float
    queries: int
    candidates: int

    def as_dict(self) -> dict[str, float | int]:
        """The figures by name, for JSON."""
        return asdict(self)


def retrieval(queries_QD: np.ndarray, candidates_ND: np.ndarray, right: Sequence[Sequence[int]]) -> Retrieval | None:
    """Rank all candidates for every query by cosine; None when there is no query or no candidate.

    Args:
        queries_QD: unit rows (Q, D).
        candidates_ND: unit rows (N, D).
        right: for each query the positions of its right candidates (at least one).
    """
    if not len(queries_QD) or not len(candidates_ND):
        return None
    ranks = first_ranks(queries_QD, candidates_ND, right)
    return Retrieval(recall_at_1=float(np.mean(ranks <= 1)), recall_at_5=float(np.mean(ranks <= 5)),
                     recall_at_10=float(np.mean(ranks <= 10)), median_rank=float(np.median(ranks)),
                     chance_at_10=float(np.mean([_chance(len(candidates_ND), len(r), 10) for r in right])),
                     queries=len(queries_QD), candidates=len(candidates_ND))


def first_ranks(queries_QD: np.ndarray, candidates_ND: np.ndarray, right: Sequence[Sequence[int]]) -> np.ndarray:
    """Rank (Q,) of the best right candidate, from 1. A tie counts against the model, so that a collapsed one scores 0.

    Equally right candidates never push each other down.
    """
    ranks = np.empty(len(queries_QD), np.int64)
    for start in range(0, len(queries_QD), TILE):
        scores = queries_QD[start:start + TILE] @ candidates_ND.T
        for row, score in enumerate(scores, start):
            positions = np.asarray(right[row])
            best = score[positions].max()
            ranks[row] = 1 + np.count_nonzero(score >= best) - np.count_nonzero(score[positions] >= best)
    return ranks


def _chance(candidates: int, right: int, k: int) -> float:
    miss = 1.0
    for drawn in range(min(k, candidates)):
        miss *= max(0, candidates - right - drawn) / (candidates - drawn)
    return 1 - miss
