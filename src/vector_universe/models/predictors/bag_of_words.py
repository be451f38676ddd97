"""Which words stand in the text of a picture, whatever their order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from vector_universe.losses.multi_label import multi_label
from vector_universe.models.predictors.configuration import PredictorConfig
from vector_universe.models.predictors.head import Head
from vector_universe.models.predictors.output import Output
from vector_universe.models.predictors.vocabulary import UNKNOWN_ID, learn_words, padded, word_ids

_IMAGES_AT_ONCE = 256


class BagOfWordsHead(Head):
    """One logit for each word of the vocabulary; the bias starts at the log odds of the word in the training texts.

        score(T | I) = Σ log σ(z_w) - log p(w),   over the different words w of T that are known

    With p(w) the share of the training texts that have the word, as (count + ½) / (texts + 1).
    """

    pooled = True

    def __init__(self, config: PredictorConfig, width: int, places: int) -> None:
        super().__init__(config, width, places)
        words = config.vocab_size - 1  # the unknown one is not predicted
        self.max_words = config.max_text_tokens
        self.words = Output(width, words)
        self.log_prior_V: Tensor
        self.register_buffer("log_prior_V", torch.zeros(words))

    @staticmethod
    def learn(texts: Sequence[str], config: PredictorConfig) -> tuple[PreTrainedTokenizerBase, tuple[Tensor, ...]]:
        tokenizer = learn_words(texts, config.min_count, config.vocabulary_limit)
        config.vocab_size = config.dictionary_size = len(tokenizer)
        counts = torch.zeros(len(tokenizer) - 1, dtype=torch.float64)
        for row in word_ids(tokenizer, texts):
            counts[_places(row[:config.max_text_tokens])] += 1
        return tokenizer, ((counts + 0.5) / (len(texts) + 1),)

    @torch.no_grad()
    def start(self, *learned: Tensor) -> None:
        prior_V, = learned
        self.log_prior_V.copy_(prior_V.log())
        self.words.bias.copy_(prior_V.logit())

    def targets(self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """The words of each text: places in the vocabulary (B, K), each once, filled up with -1."""
        return (padded([_places(row[:self.max_words]) for row in word_ids(tokenizer, texts)]),)

    def losses(self, features_BLW: Tensor, *targets: Tensor) -> Tensor:
        words_BK, = targets
        return multi_label(self.words(features_BLW[:, 0]), words_BK)

    def scores(self, features_NLW: Tensor, *targets: Tensor) -> Tensor:
        words_TK, = targets
        nothing = len(self.log_prior_V)
        places_TK = torch.where(words_TK < 0, nothing, words_TK)
        rows = []
        for part_nLW in features_NLW.split(_IMAGES_AT_ONCE):
            gain_nV = F.logsigmoid(self.words(part_nLW[:, 0])) - self.log_prior_V
            rows.append(F.embedding_bag(places_TK, F.pad(gain_nV, (0, 1)).T.contiguous(), mode="sum").T)
        return torch.cat(rows)


def _places(row: Sequence[int]) -> list[int]:
    """Places in the vocabulary of the different known words of a text."""
    return [number - 1 for number in dict.fromkeys(row) if number != UNKNOWN_ID]
