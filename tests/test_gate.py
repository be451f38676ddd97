"""The gate keeps exactly the generated pictures that fit, and generated pairs come by the schedule."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.losses.references import unit_rows
from vector_universe.training.adversarial.companion import ARRIVES, STARTS, scheduled_share
from vector_universe.training.adversarial.gate import Gate


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), near=st.floats(0, 2), least=st.sampled_from([0.1, 0.5, 0.9]), scale=st.floats(1, 50))
def test_it_keeps_exactly_those_whose_own_text_is_likely(seed, near, least, scale):
    texts, noise = unit_rows(9, 5, seed, torch.float64).detach(), unit_rows(6, 5, seed + 1, torch.float64).detach()
    generated = F.normalize(near * texts[:6] + noise, dim=1)
    groups = [0, 1, 1, 2, 3, 4, 5, 5, 0]
    found = Gate(least)(generated.float(), texts.float(), torch.tensor(groups), torch.tensor(scale))
    for g, picture in enumerate(generated):
        likely = [math.exp(scale * float(picture @ text)) for text in texts]
        own = sum(value for j, value in enumerate(likely) if groups[j] == groups[g]) / sum(likely)
        if abs(own - least) > 1e-4:
            assert bool(found[g]) == (own > least)


def test_what_a_bad_generator_draws_is_left_out_and_real_pictures_pass():
    texts = F.normalize(torch.eye(12, 16) + 0.1, dim=1)
    images = F.normalize(texts + 0.1 * unit_rows(12, 16, 0).detach(), dim=1)
    same = F.normalize(torch.ones(12, 16), dim=1)  # one grey blot, whatever the text
    groups, scale, gate = torch.arange(12), torch.tensor(14.0), Gate()
    assert not gate(same, texts, groups, scale).any()
    assert not gate(unit_rows(12, 16, 1).detach(), texts, groups, scale).any()
    assert not gate(images.roll(1, 0), texts, groups, scale).any()  # another text's picture
    assert gate(images, texts, groups, scale).all()


def test_another_text_that_is_as_right_does_not_shut_it():
    texts = F.normalize(torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1]]), dim=1)
    picture = F.normalize(torch.tensor([[0.9, 0.1]]), dim=1)  # nearer to text 1 than to its own, which is 0
    assert Gate()(picture, texts, torch.tensor([4, 4, 5]), torch.tensor(50.0)).tolist() == [True]
    assert Gate()(picture, texts, torch.tensor([4, 3, 5]), torch.tensor(50.0)).tolist() == [False]


def test_the_share_rises_from_nothing_to_its_end():
    assert scheduled_share(0.0, 0.5) == scheduled_share(STARTS, 0.5) == 0
    assert scheduled_share((STARTS + ARRIVES) / 2, 0.5) == pytest.approx(0.25)
    assert scheduled_share(ARRIVES, 0.5) == pytest.approx(0.5)
    assert scheduled_share(1.0, 0.5) == 0.5
    assert scheduled_share(1.0, 0.0) == 0
