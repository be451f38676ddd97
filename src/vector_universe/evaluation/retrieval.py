"""Retrieval: how high do the right answers of a query stand among all candidates?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from vector_universe.evaluation.bootstrap import DRAWS, LEVEL, Interval
from vector_universe.evaluation.chance import chance_recall, mean_chance
from vector_universe.evaluation.ranks import Ranks, ranks


@dataclass(frozen=True)
class Retrieval:
    """How well queries find their own among the candidates.

    Attributes:
        recall_at_1, recall_at_5, recall_at_10: share of queries with a right candidate among the first k.
        median_rank: of the first right candidate; 1 is the best.
        mean_reciprocal_rank: mean of 1 / rank of the first right candidate.
        mean_average_precision: mean over the queries of the mean precision at the ranks of their right candidates;
            equal to the former where each has one.
        chance_at_10: the recall@10 that a random order would reach.
        queries, candidates: how many there were.
    """

    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    median_rank: float
    mean_reciprocal_rank: float
    mean_average_precision: float
    chance_at_10: float
    queries: int
    candidates: int

    @classmethod
    def of(cls, found: Ranks) -> Retrieval:
        """The figures of ranks."""
        first_A = found.first_A
        return cls(recall_at_1=float(np.mean(first_A <= 1)), recall_at_5=float(np.mean(first_A <= 5)),
                   recall_at_10=float(np.mean(first_A <= 10)), median_rank=float(np.median(first_A)),
                   mean_reciprocal_rank=float(np.mean(1 / first_A)),
                   mean_average_precision=float(np.mean(found.average_precision_A)),
                   chance_at_10=mean_chance(partial(chance_recall, found.candidates, k=10), found.right_A),
                   queries=len(first_A), candidates=found.candidates)

    def as_dict(self) -> dict[str, float | int]:
        """The figures by name, for JSON."""
        return asdict(self)


def retrieval(queries_QD: np.ndarray, candidates_ND: np.ndarray, right: Sequence[Sequence[int]]) -> Retrieval | None:
    """Rank all candidates for every query by cosine; None when there is no query or no candidate.

    Args:
        queries_QD: unit rows (Q, D).
        candidates_ND: unit rows (N, D).
        right: for each query the positions of its right candidates (at least one).

    Raises:
        UserError: a row is NaN or infinite.
        ValueError: shapes do not match, a query has no right candidate, or a position is out of range.
    """
    if not len(queries_QD) or not len(candidates_ND):
        return None
    return Retrieval.of(ranks(queries_QD, candidates_ND, right))


def median_interval(values_Q: np.ndarray, units: Sequence[str], draws: int = DRAWS, seed: int = 0) -> Interval:
    """The 95 % interval of a median: between percentiles of the medians of units drawn with replacement.

    Args:
        values_Q: one a query.
        units: the unit that each belongs to.
        draws, seed: of the bootstrap.
    """
    numbers = {name: number for number, name in enumerate(dict.fromkeys(units))}
    order_Q = np.argsort(values_Q, kind="stable")
    sorted_Q = np.asarray(values_Q)[order_Q]
    unit_Q = np.array([numbers[name] for name in units])[order_Q]
    generator = np.random.default_rng(seed)
    medians = np.empty(draws)
    for draw in range(draws):
        times_U = np.bincount(generator.integers(len(numbers), size=len(numbers)), minlength=len(numbers))
        seen_Q = times_U[unit_Q].cumsum()  # values of the draw up to each, in order
        middle = [(seen_Q[-1] - 1) // 2, seen_Q[-1] // 2]
        medians[draw] = sorted_Q[np.searchsorted(seen_Q, middle, side="right")].mean()
    low, high = np.quantile(medians, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
