"""Chance: what a random order of N candidates, R of which are right, reaches on average."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def mean_chance(chance: Callable[[int], float], right_Q: np.ndarray) -> float:
    """The mean over Q queries of a chance that depends on how many right candidates each has."""
    counts, times = np.unique(right_Q, return_counts=True)
    return float(np.average([chance(int(count)) for count in counts], weights=times))


def chance_recall(candidates: int, right: int, k: int) -> float:
    """Probability of a right one among the first k: one minus the hypergeometric one of none."""
    return float(1 - missed(candidates, right)[min(k, candidates)])


def chance_reciprocal_rank(candidates: int, right: int) -> float:
    """Expected 1/rank of the first right one; H_N / N for a single one."""
    return float((-np.diff(missed(candidates, right)) / np.arange(1, candidates + 1)).sum())


def chance_average_precision(candidates: int, right: int) -> float:
    """Expected average precision.

    The i-th place is right with probability R/N; then each of the i - 1 before it is with (R - 1)/(N - 1):
    (1/N) Σ_i (1 + (i - 1)(R - 1)/(N - 1)) / i.
    """
    harmonic = float(np.sum(1 / np.arange(1, candidates + 1)))
    share = (right - 1) / max(1, candidates - 1)
    return (harmonic + share * (candidates - harmonic)) / candidates


def chance_median_rank(candidates: int, right_Q: np.ndarray) -> float:
    """Median rank of the first right one over all orders of all Q queries; (N + 1) / 2 where each has a single one."""
    counts, times = np.unique(right_Q, return_counts=True)
    found_K = 1 - np.average([missed(candidates, int(count)) for count in counts], axis=0, weights=times)
    rounding = 1e-9
    return float(np.searchsorted(found_K, 0.5 - rounding) + np.searchsorted(found_K, 0.5 + rounding)) / 2


def missed(candidates: int, right: int) -> np.ndarray:
    """Probability that none of the first k is right, for k from 0 to N, (N + 1,)."""
    drawn_N = np.arange(candidates)
    left_N = np.maximum(0, candidates - right - drawn_N) / (candidates - drawn_N)
    return np.concatenate([[1.0], np.cumprod(left_N)])
