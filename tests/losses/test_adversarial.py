"""Adversarial losses against slow references in float64, in value and gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vector_universe.losses.adversarial import (
    discriminator_hinge,
    generator_hinge,
    gradient_penalty,
    mismatch_hinge,
)


def scores(rows: int, seed: int) -> torch.Tensor:
    return (2 * torch.randn(rows, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))).requires_grad_()


def test_hinge_of_the_discriminator_is_the_sum_of_two_means():
    real, generated = scores(7, 0), scores(5, 1)
    total = discriminator_hinge(real, generated)
    total.backward()
    by_hand = sum(max(0.0, 1 - s) for s in real.tolist()) / 7 + sum(max(0.0, 1 + s) for s in generated.tolist()) / 5
    assert total.item() == pytest.approx(by_hand, rel=1e-12)
    assert real.grad.tolist() == [-1 / 7 if s < 1 else 0 for s in real.tolist()]
    assert generated.grad.tolist() == [1 / 5 if s > -1 else 0 for s in generated.tolist()]


def test_hinge_of_the_discriminator_rests_where_everything_is_told_apart():
    assert discriminator_hinge(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -9.0])) == 0


def test_texts_that_are_equal_are_no_mismatch():
    mismatched = scores(6, 2)
    differ = torch.tensor([True, False, True, True, False, False])
    mismatch_hinge(mismatched, differ).backward()
    kept = [s for s, one in zip(mismatched.tolist(), differ.tolist(), strict=True) if one]
    assert mismatch_hinge(mismatched, differ).item() == pytest.approx(sum(max(0.0, 1 + s) for s in kept) / 3, rel=1e-12)
    assert mismatched.grad.tolist() == [1 / 3 if one and s > -1 else 0
                                        for s, one in zip(mismatched.tolist(), differ.tolist(), strict=True)]
    assert mismatch_hinge(mismatched, torch.zeros(6, dtype=torch.bool)) == 0


def test_the_generator_wants_high_scores():
    generated = scores(4, 3)
    generator_hinge(generated).backward()
    assert generated.grad.tolist() == [-1 / 4] * 4


@pytest.mark.parametrize("loss", [lambda s: discriminator_hinge(s, -s), generator_hinge,
                                  lambda s: mismatch_hinge(s, torch.ones(len(s), dtype=torch.bool))])
def test_the_order_of_a_batch_does_not_matter(loss):
    one = scores(9, 4)
    assert loss(one).item() == pytest.approx(loss(one.flip(0)).item(), rel=1e-12)


def test_r1_is_half_the_squared_norm_of_the_gradient_and_so_is_its_own_gradient():
    torch.manual_seed(0)
    pixels = torch.randn(3, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    weight = nn.Parameter(torch.randn(48, dtype=torch.float64))

    def score(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) @ w).square() / 2  # its gradient in x is (x·w) w

    penalty = gradient_penalty(score(pixels, weight), pixels)
    products = pixels.detach().flatten(1) @ weight.detach()
    squared = weight.detach().square().sum()
    assert penalty.item() == pytest.approx((products.square() * squared).mean().item() / 2, rel=1e-12)
    penalty.backward()
    by_hand = (products[:, None] * pixels.detach().flatten(1) * squared + products.square()[:, None] * weight.detach())
    torch.testing.assert_close(weight.grad, by_hand.mean(0), rtol=1e-12, atol=0)


def test_r1_of_a_flat_discriminator_is_nothing():
    pixels = torch.randn(2, 3, 4, 4, requires_grad=True)
    assert gradient_penalty(0 * pixels.sum((1, 2, 3)) + 5, pixels) == 0
