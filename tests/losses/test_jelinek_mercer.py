"""Jelinek–Mercer smoothing against the recursion over a dictionary of tuples, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_universe.losses.jelinek_mercer import ABSENT, UNSEEN_CONTEXT, jelinek_mercer

ORDER = 3
DICTIONARY = [(1,), (2,), (3,), (4,), (1, 2), (1, 3), (2, 3), (3, 1), (1, 2, 3), (1, 2, 2), (2, 3, 1), (2, 2)]
TEXTS = [[1, 2, 3, 1], [4, 4, 4], [], [1, 2, 0, 3], [0], [1, 2, 2], [3]]  # 0 is no word that is known
PLACES = {ngram: place for place, ngram in enumerate(DICTIONARY)}
CONTEXTS = torch.tensor([PLACES[ngram[:-1]] + 1 if len(ngram) > 1 else 0 for ngram in DICTIONARY])


def probability(word, context, logits):
    """p(word | context), by the paper's recursion; context is a tuple of words."""
    here = [ngram for ngram in DICTIONARY if ngram[:-1] == context]
    if not here:
        return probability(word, context[1:], logits)
    total = sum(logits[PLACES[ngram]].exp() for ngram in here)
    observed = logits[PLACES[(*context, word)]].exp() / total if (*context, word) in PLACES else 0.0
    return observed if not context else 0.2 * observed + 0.8 * probability(word, context[1:], logits)


def reference(logits, texts):
    rows = []
    for row, text in zip(logits, texts, strict=True):
        costs = []
        for end, word in enumerate(text):
            if word == 0:
                continue
            context = tuple(text[max(0, end - ORDER + 1):end])
            while 0 in context:
                context = context[1:]
            costs.append(-torch.log(probability(word, context, row)))
        rows.append(torch.stack(costs).mean() if costs else row.sum() * 0)
    return torch.stack(rows)


def targets(texts, order=ORDER):
    found = torch.full((len(texts), max(map(len, texts)), order), UNSEEN_CONTEXT)
    for number, text in enumerate(texts):
        ends = [end for end, word in enumerate(text) if word]
        for place, end in enumerate(ends):
            for length in range(1, min(order, end + 1) + 1):
                ngram = tuple(text[end + 1 - length:end + 1])
                if any(known[:-1] == ngram[:-1] for known in DICTIONARY):
                    found[number, place, length - 1] = PLACES.get(ngram, ABSENT)
    return found


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_value_and_gradient_are_those_of_the_recursion(dtype, tolerance):
    torch.manual_seed(0)
    logits = (2 * torch.randn(len(TEXTS), len(DICTIONARY), dtype=torch.float64)).to(dtype).requires_grad_()
    slow = logits.detach().double().requires_grad_()
    weights = torch.linspace(1, 2, len(TEXTS), dtype=torch.float64)
    (reference(slow, TEXTS) * weights).sum().backward()
    losses = jelinek_mercer(logits, CONTEXTS, targets(TEXTS), 0.2)
    (losses * weights.to(dtype)).sum().backward()
    torch.testing.assert_close(losses.double(), reference(slow, TEXTS), atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(logits.grad.double(), slow.grad, atol=tolerance, rtol=tolerance)
    assert losses[2].item() == losses[4].item() == 0


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 4), max_size=4), st.floats(0.01, 0.99), st.integers(0, 99))
def test_probabilities_of_all_words_after_any_context_add_up_to_one(context, smoothing, seed):
    logits = 3 * torch.randn(1, len(DICTIONARY), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    texts = [[*context, word] for word in (1, 2, 3, 4)]
    last = targets(texts)[:, -1:]  # the last word's n-grams alone
    losses = jelinek_mercer(logits.expand(4, -1), CONTEXTS, last, smoothing)
    assert (-losses).exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_logits_of_counts_give_the_counts_own_model():
    counts = torch.tensor([4.0, 3, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1])
    losses = jelinek_mercer(counts.log()[None], CONTEXTS, targets([[1, 2]]), 0.2)
    expected = -(math.log(4 / 10) + math.log(0.2 * 2 / 3 + 0.8 * 3 / 10)) / 2
    assert losses.item() == pytest.approx(expected, rel=1e-6)


def test_far_apart_logits_neither_overflow_nor_vanish():
    logits = torch.zeros(1, len(DICTIONARY))
    logits[0, PLACES[(1,)]], logits[0, PLACES[(1, 2)]], logits[0, PLACES[(1, 3)]] = 1e4, -1e4, -1e4
    logits.requires_grad_()
    losses = jelinek_mercer(logits, CONTEXTS, targets([[1, 2]]), 0.2)
    losses.sum().backward()
    assert losses.item() == pytest.approx(-math.log(0.2 / 2) / 2, rel=1e-5)
    assert logits.grad.isfinite().all()


def test_order_of_rows_and_padding_do_not_matter():
    torch.manual_seed(0)
    logits = torch.randn(len(TEXTS), len(DICTIONARY))
    losses = jelinek_mercer(logits, CONTEXTS, targets(TEXTS), 0.2)
    order = torch.randperm(len(TEXTS))
    torch.testing.assert_close(jelinek_mercer(logits[order], CONTEXTS, targets(TEXTS)[order], 0.2), losses[order])
    wider = torch.nn.functional.pad(targets(TEXTS), (0, 0, 0, 3), value=UNSEEN_CONTEXT)
    torch.testing.assert_close(jelinek_mercer(logits, CONTEXTS, wider, 0.2), losses)


def test_one_order_is_a_plain_softmax():
    logits = torch.randn(1, 4)
    words = torch.tensor([[[0], [3]]])
    losses = jelinek_mercer(logits, torch.zeros(4, dtype=torch.long), words, 0.2)
    torch.testing.assert_close(losses, -logits.log_softmax(1)[:, [0, 3]].mean(dim=1))
