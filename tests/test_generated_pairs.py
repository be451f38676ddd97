"""How the study of generated pairs draws its data and its intervals."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.generated_pairs import pigeonhole, some_of, together
from vector_universe import load_dataset


def runs(values_SQ):
    return [([f"unit {place // 2}" for place in range(len(values))], list(values)) for values in values_SQ]


def test_some_pairs_are_drawn_by_the_seed_and_the_test_split_stays(small_folder):
    dataset = load_dataset(small_folder)
    training = len(dataset.split("train"))
    one, again, other = (some_of(dataset, 0.5, seed) for seed in (0, 0, 1))
    assert len(one.split("train")) == round(training / 2)
    assert [example.id for example in one] == [example.id for example in again] != [example.id for example in other]
    assert [example.id for example in one.split("test")] == [example.id for example in dataset.split("test")]
    assert len(one) == len(one.split("train")) + len(one.split("test"))


def test_seeds_are_repeated_measurements_of_the_same_units():
    sample = together(runs([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]]))
    assert sample.units == ("unit 0", "unit 1")
    assert sample.totals_U.tolist() == [1, 3]
    assert sample.counts_U.tolist() == [4, 4]


def test_an_interval_over_seeds_and_queries_holds_the_gain_and_is_wider_when_seeds_disagree():
    numbers = np.random.default_rng(1)
    before_SQ = numbers.random((5, 60))
    steady_SQ = before_SQ + 0.2 + 0.1 * numbers.standard_normal((5, 60))
    moody_SQ = steady_SQ + np.array([-0.4, -0.2, 0.0, 0.2, 0.4])[:, None]
    low, high = pigeonhole(runs(before_SQ), runs(steady_SQ))
    assert 0.1 < low < float((steady_SQ - before_SQ).mean()) < high < 0.3
    wider = pigeonhole(runs(before_SQ), runs(moody_SQ))
    assert wider[1] - wider[0] > 3 * (high - low)
    assert pigeonhole(runs(before_SQ), runs(before_SQ + 0.5)) == pytest.approx((0.5, 0.5))
