"""Efficiency: how many pictures one objective needs for what another reaches at its end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vector_universe.evaluation.bootstrap import Sample, interval
from vector_universe.training.comparison.config import Objective
from vector_universe.training.comparison.results import Results


@dataclass(frozen=True)
class Factor:
    """How many times fewer pictures `faster` needs for what `slower` reaches at its end.

    Attributes:
        faster, slower: objectives.
        value: by the means over the seeds; None where `faster` never gets there.
        at_least: `faster` is there at its first look: the factor may be larger.
        by_seed: the same for each seed by itself.
        above_chance: whether what `slower` reaches is above chance: there is nothing to be reached otherwise.
    """

    faster: Objective
    slower: Objective
    value: float | None
    at_least: bool
    by_seed: tuple[float | None, ...]
    above_chance: bool

    def __str__(self) -> str:
        """Such as "3.1 (2.4 to 4.0)": the mean curves', and from the least to the most of the seeds."""
        if not self.above_chance or self.value is None:
            return "–"
        sign = "≥ " if self.at_least else ""
        reached = [value for value in self.by_seed if value is not None]
        if len(self.by_seed) < 2 or not reached:
            return f"{sign}{self.value:.1f}"
        low = f"{min(reached):.1f}" if len(reached) == len(self.by_seed) else "< 1"
        return f"{sign}{self.value:.1f} ({low} to {max(reached):.1f})"


def factor(results: Results, faster: Objective, slower: Objective, figure: str) -> Factor:
    """Compare two objectives by one figure, seed by seed and by the means over the seeds."""
    images_P, total = results.any_run.images_P, results.images
    fast_SP, slow_SP = results.values(faster, figure), results.values(slower, figure)
    needed = images_needed(images_P, fast_SP.mean(axis=0), float(slow_SP[:, -1].mean()))
    each = [images_needed(images_P, fast_P, float(slow_P[-1])) for fast_P, slow_P in zip(fast_SP, slow_SP, strict=True)]
    return Factor(faster, slower, None if needed is None else total / needed, bool(needed == images_P[0]),
                  tuple(None if one is None else total / one for one in each), above_chance(results, slower, figure))


def images_needed(images_P: np.ndarray, values_P: np.ndarray, level: float) -> float | None:
    """Pictures from which on a curve lies at `level` or above for good, between two looks by the logarithm.

    A curve that only touches the level on its way does not count as there, so that noise makes no objective look fast.

    Returns:
        None where it ends below; the first look's where it was never below.
    """
    below = np.flatnonzero(values_P < level)
    if not len(below):
        return float(images_P[0])
    last = int(below[-1])
    if last == len(values_P) - 1:
        return None
    share = (level - values_P[last]) / (values_P[last + 1] - values_P[last])
    logs = np.log(images_P[last:last + 2])
    return float(math.exp(logs[0] + share * (logs[1] - logs[0])))


def above_chance(results: Results, objective: Objective, figure: str) -> bool:
    """Whether the end lies above chance: its interval over test pictures, or, for a figure without, every seed."""
    chance = results.any_run.chances[figure]
    sample = end_sample(results, objective, figure)
    if sample is None:
        return bool((results.values(objective, figure)[:, -1] > chance).all())
    return interval(sample).low > chance


def end_sample(results: Results, objective: Objective, figure: str) -> Sample | None:
    """How often each test picture was right at the end, over the seeds; None for a figure that is no share of them."""
    runs = results.runs[objective]
    if figure not in runs[0].right:
        return None
    return Sample.of(np.stack([run.right[figure] for run in runs]).mean(axis=0))
