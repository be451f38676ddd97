"""InfoNCE against a slow reference, and its symmetries."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_universe.losses import InfoNCE


def reference(images, texts, logit_scale, groups=None):
    """The equation in loops: mean over both directions of -sum(target · log softmax)."""
    size = len(images)
    groups = list(range(size)) if groups is None else groups
    logits = [[torch.dot(images[i], texts[j]) * torch.exp(logit_scale) for j in range(size)] for i in range(size)]
    total = torch.zeros((), dtype=torch.float64)
    for i in range(size):
        partners = [j for j in range(size) if groups[j] == groups[i]]
        row = torch.log(sum(torch.exp(logits[i][j]) for j in range(size)))
        column = torch.log(sum(torch.exp(logits[j][i]) for j in range(size)))
        for j in partners:
            total = total + (row - logits[i][j]) / len(partners) + (column - logits[j][i]) / len(partners)
    return total / (2 * size)


def batch(size=6, width=5, seed=0):
    draw = torch.Generator().manual_seed(seed)
    images, texts = (F.normalize(torch.randn(size, width, dtype=torch.float64, generator=draw), dim=-1)
                     for _ in range(2))
    return images.requires_grad_(), texts.requires_grad_(), torch.tensor(1.3, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("groups", [None, [0, 1, 2, 3, 4, 5], [0, 0, 1, 2, 2, 2], [7, 7, 7, 7, 7, 7]])
def test_value_and_gradients_equal_the_reference(groups):
    inputs = batch()
    expected = reference(*inputs, groups)
    found = InfoNCE()(*inputs, None if groups is None else torch.tensor(groups)).total
    assert found.item() == pytest.approx(expected.item(), abs=1e-12)
    for ours, theirs in zip(torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=7), st.integers(0, 1000))
def test_any_grouping_equals_the_reference(groups, seed):
    inputs = batch(len(groups), seed=seed)
    found = InfoNCE()(*inputs, torch.tensor(groups)).total
    assert found.item() == pytest.approx(reference(*inputs, groups).item(), abs=1e-10)


def test_groups_matter_when_texts_repeat():
    inputs = batch()
    alone = InfoNCE()(*inputs).total
    assert abs(alone - InfoNCE()(*inputs, torch.tensor([0, 0, 1, 2, 3, 4])).total) > 1e-3


def test_the_order_of_the_batch_does_not_matter():
    images, texts, scale = batch()
    groups, order = torch.tensor([0, 0, 1, 2, 2, 3]), torch.tensor([4, 0, 5, 2, 1, 3])
    shuffled = InfoNCE()(images[order], texts[order], scale, groups[order]).total
    assert shuffled.item() == pytest.approx(InfoNCE()(images, texts, scale, groups).total.item(), abs=1e-12)


def test_swapping_the_sides_swaps_the_parts_and_keeps_the_total():
    images, texts, scale = batch()
    groups = torch.tensor([0, 0, 1, 2, 2, 3])
    one, other = InfoNCE()(images, texts, scale, groups), InfoNCE()(texts, images, scale, groups)
    assert one.total.item() == pytest.approx(other.total.item(), abs=1e-12)
    assert one.parts["image_to_text"].item() == pytest.approx(other.parts["text_to_image"].item(), abs=1e-12)
    assert abs(one.parts["image_to_text"] - one.parts["text_to_image"]) > 1e-6


@pytest.mark.parametrize("size", [1, 2, 17, 128])
def test_chance_is_the_logarithm_of_the_batch(size):
    same = F.normalize(torch.ones(size, 8), dim=-1)
    assert InfoNCE()(same, same, torch.tensor(2.0)).total.item() == pytest.approx(math.log(size), abs=1e-5)


def test_perfect_pairs_cost_less_than_crossed_ones():
    rows = torch.eye(4)
    right = InfoNCE()(rows, rows, torch.tensor(3.0)).total
    assert right < 0.01 < math.log(4) < InfoNCE()(rows, rows.roll(1, 0), torch.tensor(3.0)).total


def test_without_groups_every_pair_is_its_own_in_bfloat16():
    """Row numbers above 256 are no longer distinct there: 257 would count as 256."""
    rows = torch.zeros(300, 1, dtype=torch.bfloat16)
    rows[256], rows[257] = 1, -1
    scale = torch.tensor(3.0, dtype=torch.bfloat16)
    assert InfoNCE()(rows, rows, scale).total == InfoNCE()(rows, rows, scale, torch.arange(300)).total


def test_mismatched_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(2, 4\)"):
        InfoNCE()(torch.zeros(3, 4), torch.zeros(2, 4), torch.tensor(1.0))


def test_parts_carry_no_gradient():
    output = InfoNCE()(*batch())
    assert output.total.requires_grad
    assert not any(part.requires_grad for part in output.parts.values())
