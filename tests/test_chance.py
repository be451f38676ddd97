"""Chance against every order there is."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from vector_universe.evaluation.chance import (
    chance_average_precision,
    chance_median_rank,
    chance_recall,
    chance_reciprocal_rank,
    mean_chance,
    missed,
)

CASES = [(1, 1), (5, 1), (6, 2), (7, 3), (4, 4), (9, 2)]


def orders(candidates, right):
    """The places, from 1, that right ones can take: each set is equally likely."""
    return list(combinations(range(1, candidates + 1), right))


@pytest.mark.parametrize(("candidates", "right"), CASES)
def test_chance_is_the_mean_over_every_order(candidates, right):
    every = orders(candidates, right)
    assert chance_reciprocal_rank(candidates, right) == pytest.approx(np.mean([1 / places[0] for places in every]))
    assert chance_average_precision(candidates, right) == pytest.approx(
        np.mean([np.mean([(j + 1) / place for j, place in enumerate(places)]) for places in every]))
    for k in range(1, candidates + 2):
        assert chance_recall(candidates, right, k) == pytest.approx(np.mean([places[0] <= k for places in every]))
    assert chance_median_rank(candidates, np.full(3, right)) == np.median([places[0] for places in every])


@pytest.mark.parametrize(("candidates", "right"), [(100, 1), (100, 7), (11, 2), (12, 1), (10, 1), (3, 1), (2000, 30)])
def test_recall_by_chance_is_the_hypergeometric_one(candidates, right):
    k = min(10, candidates)
    expected = 1 - math.comb(candidates - right, k) / math.comb(candidates, k)
    assert chance_recall(candidates, right, 10) == pytest.approx(expected, abs=1e-12)


def test_queries_with_different_numbers_of_right_ones_are_averaged():
    right_Q = np.array([1, 3, 3, 1, 1])
    assert mean_chance(lambda right: chance_recall(8, right, 2), right_Q) == pytest.approx(
        np.mean([chance_recall(8, right, 2) for right in right_Q]))
    firsts = np.concatenate([np.tile([places[0] for places in orders(8, right)], 168 // len(orders(8, right)))
                             for right in right_Q])  # 168 = lcm(8, 56) orders of each
    assert chance_median_rank(8, right_Q) == np.median(firsts)


def test_nothing_is_missed_among_all():
    assert missed(5, 2).tolist() == pytest.approx([1, 3 / 5, 3 / 10, 1 / 10, 0, 0])
    assert chance_median_rank(100_000, np.ones(3, int)) == 50_000.5
