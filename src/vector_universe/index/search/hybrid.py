"""Several rankings of the same items made one."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
DAMPING = 60  # of the paper, where 60 was near the best in every collection tried


def fuse_rankings(rankings: Sequence[Iterable[Key]], weights: Sequence[float] | None = None) -> list[tuple[Key, float]]:
    """Items by reciprocal rank fusion, best first, each with its score: cosines and word scores need no common scale.

        score(d) = Σ_r w_r / (60 + rank_r(d)), ranks from 1; a ranking that lacks d adds nothing

    (Cormack, Clarke and Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual rank learning
    methods".) Equal scores stand in the order of the first ranking, then of the second, and so on.

    Args:
        rankings: best first; of an item that one names twice, the better place counts.
        weights: one a ranking; 1 each by default.
    """
    parts: dict[Key, list[float]] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for place, key in enumerate(dict.fromkeys(ranking), 1):
            parts.setdefault(key, []).append(weight / (DAMPING + place))
    scores = [(key, math.fsum(found)) for key, found in parts.items()]  # exact: a tie is one in whatever order
    return sorted(scores, key=lambda pair: -pair[1])  # stable, and a dict keeps the order of arrival
