"""Multi-label prediction against a loop over every word in float64."""

from __future__ import annotations

import math

import pytest
import torch

from vector_universe.losses.multi_label import multi_label

WORDS = [[0, 4], [2], [], [1, 2, 3]]


def padded(rows):
    width = max(map(len, rows))
    return torch.tensor([row + [-1] * (width - len(row)) for row in rows])


def reference(logits, words):
    """Each row's loss, and the gradient of their sum, by the definition."""
    losses, gradient = [], torch.zeros_like(logits)
    for row, present in enumerate(words):
        total = 0.0
        for word in range(logits.shape[1]):
            probability = 1 / (1 + math.exp(-logits[row, word].item()))
            label = 1.0 if word in present else 0.0
            total -= label * math.log(probability) + (1 - label) * math.log(1 - probability)
            gradient[row, word] = probability - label
        losses.append(total)
    return torch.tensor(losses, dtype=torch.float64), gradient


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_value_and_gradient_are_those_of_the_definition(dtype, tolerance):
    torch.manual_seed(0)
    logits = (3 * torch.randn(4, 5, dtype=torch.float64)).to(dtype).requires_grad_()
    expected, gradient = reference(logits.detach().double(), WORDS)
    losses = multi_label(logits, padded(WORDS))
    losses.sum().backward()
    torch.testing.assert_close(losses.double(), expected, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(logits.grad.double(), gradient, atol=tolerance, rtol=tolerance)


def test_far_from_zero_nothing_overflows():
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    right, wrong = multi_label(logits, torch.tensor([[0]])), multi_label(logits, torch.tensor([[1]]))
    assert right.item() == 0
    assert wrong.item() == 2e4
    wrong.sum().backward()
    assert torch.equal(logits.grad, torch.tensor([[1.0, -1.0]]))


def test_rounded_logits_are_summed_in_float32():
    logits = torch.zeros(1, 4096, dtype=torch.bfloat16)
    assert multi_label(logits, torch.tensor([[7]])).dtype == torch.float32
    assert multi_label(logits, torch.tensor([[7]])).item() == pytest.approx(4096 * math.log(2), rel=1e-5)


def test_the_most_likely_constant_is_the_log_odds_of_the_words():
    words = padded([[0], [0, 1], [0], []])
    bias = torch.tensor([3.0, 1.0]).div(4).logit()
    best = multi_label(bias.expand(4, 2), words).sum()
    for change in ([0.1, 0], [-0.1, 0], [0, 0.1], [0, -0.1]):
        assert multi_label((bias + torch.tensor(change)).expand(4, 2), words).sum() > best
