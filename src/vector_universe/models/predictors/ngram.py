"""Which n-grams a picture's text is made of: Visual N-Grams (Li et al. 2017)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from vector_universe.losses.jelinek_mercer import (
    ABSENT,
    UNSEEN_CONTEXT,
    interpolate,
    jelinek_mercer,
    log_observed,
)
from vector_universe.models.predictors.configuration import PredictorConfig
from vector_universe.models.predictors.head import Head
from vector_universe.models.predictors.output import Output
from vector_universe.models.predictors.vocabulary import UNKNOWN_ID, learn_words, word_ids

_NUMBERS_AT_ONCE = 2 ** 22
Ngram = tuple[int, ...]


class NgramHead(Head):
    """One logit for each n-gram of the dictionary; the bias starts at the logarithm of its count.

        score(T | I) = Σ_i log p(w_i | words before, I) - log p(w_i | words before),   over the known words of T

    The latter by the same formula with the counts of the training texts in place of exp(z). An unknown word is not
    predicted, and no n-gram reaches across it.
    """

    pooled = True

    def __init__(self, config: PredictorConfig, width: int, places: int) -> None:
        super().__init__(config, width, places)
        size = config.dictionary_size
        self.smoothing, self.max_words = config.smoothing, config.max_text_tokens
        self.ngrams = Output(width, size)
        self.words_DN: Tensor
        self.contexts_D: Tensor
        self.prior_D: Tensor
        self.register_buffer("words_DN", torch.zeros(size, config.ngram_order, dtype=torch.long))
        self.register_buffer("contexts_D", torch.zeros(size, dtype=torch.long))
        self.register_buffer("prior_D", torch.zeros(size))
        self._places: dict[Ngram, int] | None = None
        self._begun: set[Ngram] = set()

    @staticmethod
    def learn(texts: Sequence[str], config: PredictorConfig) -> tuple[PreTrainedTokenizerBase, tuple[Tensor, ...]]:
        tokenizer = learn_words(texts, config.min_count, config.vocabulary_limit)
        rows = [row[:config.max_text_tokens] for row in word_ids(tokenizer, texts)]
        counts = count_ngrams(rows, config.ngram_order, max(2, config.min_count or 0), config.vocabulary_limit)
        config.vocab_size, config.dictionary_size = len(tokenizer), len(counts)
        places = {ngram: place for place, ngram in enumerate(counts)}
        words_DN = torch.tensor([[*ngram, *[UNKNOWN_ID] * (config.ngram_order - len(ngram))] for ngram in counts])
        contexts_D = torch.tensor([places[ngram[:-1]] + 1 if len(ngram) > 1 else 0 for ngram in counts])
        return tokenizer, (words_DN, contexts_D, torch.tensor(list(counts.values())).double().log())

    @torch.no_grad()
    def start(self, *learned: Tensor) -> None:
        words_DN, contexts_D, log_counts_D = learned
        self.words_DN.copy_(words_DN)
        self.contexts_D.copy_(contexts_D)
        self.prior_D.copy_(log_counts_D)
        self.ngrams.bias.copy_(log_counts_D)

    def targets(self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """The n-grams that end in each known word of each text: (B, P, N), as `jelinek_mercer` takes them."""
        if self._places is None:
            self._places = {tuple(number for number in row if number != UNKNOWN_ID): place
                            for place, row in enumerate(self.words_DN.tolist())}
            self._begun = {ngram[:-1] for ngram in self._places}
        rows = [[self._ending_at(row, end) for end in range(len(row)) if row[end] != UNKNOWN_ID]
                for row in (row[:self.max_words] for row in word_ids(tokenizer, texts))]
        order = self.words_DN.shape[1]
        ngrams_BPN = torch.full((len(rows), max(map(len, rows), default=0) or 1, order), UNSEEN_CONTEXT)
        for number, row in enumerate(rows):
            if row:
                ngrams_BPN[number, :len(row)] = torch.tensor(row)
        return (ngrams_BPN,)

    def losses(self, features_BLW: Tensor, *targets: Tensor) -> Tensor:
        ngrams_BPN, = targets
        return jelinek_mercer(self.ngrams(features_BLW[:, 0]), self.contexts_D, ngrams_BPN, self.smoothing)

    def scores(self, features_NLW: Tensor, *targets: Tensor) -> Tensor:
        ngrams_TPN, = targets
        prior_T = self._log_probabilities(self.prior_D[None], ngrams_TPN)
        at_once = max(1, _NUMBERS_AT_ONCE // (ngrams_TPN.numel() + len(self.prior_D)))
        return torch.cat([self._log_probabilities(self.ngrams(part_nLW[:, 0]), ngrams_TPN)
                          for part_nLW in features_NLW.split(at_once)]) - prior_T

    def _log_probabilities(self, logits_nD: Tensor, ngrams_TPN: Tensor) -> Tensor:
        """log p of every text by every row of logits: (n, T)."""
        texts, words, order = ngrams_TPN.shape
        observed_nD = log_observed(logits_nD, self.contexts_D)
        observed_nQN = observed_nD[:, ngrams_TPN.clamp(min=0).flatten()].view(len(observed_nD), -1, order)
        log_p_nQ = interpolate(observed_nQN, ngrams_TPN.view(1, -1, order), self.smoothing)
        return log_p_nQ.view(-1, texts, words).sum(dim=2)

    def _ending_at(self, row: Sequence[int], end: int) -> list[int]:
        assert self._places is not None
        found = [UNSEEN_CONTEXT] * self.words_DN.shape[1]
        for length in range(1, min(len(found), end + 1) + 1):
            ngram = tuple(row[end + 1 - length:end + 1])
            if ngram[:-1] not in self._begun:
                break
            found[length - 1] = self._places.get(ngram, ABSENT)
        return found


def count_ngrams(rows: Sequence[Sequence[int]], order: int, min_count: int, limit: int) -> dict[Ngram, int]:
    """How often the n-grams of a dictionary occur in rows of word ids, words first, then by order and frequency.

    All words are in it, and of the n-grams of 2 to `order` words those that occur `min_count` times, at most `limit`.
    With an n-gram its beginning and its end are in the dictionary too: they are at least as frequent.
    """
    counts: Counter[Ngram] = Counter((number,) for row in rows for number in row if number != UNKNOWN_ID)
    kept = {ngram: counts[ngram] for ngram in sorted(counts)}
    longer: dict[Ngram, int] = {}
    frequent = {ngram for ngram, count in counts.items() if count >= min_count}
    for length in range(2, order + 1):
        counts = Counter(ngram for row in rows for ngram in zip(*(row[start:] for start in range(length)), strict=False)
                         if ngram[:-1] in frequent and ngram[1:] in frequent)
        found = {ngram: count for ngram, count in counts.items() if count >= min_count}
        frequent = set(found)
        longer |= found
    chosen = sorted(longer, key=lambda ngram: (-longer[ngram], len(ngram), ngram))[:limit]
    return kept | {ngram: longer[ngram] for ngram in sorted(chosen, key=lambda ngram: (len(ngram), ngram))}
