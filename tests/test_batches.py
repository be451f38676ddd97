"""Batches that keep families apart: permutations, fair, and never with more of a family than need be."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vector_universe.training.batches import order_apart, random_order, relatives


@st.composite
def cases(draw):
    families = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8)), min_size=2, max_size=60))
    # a group has one set of labels
    families = [(group % 5 if label < 3 else group % 2, group) for label, group in families]
    labels = {}
    families = [(labels.setdefault(group, label), group) for label, group in families]
    return families, draw(st.integers(1, len(families))), draw(st.integers(0, 1000))


@given(cases())
def test_every_row_comes_once_and_families_are_spread_as_evenly_as_can_be(case):
    families, size, seed = case
    order = order_apart(families, size, seed).tolist()
    assert sorted(order) == list(range(len(families)))
    batches = len(families) // size
    used = order[:batches * size]
    for kind in (lambda family: family, lambda family: family[0]):
        of = [kind(family) for family in families]
        total = Counter(of[row] for row in used)
        for start in range(0, batches * size, size):
            here = Counter(of[row] for row in order[start:start + size])
            assert all(count <= -(-total[name] // batches) for name, count in here.items())


def test_an_order_is_a_function_of_its_seed():
    families = [(row % 7, row // 2) for row in range(40)]
    assert order_apart(families, 8, 3).tolist() == order_apart(families, 8, 3).tolist()
    assert order_apart(families, 8, 3).tolist() != order_apart(families, 8, 4).tolist()
    assert random_order(40, 3).tolist() == random_order(40, 3).tolist()


def test_strangers_meet_each_other_about_equally_often():
    """Dealing must not seat the same neighbours together in every epoch."""
    families, size, epochs = [(row, row) for row in range(12)], 4, 2000
    together = torch.zeros(12, 12)
    for epoch in range(epochs):
        for batch in order_apart(families, size, epoch).view(3, size):
            together[batch[:, None], batch] += 1
    share = together[~torch.eye(12, dtype=torch.bool)] / epochs
    assert share.mean().item() == pytest.approx(3 / 11)
    assert share.min() > 3 / 11 - 0.05
    assert share.max() < 3 / 11 + 0.05


def test_rows_that_no_batch_has_room_for_are_others_each_epoch():
    families = [(0, row) for row in range(10)]
    left = Counter(row for seed in range(200) for row in order_apart(families, 4, seed)[8:].tolist())
    assert set(left) == set(range(10))
    assert max(left.values()) < 2 * min(left.values()) + 10


@given(cases())
def test_relatives_are_counted_as_one_would_by_looking_at_every_pair(case):
    families, size, seed = case
    order = random_order(len(families), seed)
    batches = [order[start:start + size].tolist() for start in range(0, len(order) - size + 1, size)]
    pairs = [(one, other) for batch in batches for one in batch for other in batch if one < other]
    alike = sum(families[one][0] == families[other][0] for one, other in pairs)
    assert relatives(order, families, size) == pytest.approx(alike / len(batches))
