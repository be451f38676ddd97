"""Sigmoid against the equation pair by pair in float64."""

from __future__ import annotations

import math
import random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.losses import references
from tests.losses.references import assert_equal_to, unit_rows
from vector_universe.losses import Sigmoid


def scalars(scale, bias, dtype=torch.float32):
    return [torch.tensor(value, dtype=dtype, requires_grad=True) for value in (math.log(scale), bias)]


def pair(i, j):
    return i == j


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 12), width=st.integers(2, 20), tile=st.integers(1, 14), scale=st.floats(1, 100),
       bias=st.floats(-20, 5), seed=st.integers(0, 10**6))
def test_any_shape_scale_and_bias_equals_the_equation(size, width, tile, scale, bias, seed):
    inputs = [unit_rows(size, width, seed), unit_rows(size, width, seed + 1), *scalars(scale, bias)]
    assert_equal_to(lambda *given: references.sigmoid(*given, pair), lambda *given: Sigmoid(tile)(*given).total,
                    inputs, scale)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_several_positives_equal_the_equation(seed):
    draw = random.Random(seed)
    groups = draw.randint(1, 5)
    image_groups = [*range(groups), *(draw.randrange(groups) for _ in range(draw.randint(0, 4)))]
    text_groups = [*range(groups), *(draw.randrange(groups) for _ in range(draw.randint(0, 6)))]
    inputs = [unit_rows(len(image_groups), 6, seed), unit_rows(len(text_groups), 6, seed + 1), *scalars(10.0, -2.0)]
    assert_equal_to(
        lambda *given: references.sigmoid(*given, lambda i, j: image_groups[i] == text_groups[j]),
        lambda *given: Sigmoid(tile=4)(*given, torch.tensor(image_groups), torch.tensor(text_groups)).total, inputs, 10)


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_identical_and_opposite_rows(sign, scale):
    images = unit_rows(1, 5, 0).detach().expand(9, -1).clone()
    inputs = [images.requires_grad_(), (sign * images).detach().requires_grad_(), *scalars(scale, -10.0)]
    assert_equal_to(lambda *given: references.sigmoid(*given, pair), lambda *given: Sigmoid(tile=4)(*given).total,
                    inputs, scale, floor=1.0)


def test_bfloat16_inputs_are_computed_in_float32():
    inputs = [unit_rows(20, 16, 0, torch.bfloat16), unit_rows(20, 16, 1, torch.bfloat16), *scalars(10.0, -10.0)]
    expected = references.sigmoid(*(precise := references.in_float64(inputs)), pair)
    found = Sigmoid(tile=8)(*inputs).total
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for ours, theirs in zip(torch.autograd.grad(found, inputs), torch.autograd.grad(expected, precise), strict=True):
        assert (ours.double() - theirs.to(ours.dtype).double()).norm() <= 2e-3 * theirs.norm()


def test_bfloat16_tiles_keep_the_direction_of_the_gradient():
    inputs = [unit_rows(200, 64, 0), unit_rows(200, 64, 1), *scalars(10.0, -5.0)]
    exact = torch.autograd.grad(Sigmoid()(*inputs).total, inputs)
    rounded = torch.autograd.grad(Sigmoid(tile=64, tile_dtype=torch.bfloat16)(*inputs).total, inputs)
    for ours, theirs in zip(rounded[:2], exact[:2], strict=True):
        assert F.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0) >= 0.9999


def test_gradients_pass_the_finite_difference_check():
    rows = unit_rows(6, 3, 0, torch.float64), unit_rows(6, 3, 1, torch.float64)
    assert torch.autograd.gradcheck(
        lambda i, t, s, b: Sigmoid(tile=4)(F.normalize(i, dim=1), F.normalize(t, dim=1), s, b).total,
        (*rows, *scalars(5.0, -2.0, torch.float64)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 8))
def test_the_questions_of_a_split_batch_add_up(seed, cut):
    """All pairs of 9 x 9 are those of the four blocks; order does not matter either."""
    images, texts, scale, bias = unit_rows(9, 6, seed), unit_rows(9, 6, seed + 1), *scalars(10.0, -2.0)
    groups = torch.arange(9)
    whole = Sigmoid(tile=4)(images, texts, scale, bias).total * 9
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    assert (Sigmoid(tile=4)(images[order], texts[order], scale, bias).total * 9).item() == pytest.approx(
        whole.item(), rel=1e-5)
    blocks = 0.0
    for i in (slice(0, cut), slice(cut, 9)):
        for j in (slice(0, cut), slice(cut, 9)):
            if i == j:
                one = Sigmoid()(images[i], texts[j], scale, bias, groups[i], groups[j]).total
                blocks += one.item() * len(images[i])
            else:  # no positives here
                blocks += F.softplus(images[i] @ texts[j].T * scale.exp() + bias).sum().item()
    assert blocks == pytest.approx(whole.item(), rel=1e-5)


def test_without_gradients_the_value_is_the_same_and_cheaper(monkeypatch):
    from vector_universe.losses.tiles import Tiles
    inputs = [unit_rows(9, 6, 0), unit_rows(9, 6, 1), *scalars(10.0, -2.0)]
    expected = Sigmoid()(*inputs).total.item()
    monkeypatch.setattr(Tiles, "add_to_rows", None)
    with torch.no_grad():
        assert Sigmoid()(*inputs).total.item() == expected
    with pytest.raises(TypeError):
        Sigmoid()(*inputs)


def test_at_the_start_nearly_every_answer_is_no():
    """With the paper's start the loss is about that of the positives alone: 10, less the scale times their cosine."""
    rows = unit_rows(64, 512, 0), unit_rows(64, 512, 1)
    assert Sigmoid()(*rows, *scalars(10.0, -10.0)).total.item() == pytest.approx(10, abs=0.3)


@pytest.mark.parametrize(("change", "message"), [
    ({"images_ND": torch.zeros(0, 4)}, "images_ND is empty"),
    ({"texts_MD": torch.ones(2, 4)}, "row 0 of texts_MD has length 2"),
    ({"texts_MD": F.normalize(torch.ones(3, 4), dim=1)}, r"images_ND is \(2, 4\), texts_MD is \(3, 4\)"),
    ({"logit_bias": torch.ones(2)}, "logit_bias must be a single number"),
    ({"text_groups_M": torch.tensor([0, 1])}, "go together"),
])
def test_bad_input_is_refused_by_name(change, message):
    rows = F.normalize(torch.ones(2, 4), dim=1)
    given = {"images_ND": rows, "texts_MD": rows, "logit_scale": torch.tensor(1.0), "logit_bias": torch.tensor(-1.0)}
    with pytest.raises(ValueError, match=message):
        Sigmoid()(**(given | change))


def test_what_is_no_number_is_refused():
    rows = F.normalize(torch.ones(2, 4), dim=1)
    with pytest.raises(FloatingPointError, match="logit_bias is nan"):
        Sigmoid()(rows, rows, torch.tensor(1.0), torch.tensor(math.nan))
