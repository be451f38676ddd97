"""Intervals cover the truth, units stay together, and pairing finds what two intervals cannot."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vector_universe.evaluation.bootstrap import Sample, difference, interval

DRAWS = 1000  # of the simulations


def coverage(make, truth, seed=0):
    """Share of simulations whose interval holds the truth."""
    generator = np.random.default_rng(seed)
    held = 0
    for number in range(DRAWS):
        found = interval(make(generator), draws=400, seed=number)
        held += found.low <= truth <= found.high
    return held / DRAWS


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_intervals_of_a_share_cover_the_truth(share):
    assert 0.93 <= coverage(lambda g: Sample.of(g.random(400) < share), share) <= 0.97


def test_intervals_of_captions_that_share_an_image_cover_the_truth():
    names = [str(image) for image in range(150) for _ in range(5)]

    def clustered(generator):
        own = generator.beta(1, 2, 150)  # of an image, all five captions are easy or hard
        return Sample.of((generator.random((150, 5)) < own[:, None]).ravel(), names)

    assert 0.93 <= coverage(clustered, 1 / 3) <= 0.97
    # Captions drawn one by one would be too sure of themselves: this is why units are drawn.
    assert coverage(lambda g: Sample.of(clustered(g).totals_U.repeat(5) / 5), 1 / 3) < 0.8


def test_intervals_of_reciprocal_ranks_cover_the_truth():
    ranks = np.arange(1, 2000)
    truth = float((0.1 * 0.9 ** (ranks - 1) / ranks).sum())
    assert 0.93 <= coverage(lambda g: Sample.of(1 / g.geometric(0.1, 200)), truth) <= 0.97


def test_intervals_of_a_mean_over_classes_cover_the_truth():
    accuracies = np.array([0.2, 0.5, 0.9])

    def balanced(generator):
        classes = np.arange(240) % 3
        return Sample.of(generator.random(240) < accuracies[classes], strata=classes)

    assert 0.93 <= coverage(balanced, accuracies.mean()) <= 0.97


def test_paired_differences_cover_the_truth():
    generator, truth = np.random.default_rng(0), _true_difference()
    held = 0
    for number in range(DRAWS):
        hard = generator.random(300)
        found = difference(Sample.of(hard < 0.4), Sample.of((hard + generator.normal(0, 0.1, 300)) < 0.45),
                           draws=400, seed=number)
        held += found.low <= truth <= found.high
    assert 0.93 <= held / DRAWS <= 0.97


def _true_difference():
    generator = np.random.default_rng(1)
    hard = generator.random(2_000_000)
    return float(np.mean(hard + generator.normal(0, 0.1, hard.size) < 0.45) - 0.4)


def test_draws_are_those_of_a_slow_bootstrap():
    """The same distribution as drawing units by a loop, for values of many kinds."""
    generator = np.random.default_rng(0)
    units = [str(unit) for unit in generator.integers(0, 40, 160)]
    sample = Sample.of(generator.normal(size=160), units)
    fast, slow = sample.draws(4000), np.empty(4000)
    for number in range(4000):
        chosen = generator.integers(0, len(sample.units), len(sample.units))
        slow[number] = sample.totals_U[chosen].sum() / sample.counts_U[chosen].sum()
    assert fast.mean() == pytest.approx(slow.mean(), abs=0.01)
    assert np.quantile(fast, [0.025, 0.5, 0.975]) == pytest.approx(np.quantile(slow, [0.025, 0.5, 0.975]), abs=0.015)


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-3, 3)), min_size=1, max_size=30))
def test_the_mean_is_that_of_the_values(rows):
    sample = Sample.of([value for _, value in rows], [str(unit) for unit, _ in rows])
    assert sample.mean == pytest.approx(np.mean([value for _, value in rows]), abs=1e-9)


@given(st.permutations(range(12)))
def test_the_order_of_values_does_not_matter(order):
    values, units = np.arange(12) % 5 / 4, [str(place // 3) for place in range(12)]
    one = Sample.of(values, units)
    other = Sample.of([values[place] for place in order], [units[place] for place in order])
    assert interval(one, draws=200).low == pytest.approx(interval(other, draws=200).low)


def test_a_share_of_all_or_none_has_an_interval_all_the_same():
    none, all_ = interval(Sample.of([0.0] * 30)), interval(Sample.of([1.0] * 30))
    assert (none.low, all_.high) == (0, 1)
    assert none.high == pytest.approx(0.1135, abs=1e-3)  # Wilson, 0 of 30
    assert all_.low == pytest.approx(1 - 0.1135, abs=1e-3)


def test_pairing_finds_what_intervals_side_by_side_do_not():
    generator = np.random.default_rng(0)
    right = generator.random(400) < 0.5
    better = right.copy()
    better[np.flatnonzero(~right)[:20]] = True
    one, other = Sample.of(right), Sample.of(better)
    assert interval(one).high > interval(other).low  # they overlap
    found = difference(one, other)
    assert found.is_certain
    assert found.value == pytest.approx(0.05)
    assert difference(other, one).value == pytest.approx(-0.05)


def test_units_are_paired_by_name_whatever_their_order():
    one = Sample.of([0, 1, 1], ["a", "b", "c"])
    other = Sample.of([1, 1, 0, 1], ["d", "c", "b", "a"])
    found = difference(one, other)
    assert found.units == 3
    assert found.value == pytest.approx(0)
    assert difference(one, Sample.of([1], ["elsewhere"])) is None


def test_the_same_model_differs_by_nothing():
    sample = Sample.of(np.random.default_rng(0).random(50))
    found = difference(sample, sample)
    assert (found.value, found.low, found.high, found.is_certain) == (0, 0, 0, False)


def test_a_stratum_that_one_class_dominates_counts_no_more_than_another():
    sample = Sample.of([1.0] * 90 + [0.0] * 10, strata=[0] * 90 + [1] * 10)
    assert sample.mean == 0.5


@pytest.mark.parametrize(("values", "units"), [([], None), ([1.0], ["a", "b"])])
def test_no_values_or_units_that_do_not_match_are_refused(values, units):
    with pytest.raises(ValueError, match="give at least one"):
        Sample.of(values, units)


def wilson(successes: float, size: float) -> tuple[float, float]:
    """The shares from which the one that was seen lies no farther than z of their own standard errors, by halving."""
    seen, z = successes / size, NormalDist().inv_cdf(0.975)

    def bound(inside: float, outside: float) -> float:
        for _ in range(200):
            middle = (inside + outside) / 2
            if abs(seen - middle) <= z * (middle * (1 - middle) / size) ** 0.5:
                inside = middle
            else:
                outside = middle
        return inside

    return bound(seen, 0.0), bound(seen, 1.0)


@pytest.mark.parametrize(("successes", "size"), [(0, 1), (1, 1), (0, 30), (30, 30), (1, 30), (29, 30), (9, 12),
                                                 (3, 200), (193, 200), (9, 5000)])
def test_the_interval_of_a_share_of_few_is_wilsons(successes, size):
    found = interval(Sample.of([1.0] * successes + [0.0] * (size - successes)))
    assert (found.low, found.high) == pytest.approx(wilson(successes, size), rel=1e-9, abs=1e-12)


def test_captions_that_succeed_together_count_as_one_query():
    units = [str(image) for image in range(40) for _ in range(5)]
    found = interval(Sample.of([1.0] * 20 + [0.0] * 180, units))
    assert (found.low, found.high) == pytest.approx(wilson(4, 40), rel=1e-9)


@pytest.mark.parametrize(("few", "is_wilsons"), [(9, True), (10, False)])
def test_ten_that_succeed_and_ten_that_fail_are_no_longer_few(few, is_wilsons):
    for successes in (few, 100 - few):
        found = interval(Sample.of([1.0] * successes + [0.0] * (100 - successes)))
        assert (found.high == pytest.approx(wilson(successes, 100)[1], rel=1e-9)) == is_wilsons
