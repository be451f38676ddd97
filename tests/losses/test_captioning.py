"""Teacher-forced cross-entropy against a loop over every token in float64."""

from __future__ import annotations

import math

import pytest
import torch

from vector_universe.losses.captioning import PADDING, captioning, token_log_probabilities

TOKENS = torch.tensor([[3, 0, 1, PADDING], [1, PADDING, PADDING, PADDING], [2, 2, 2, 4]])


def reference(logits):
    """Each row's loss, and the gradient of their sum, by the definition."""
    losses, gradient = [], torch.zeros_like(logits)
    for row, tokens in enumerate(TOKENS.tolist()):
        tokens = [token for token in tokens if token != PADDING]
        total = 0.0
        for place, token in enumerate(tokens):
            weights = [math.exp(value) for value in logits[row, place].tolist()]
            total -= math.log(weights[token] / sum(weights))
            for other, weight in enumerate(weights):
                gradient[row, place, other] = (weight / sum(weights) - (other == token)) / len(tokens)
        losses.append(total / len(tokens))
    return torch.tensor(losses, dtype=torch.float64), gradient


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_value_and_gradient_are_those_of_the_definition(dtype, tolerance):
    torch.manual_seed(0)
    logits = (3 * torch.randn(3, 4, 5, dtype=torch.float64)).to(dtype).requires_grad_()
    expected, gradient = reference(logits.detach().double())
    losses = captioning(logits, TOKENS)
    losses.sum().backward()
    torch.testing.assert_close(losses.double(), expected, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(logits.grad.double(), gradient, atol=tolerance, rtol=tolerance)


def test_padding_costs_nothing_and_pulls_at_nothing():
    logits = torch.randn(3, 4, 5, requires_grad=True)
    wider = torch.nn.functional.pad(logits, (0, 0, 0, 2))
    more = torch.nn.functional.pad(TOKENS, (0, 2), value=PADDING)
    torch.testing.assert_close(captioning(wider, more), captioning(logits, TOKENS))
    captioning(logits, TOKENS).sum().backward()
    assert not logits.grad[TOKENS == PADDING].any()


def test_a_row_of_padding_alone_costs_nothing():
    assert captioning(torch.randn(1, 2, 5), torch.full((1, 2), PADDING)).item() == 0


def test_rounded_logits_are_summed_in_float32():
    assert token_log_probabilities(torch.zeros(1, 1, 5, dtype=torch.bfloat16), torch.zeros(1, 1).long()).item() \
        == pytest.approx(-math.log(5), rel=1e-6)
