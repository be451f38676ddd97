"""InfoNCE with rows that count for more or less than one, against the equation and against repeated rows."""

from __future__ import annotations

import math
import random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.losses import references
from tests.losses.references import assert_equal_to, group_targets, one_hot, unit_rows
from vector_universe.losses import InfoNCE


def scalar(value, dtype=torch.float32):
    return torch.tensor(value, dtype=dtype, requires_grad=True)


def drawn(seed, choices):
    """Groups without anyone alone, and a weight for each image and text."""
    draw = random.Random(seed)
    groups = draw.randint(1, 6)
    images, texts = ([*range(groups), *(draw.randrange(groups) for _ in range(draw.randint(0, 5)))] for _ in range(2))
    draw.shuffle(images)
    return images, texts, [draw.choice(choices) for _ in images], [draw.choice(choices) for _ in texts]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1, 100), tile=st.integers(2, 9))
def test_weights_equal_the_equation(seed, scale, tile):
    images, texts, image_weights, text_weights = drawn(seed, [0.01, 0.3, 1.0, 2.5])
    inputs = [unit_rows(len(images), 6, seed), unit_rows(len(texts), 6, seed + 1), scalar(math.log(scale))]
    assert_equal_to(
        lambda i, t, s: references.weighted_info_nce(i, t, s, image_weights, text_weights,
                                                     lambda a, b: images[a] == texts[b]),
        lambda i, t, s: InfoNCE(tile=tile)(
            i, t, s, torch.tensor(images), torch.tensor(texts), image_weights_N=torch.tensor(image_weights),
            text_weights_M=torch.tensor(text_weights)).total, inputs, scale)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_weight_of_three_is_the_row_three_times(seed):
    """Against the unweighted equation on repeated rows, whose gradients add up in the row they repeat."""
    images, texts, image_weights, text_weights = drawn(seed, [1, 2, 3])
    inputs = [unit_rows(len(images), 6, seed), unit_rows(len(texts), 6, seed + 1), scalar(2.0)]
    more_images = [row for row, weight in enumerate(image_weights) for _ in range(weight)]
    more_texts = [row for row, weight in enumerate(text_weights) for _ in range(weight)]
    image_groups, text_groups = [images[row] for row in more_images], [texts[row] for row in more_texts]
    assert_equal_to(
        lambda i, t, s: references.info_nce(i[more_images], t[more_texts], s,
                                            group_targets(image_groups, text_groups),
                                            group_targets(text_groups, image_groups)),
        lambda i, t, s: InfoNCE(tile=4)(
            i, t, s, torch.tensor(images), torch.tensor(texts), image_weights_N=torch.tensor(image_weights).float(),
            text_weights_M=torch.tensor(text_weights).float()).total, inputs, math.exp(2))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.sampled_from([0.001, 1.0, 7.0]), one_side=st.booleans())
def test_equal_weights_change_no_gradient(seed, factor, one_side):
    """They add the logarithm of the weight, as a batch where every row stands twice costs ln 2 more."""
    inputs = [unit_rows(9, 6, seed), unit_rows(9, 6, seed + 1), scalar(2.0)]
    same = torch.full((9,), factor)
    plain = InfoNCE(tile=4)(*inputs).total
    weighted = InfoNCE(tile=4)(*inputs, image_weights_N=same, text_weights_M=None if one_side else same).total
    more = math.log(factor) / (2 if one_side else 1)
    assert weighted.item() == pytest.approx(plain.item() + more, abs=1e-5)
    for ours, theirs in zip(torch.autograd.grad(weighted, inputs), torch.autograd.grad(plain, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scale", [14.3, 74.0, 100.0])
@pytest.mark.parametrize("opposite", [False, True])
def test_tiny_weights_leave_no_sum_empty(scale, opposite):
    """Even where every logit is as low as it can be: log weights must not push a sum out of the numbers' range."""
    images, texts = unit_rows(12, 6, 0).detach(), unit_rows(12, 6, 1).detach()
    if opposite:
        images[:], texts[:] = images[0], -images[0]
    weights = [1.0] * 8 + [1e-12] * 4
    inputs = [images.requires_grad_(), texts.requires_grad_(), scalar(math.log(scale))]
    assert_equal_to(lambda i, t, s: references.weighted_info_nce(i, t, s, weights, weights, int.__eq__),
                    lambda i, t, s: InfoNCE(tile=5)(i, t, s, image_weights_N=torch.tensor(weights),
                                                    text_weights_M=torch.tensor(weights)).total,
                    inputs, scale, floor=1.0)


def test_towards_a_weight_of_zero_a_row_is_left_out():
    weights = torch.tensor([1.0] * 8 + [1e-30] * 4)
    inputs = [unit_rows(12, 6, 0), unit_rows(12, 6, 1), scalar(2.6)]
    assert_equal_to(lambda i, t, s: references.info_nce(i[:8], t[:8], s, one_hot(8), one_hot(8)),
                    lambda i, t, s: InfoNCE(tile=5)(i, t, s, image_weights_N=weights, text_weights_M=weights).total,
                    inputs, math.exp(2.6))


def test_weights_go_with_false_negatives_and_extra_candidates():
    """Extra candidates count as 1: as further rows of weight 1 that ask nothing."""
    inputs = [unit_rows(6, 5, 0), unit_rows(6, 5, 1), scalar(2.0), unit_rows(3, 5, 2), unit_rows(2, 5, 3)]
    pairs, weights = torch.tensor([[0, 1], [4, 2]]), torch.tensor([1.0, 2.0, 1.0, 1.0, 2.0, 1.0])
    twice = [0, 1, 1, 2, 3, 4, 4, 5]
    groups, repeated = torch.arange(6), torch.tensor(twice)
    again = [(i, j) for i, a in enumerate(twice) for j, b in enumerate(twice) if (a, b) in ((0, 1), (4, 2))]
    found = InfoNCE(tile=3)(*inputs[:3], groups, groups, false_negatives_K2=pairs, extra_images_KD=inputs[3],
                            extra_texts_KD=inputs[4], image_weights_N=weights, text_weights_M=weights).total
    expected = InfoNCE(tile=3)(inputs[0][twice], inputs[1][twice], inputs[2], repeated, repeated,
                               false_negatives_K2=torch.tensor(again), extra_images_KD=inputs[3],
                               extra_texts_KD=inputs[4]).total
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    for ours, theirs in zip(torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("weights", "message"), [
    (torch.tensor([1.0, 0.0]), "row 1 of image_weights_N is 0: weights must be positive; leave out a row"),
    (torch.tensor([-1.0, 1.0]), "row 0 of image_weights_N is -1"),
    (torch.tensor([1.0, math.nan]), "row 1 of image_weights_N is nan"),
    (torch.tensor([1.0]), "image_weights_N must hold 2 floats"),
    (torch.tensor([1, 2]), "image_weights_N must hold 2 floats"),
])
def test_weights_that_do_not_fit_are_refused(weights, message):
    rows = F.normalize(torch.eye(2, 4), dim=1)
    with pytest.raises(ValueError, match=message):
        InfoNCE()(rows, rows, torch.tensor(1.0), image_weights_N=weights)
