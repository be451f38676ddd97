"""What was embedded lately is not embedded again, and is what it was."""

from __future__ import annotations

import numpy as np
import pytest

from vector_universe.serve.served.recent import RecentVectors


class Embedding:
    """A number becomes a vector of it; remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, things):
        self.asked.append(list(things))
        return np.array([[thing, thing + 0.5] for thing in things], np.float32)


def test_only_what_is_new_is_embedded_and_each_once():
    recent, embed = RecentVectors(), Embedding()
    for things in ([1, 2, 1], [2, 3], [3], [1, 2, 3, 3]):
        np.testing.assert_array_equal(recent.get(things, things, embed), Embedding()(things))
    assert embed.asked == [[1, 2], [3]]


def test_without_a_key_nothing_is_kept():
    recent, embed = RecentVectors(), Embedding()
    for _ in range(2):
        np.testing.assert_array_equal(recent.get([5, 5, 7], [None, None, 7], embed)[:, 0], [5, 5, 7])
    assert embed.asked == [[5, 5, 7], [5, 5]]


def test_the_longest_unasked_is_forgotten():
    recent, embed = RecentVectors(kept=2), Embedding()
    for thing in (1, 2, 1, 3, 1, 2):
        recent.get([thing], [thing], embed)
    assert embed.asked == [[1], [2], [3], [2]]


def test_a_failure_passes_through_and_keeps_nothing():
    recent, embed = RecentVectors(), Embedding()

    def fail(things):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        recent.get([1], [1], fail)
    assert recent.get([1], [1], embed)[0, 0] == 1
    assert embed.asked == [[1]]
