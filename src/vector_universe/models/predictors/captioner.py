"""The whole text of a picture, token by token."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from vector_universe.errors import UserError
from vector_universe.losses.captioning import PADDING, captioning, token_log_probabilities
from vector_universe.models.predictors.configuration import PredictorConfig
from vector_universe.models.predictors.decoder import Decoder, KeyValues
from vector_universe.models.predictors.decoding import Hypothesis, beam_search
from vector_universe.models.predictors.head import Head
from vector_universe.models.predictors.vocabulary import padded
from vector_universe.models.texts import tokenize
from vector_universe.models.tokenizer import END_ID, PAD_ID, train_tokenizer

HIDDEN_SHARE = 0.1  # of the rows in training, whose picture is hidden
# Of powers 0, 0.5, 0.7 and 1, with and without repeats: the best overlap with held-out captions of Flickr8k.
LENGTH_POWER, NO_REPEAT = 0.5, 3
_TOKENS_AT_ONCE = 4096
_IMAGES_AT_ONCE = 16


@dataclass(frozen=True)
class Caption:
    """A text that a captioner found for a picture.

    Attributes:
        text: it.
        log_probability: log p(text | picture), in nats.
        tokens: how many tokens it has, its end included.
    """

    text: str
    log_probability: float
    tokens: int

    @property
    def token_probability(self) -> float:
        """The geometric mean of the probabilities of its tokens: how sure the model was of each."""
        return math.exp(self.log_probability / self.tokens)


class CaptionerHead(Head):
    """A Transformer decoder over the places of the picture (Radford et al. 2021, section 2.3; Desai & Johnson 2021).

        score(T | I) = Σ_i log p(t_i | t_1 … t_{i-1}, I) - log p(t_i | t_1 … t_{i-1}, no picture)

    Both by the same decoder: a tenth of the rows are trained without their picture, so that it knows the texts' own
    frequency (as classifier-free guidance does, Ho & Salimans 2021). The end token also stands at the start.
    """

    pooled = False

    def __init__(self, config: PredictorConfig, width: int, places: int) -> None:
        super().__init__(config, width, places)
        self.max_tokens = config.max_text_tokens
        self.decoder = Decoder(config, width, places)

    @staticmethod
    def learn(texts: Sequence[str], config: PredictorConfig) -> tuple[PreTrainedTokenizerBase, tuple[Tensor, ...]]:
        tokenizer = train_tokenizer(texts, config.max_text_tokens)
        rows = tokenize(tokenizer, texts, config.max_text_tokens).rows
        if len(set(map(tuple, rows))) < 2:
            raise UserError("the training texts are all alike: two different ones at least are needed to learn "
                            "captions; give the pictures titles, or take a recipe that learns from labels")
        config.vocab_size = config.dictionary_size = len(tokenizer)
        counts = Counter(chain.from_iterable(rows))
        return tokenizer, (torch.tensor([counts[number] + 0.5 for number in range(len(tokenizer))]).log(),)

    @torch.no_grad()
    def start(self, *learned: Tensor) -> None:
        log_counts_V, = learned
        self.decoder.bias.copy_(log_counts_V)

    def targets(self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """The tokens of each text with the end token, (B, P), filled up."""
        return (padded(tokenize(tokenizer, texts, self.max_tokens).rows),)

    def losses(self, features_BLW: Tensor, *targets: Tensor) -> Tensor:
        tokens_BP, = targets
        hidden_B = (torch.rand(len(tokens_BP)) < HIDDEN_SHARE).to(tokens_BP.device) if self.training else None
        states_BPW, _ = self.decoder(self.read(tokens_BP), self.decoder.look(features_BLW, hidden_B))
        return captioning(self.decoder.logits(states_BPW), tokens_BP)

    def scores(self, features_NLW: Tensor, *targets: Tensor) -> Tensor:
        tokens_TP, = targets
        scores_NT = torch.empty(len(features_NLW), len(tokens_TP), device=features_NLW.device)
        order_T = (tokens_TP != PADDING).sum(dim=1).argsort()  # texts of like length share a part
        for start in range(0, len(features_NLW), _IMAGES_AT_ONCE):
            images = slice(start, start + _IMAGES_AT_ONCE)
            looks = self.decoder.look(features_NLW[images])
            for texts in order_T.split(max(1, _TOKENS_AT_ONCE // (_IMAGES_AT_ONCE * tokens_TP.shape[1]))):
                scores_NT[images, texts] = self._log_probabilities(looks, tokens_TP[texts])
        nothing = self.decoder.look_away()
        for texts in order_T.split(max(1, _TOKENS_AT_ONCE // tokens_TP.shape[1])):
            scores_NT[:, texts] -= self._log_probabilities(nothing, tokens_TP[texts])
        return scores_NT

    def decode(self, features_NLW: Tensor, beams: int, max_tokens: int) -> list[list[Hypothesis]]:
        """The best texts for each picture, at most `beams`, by `beam_search`."""
        found: list[list[Hypothesis]] = []
        for start in range(0, len(features_NLW), _IMAGES_AT_ONCE):
            part_nLW = features_NLW[start:start + _IMAGES_AT_ONCE]
            found += beam_search(_Reader(self.decoder, self.decoder.look(part_nLW)), len(part_nLW), beams, max_tokens,
                                 END_ID, END_ID, LENGTH_POWER, NO_REPEAT)
        return found

    def read(self, tokens_BP: Tensor) -> Tensor:
        """What the decoder reads to predict these tokens: the start token, and all but the last."""
        return F.pad(tokens_BP.clamp(min=0)[:, :-1], (1, 0), value=END_ID)

    def _log_probabilities(self, looks: Sequence[KeyValues], tokens_TP: Tensor) -> Tensor:
        """log p of every text for every picture that was looked at: (n, T)."""
        tokens_TP = tokens_TP[:, :int((tokens_TP != PADDING).sum(dim=1).max())]
        pictures = len(looks[0][0])
        tokens_RP = tokens_TP.repeat(pictures, 1)
        states_RPW, _ = self.decoder(self.read(tokens_RP), looks)
        logits_RPV = _exact_logits(self.decoder, states_RPW)
        return token_log_probabilities(logits_RPV, tokens_RP).sum(dim=1).view(pictures, -1)


class _Reader:
    """The decoder, a token at a time: keys and values of what was read are kept."""

    def __init__(self, decoder: Decoder, looks: Sequence[KeyValues]) -> None:
        self.decoder, self.looks = decoder, looks
        self.past: list[KeyValues] | None = None

    def __call__(self, tokens_R: Tensor) -> Tensor:
        states_R1W, self.past = self.decoder(tokens_R[:, None].to(self.decoder.bias.device), self.looks, self.past)
        logits_RV = _exact_logits(self.decoder, states_R1W)[:, 0]
        logits_RV[:, PAD_ID] = -torch.inf  # stands in no text
        return logits_RV.log_softmax(dim=1)

    def keep(self, rows_R: Tensor) -> None:
        assert self.past is not None
        rows_R = rows_R.to(self.decoder.bias.device)
        self.past = [(key[rows_R], value[rows_R]) for key, value in self.past]


def _exact_logits(decoder: Decoder, states_RPW: Tensor) -> Tensor:
    """Logits that are not rounded: differences of rounded ones say little."""
    with torch.autocast(states_RPW.device.type, enabled=False):
        return decoder.logits(states_RPW.to(decoder.bias.dtype))
