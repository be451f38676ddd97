"""Greedy and beam search: the texts that a model finds likeliest, one token after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class NextToken(Protocol):
    """A model of texts that remembers what it has read for R = N·beams rows, those of one input behind each other."""

    def __call__(self, tokens_R: Tensor) -> Tensor:
        """Read one token more in each row; log-probabilities (R, V) of the next."""

    def keep(self, rows_R: Tensor) -> None:
        """Go on with these of its rows, in this order."""


@dataclass(frozen=True)
class Hypothesis:
    """A text that was found.

    Attributes:
        tokens: its token ids, without start and end.
        log_probability: of all of it with its end, in nats.
        score: that divided by (number of tokens with the end) ** length_power.
    """

    tokens: list[int]
    log_probability: float
    score: float


def beam_search(model: NextToken, inputs: int, beams: int, max_tokens: int, start: int, end: int,
                length_power: float = 1.0, no_repeat: int = 0) -> list[list[Hypothesis]]:
    """The best texts for each input, best first, at most `beams`; with one beam, greedy search.

    Each step keeps the `beams` likeliest beginnings of an input. A text that ends among them is finished, and its
    input is done once `beams` are. At `max_tokens` what has not ended is made to.

    Args:
        model: reads `start` first, in inputs · beams rows.
        inputs: how many, N.
        beams: beginnings that are kept of each; the more, the likelier the texts, and the slower.
        max_tokens: the longest text, end included.
        start, end: token ids.
        length_power: 0 ranks by probability, which prefers short texts; 1 by the mean over the tokens (Wu et al. 2016
            go between).
        no_repeat: no run of so many tokens stands twice in a text (Paulus et al. 2018); 0 allows any.
    """
    tokens_R = torch.full((inputs * beams,), start)
    totals_NB = torch.full((inputs, beams), -torch.inf)
    totals_NB[:, 0] = 0.0  # all beams begin alike: one of them goes on
    texts_NBP = torch.empty(inputs, beams, 0, dtype=torch.long)
    finished: list[list[Hypothesis]] = [[] for _ in range(inputs)]
    for length in range(1, max_tokens + 1):
        log_p_NBV = model(tokens_R).float().cpu().view(inputs, beams, -1)
        if no_repeat:
            _forbid_repeats(log_p_NBV, texts_NBP, no_repeat)
        if length == max_tokens:
            ending_NB = totals_NB + log_p_NBV[:, :, end]
            for number, found in enumerate(finished):
                if len(found) < beams:
                    found += [_finished(texts_NBP[number, beam], ending_NB[number, beam], length_power)
                              for beam in ending_NB[number].isfinite().nonzero().flatten().tolist()]
            break
        size = log_p_NBV.shape[2]
        candidates = (totals_NB[:, :, None] + log_p_NBV).flatten(1)
        best = candidates.topk(min(2 * beams, candidates.shape[1]))  # at most one of each beam ends: enough go on
        goes_on: list[list[int]] = []
        for number, found in enumerate(finished):
            places = best.indices[number].tolist()
            for rank, place in enumerate(places[:beams]):
                if place % size == end and best.values[number, rank].isfinite() and len(found) < beams:
                    found.append(_finished(texts_NBP[number, place // size], best.values[number, rank], length_power))
            goes_on.append([rank for rank, place in enumerate(places) if place % size != end][:beams])
        if all(len(found) >= beams for found in finished):
            break
        ranks_NB = torch.tensor(goes_on)
        totals_NB, places_NB = best.values.gather(1, ranks_NB), best.indices.gather(1, ranks_NB)
        from_NB, tokens_NB = places_NB // size, places_NB % size
        texts_NBP = torch.cat([texts_NBP.gather(1, from_NB[:, :, None].expand(-1, -1, length - 1)),
                               tokens_NB[:, :, None]], dim=2)
        model.keep((from_NB + torch.arange(inputs)[:, None] * beams).flatten())
        tokens_R = tokens_NB.flatten()
    return [sorted(found, key=lambda text: -text.score)[:beams] for found in finished]


def _finished(tokens_P: Tensor, log_probability: Tensor, length_power: float) -> Hypothesis:
    total = float(log_probability)
    return Hypothesis(tokens_P.tolist(), total, total / (len(tokens_P) + 1) ** length_power)


def _forbid_repeats(log_p_NBV: Tensor, texts_NBP: Tensor, size: int) -> None:
    """Set to -inf, in place, the tokens that would end a run of `size` tokens that the text has already."""
    for log_p_BV, texts in zip(log_p_NBV, texts_NBP.tolist(), strict=True):
        for log_p_V, text in zip(log_p_BV, texts, strict=True):
            last = text[len(text) - size + 1:]
            log_p_V[[text[end] for end in range(size - 1, len(text)) if text[end - size + 1:end] == last]] = -torch.inf
