"""Greedy and beam search against enumeration of every text, and against reading each text anew."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

from tests.predictors import make, shaken
from vector_universe import UserError
from vector_universe.models.predictors.decoding import beam_search

END, SIZE, LONGEST = 1, 4, 4


class Table:
    """A random model of texts for two inputs: what comes next depends on all that was read."""

    def __init__(self, beams, seed=0):
        self.beams, self.seed = beams, seed
        self.texts = [() for _ in range(2 * beams)]

    def log_p(self, row, text):
        generator = np.random.default_rng([self.seed, row // self.beams, *text])
        logits = 2 * generator.standard_normal(SIZE)
        return torch.tensor(logits).log_softmax(0)

    def __call__(self, tokens):
        self.texts = [(*text, token) for text, token in zip(self.texts, tokens.tolist(), strict=True)]
        return torch.stack([self.log_p(row, text) for row, text in enumerate(self.texts)])

    def keep(self, rows):
        self.texts = [self.texts[row] for row in rows.tolist()]


def every_text(number, seed, length_power):
    """All texts of one input with their log-probability, best first."""
    table = Table(1, seed)
    found = []
    for length in range(LONGEST):
        for text in product([token for token in range(SIZE) if token != END], repeat=length):
            steps = [*text, END]
            total = sum(table.log_p(number, (END, *steps[:place]))[token].item() for place, token in enumerate(steps))
            found.append((total / len(steps) ** length_power, list(text), total))
    return sorted(found, reverse=True)


def search(beams, seed=0, length_power=1.0, no_repeat=0):
    return beam_search(Table(beams, seed), 2, beams, LONGEST, END, END, length_power, no_repeat)


@pytest.mark.parametrize(("seed", "length_power"), [(0, 0.0), (1, 0.7), (2, 1.0)])
def test_with_enough_beams_the_best_texts_of_all_are_found(seed, length_power):
    for number, found in enumerate(search(SIZE ** LONGEST, seed, length_power)):
        expected = every_text(number, seed, length_power)
        assert len(found) == len(expected)
        for text, (score, tokens, total) in zip(found[:5], expected, strict=False):
            assert text.tokens == tokens
            assert text.score == pytest.approx(score)
            assert text.log_probability == pytest.approx(total)


@pytest.mark.parametrize("no_repeat", [1, 2])
def test_texts_that_repeat_themselves_are_left_out_and_no_others(no_repeat):
    def repeats(tokens):
        runs = [tuple(tokens[start:start + no_repeat]) for start in range(len(tokens) - no_repeat + 1)]
        return len(set(runs)) < len(runs)

    for number, found in enumerate(search(SIZE ** LONGEST, no_repeat=no_repeat)):
        expected = [tokens for _, tokens, _ in every_text(number, 0, 1.0) if not repeats(tokens)]
        assert len(expected) < len(every_text(number, 0, 1.0))
        assert [text.tokens for text in found] == expected


@pytest.mark.parametrize("seed", range(4))
def test_one_beam_takes_the_likeliest_token_each_time(seed):
    for number, (found,) in enumerate(search(1, seed)):
        table, text = Table(1, seed), []
        while len(text) < LONGEST - 1:
            token = int(table.log_p(number, (END, *text)).argmax())
            if token == END:
                break
            text.append(token)
        assert found.tokens == text


def test_more_beams_find_likelier_texts():
    means = [np.mean([texts[0].score for seed in range(10) for texts in search(beams, seed)]) for beams in (1, 3, 9)]
    assert means[0] < means[1] <= means[2]


def test_no_text_is_found_twice_and_the_best_come_first():
    for seed in range(5):
        for found in search(3, seed):
            assert len({tuple(text.tokens) for text in found}) == len(found) == 3
            assert [text.score for text in found] == sorted((text.score for text in found), reverse=True)


@pytest.fixture(scope="module")
def captioner():
    torch.manual_seed(0)
    return shaken(make("captioner", text_width=128)).float()


@pytest.fixture(scope="module")
def features(captioner):
    return captioner.read_pixels(np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8))


def test_a_caption_has_the_probability_that_teacher_forcing_gives(captioner, features):
    head = captioner.head
    with torch.no_grad():
        found = head.decode(torch.from_numpy(features), 3, 12)
        for number, texts in enumerate(found):
            for text in texts:
                tokens = torch.tensor([[*text.tokens, END]])
                loss = head.losses(torch.from_numpy(features[number:number + 1]), tokens).item()
                assert text.log_probability == pytest.approx(-loss * tokens.shape[1], abs=0.02)


def test_reading_token_by_token_is_reading_all_at_once(captioner, features):
    decoder, tokens = captioner.head.decoder, torch.randint(2, 50, (6, 9))
    with torch.no_grad():
        looks = decoder.look(torch.from_numpy(features))
        at_once, _ = decoder(tokens, looks)
        past, states = None, []
        for place in range(9):
            state, past = decoder(tokens[:, place:place + 1], looks, past)
            states.append(state)
    torch.testing.assert_close(torch.cat(states, dim=1), at_once, atol=1e-4, rtol=1e-4)


def test_captions_do_not_depend_on_the_batch(captioner, features):
    together = captioner.caption(features, beams=3, max_tokens=8)
    alone = [captioner.caption(features[i:i + 1], beams=3, max_tokens=8)[0] for i in range(3)]
    assert [[caption.text for caption in texts] for texts in together] == \
        [[caption.text for caption in texts] for texts in alone]
    for caption in together[0]:
        assert caption.tokens <= 8
        assert caption.token_probability == pytest.approx(math.exp(caption.log_probability / caption.tokens))


def test_what_is_learned_by_heart_is_said(features):
    model = make("captioner")
    texts = ["a red circle", "ein roter Kreis", "빨간 원"]
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    targets = model.targets(texts)
    for _ in range(40):
        optimiser.zero_grad()
        model.row_losses(torch.from_numpy(features), *targets).mean().backward()
        optimiser.step()
    for beams in (1, 4):
        assert [found[0].text for found in model.caption(features, beams)] == ["a red circle", "ein roter kreis",
                                                                              "빨간 원"]


def test_nothing_is_said_of_no_picture(captioner, features):
    assert captioner.caption(features[:0]) == []


@pytest.mark.parametrize("setting", ["beams", "max_tokens"])
def test_impossible_numbers_are_refused(captioner, features, setting):
    with pytest.raises(UserError, match=f"{setting} is 0: it must be at least 1"):
        captioner.caption(features, **{setting: 0})


@pytest.mark.parametrize("kind", ["bag_of_words", "ngram"])
def test_other_predictors_say_no_captions(kind, features):
    with pytest.raises(UserError, match=f"this model predicts {kind}, no whole texts: give what `vu train --recipe"):
        make(kind).caption(features)
