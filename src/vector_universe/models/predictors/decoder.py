"""The Transformer decoder of the captioner: tokens that attend to the tokens before them, and to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init

from vector_universe.models.predictors.configuration import PredictorConfig
from vector_universe.models.predictors.output import ZeroLinear
from vector_universe.models.transformer import HEAD_WIDTH

KeyValues = tuple[Tensor, Tensor]  # each (rows, heads, length, HEAD_WIDTH)


class Decoder(nn.Module):
    """Pre-norm blocks of causal self-attention, cross-attention and MLP; the output layer is the token vectors.

    Cross-attention adds nothing at the start, so that a new decoder sees no difference between pictures.
    """

    def __init__(self, config: PredictorConfig, width: int, places: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.text_width)
        self.positions = nn.Parameter(torch.zeros(config.max_text_tokens, config.text_width))
        self.picture = nn.Linear(width, config.text_width)
        self.picture_positions = nn.Parameter(torch.zeros(places, config.text_width))
        self.no_picture = nn.Parameter(torch.zeros(config.text_width))
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(DecoderBlock(config.text_width, config.dropout) for _ in range(config.text_layers))
        self.norm = nn.LayerNorm(config.text_width)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    @torch.no_grad()
    def initialise(self) -> None:
        """Set the decoder's own weights; those of its parts follow the rule of all towers."""
        for parameter in (self.positions, self.picture_positions, self.no_picture, self.tokens.weight):
            init.normal_(parameter, std=0.02)
        init.zeros_(self.bias)

    def look(self, features_BLW: Tensor, hidden_B: Tensor | None = None) -> list[KeyValues]:
        """What each block attends to in these pictures; where `hidden_B` is true, the vector for no picture."""
        seen_BLW = self.picture(features_BLW) + self.picture_positions
        if hidden_B is not None:
            seen_BLW = torch.where(hidden_B[:, None, None], self.no_picture.to(seen_BLW.dtype), seen_BLW)
        return [block.look(seen_BLW) for block in self._blocks()]

    def look_away(self) -> list[KeyValues]:
        """What each block attends to without a picture, for one row."""
        return [block.look(self.no_picture[None, None]) for block in self._blocks()]

    def forward(self, tokens_RP: Tensor, looks: Sequence[KeyValues],
                past: Sequence[KeyValues] | None = None) -> tuple[Tensor, list[KeyValues]]:
        """States (R, P, W) after each token, and the keys and values of all tokens so far.

        Args:
            tokens_RP: tokens that were read, the start token first; with `past` the next one alone, P = 1.
            looks: from `look`, for n pictures; the first R/n rows read the first of them, and so on.
            past: keys and values of the tokens before, from the call before.
        """
        start = 0 if past is None else past[0][0].shape[2]
        x = self.dropout(self.tokens(tokens_RP) + self.positions[start:start + tokens_RP.shape[1]])
        present = []
        for number, block in enumerate(self._blocks()):
            x, key_values = block(x, looks[number], None if past is None else past[number])
            present.append(key_values)
        return self.norm(x), present

    def logits(self, states_RPW: Tensor) -> Tensor:
        """Scores (R, P, V) of the next token."""
        return F.linear(states_RPW, self.tokens.weight, self.bias)

    def _blocks(self) -> list[DecoderBlock]:
        return cast("list[DecoderBlock]", list(self.blocks))


class DecoderBlock(nn.Module):
    """Causal self-attention, cross-attention to the picture, MLP: each behind a LayerNorm and added to its input."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.cross_norm = nn.LayerNorm(width)
        self.cross_query = nn.Linear(width, width)
        self.picture_norm = nn.LayerNorm(width)
        self.picture_key_value = nn.Linear(width, 2 * width)
        self.cross_out = ZeroLinear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def look(self, seen_BLW: Tensor) -> KeyValues:
        """Keys and values of a picture's places."""
        key, value = self.picture_key_value(self.picture_norm(seen_BLW)).chunk(2, dim=-1)
        return _heads(key), _heads(value)

    def forward(self, x_RPW: Tensor, look: KeyValues, past: KeyValues | None) -> tuple[Tensor, KeyValues]:
        query, key, value = map(_heads, self.query_key_value(self.attention_norm(x_RPW)).chunk(3, dim=-1))
        if past is not None:
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=past is None)
        x_RPW = x_RPW + self.dropout(self.attention_out(_joined(mixed)))
        # All rows of one picture are one long row here: they share its keys and values.
        pictures, (rows, length, width) = len(look[0]), x_RPW.shape
        query = _heads(self.cross_query(self.cross_norm(x_RPW)).view(pictures, -1, width))
        mixed = _joined(F.scaled_dot_product_attention(query, *look)).view(rows, length, width)
        x_RPW = x_RPW + self.dropout(self.cross_out(mixed))
        return x_RPW + self.dropout(self.mlp(self.mlp_norm(x_RPW))), (key, value)


def _heads(x_BLW: Tensor) -> Tensor:
    return x_BLW.unflatten(-1, (-1, HEAD_WIDTH)).transpose(1, 2)


def _joined(heads_BHLD: Tensor) -> Tensor:
    return heads_BHLD.transpose(1, 2).flatten(2)
