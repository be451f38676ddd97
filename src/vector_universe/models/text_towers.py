"""Two text towers: token ids (B, L) and attention mask (B, L) in, features (B, width) out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vector_universe.models.configuration import DualEncoderConfig
from vector_universe.models.transformer import TransformerBlock


class BagOfWords(nn.Module):
    """The mean of the token vectors (CLIP's CBOW baseline): fast, and hard to beat on titles of a few words."""

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.text_width)
        self.norm = nn.LayerNorm(config.text_width)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        weights = attention_mask.unsqueeze(-1).to(self.tokens.weight.dtype)
        mean = (self.tokens(input_ids) * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        return self.norm(mean)


class TextTransformer(nn.Module):
    """CLIP's text tower in small: causal, read at the [EOS] token, which is the last one of every text.

    Being causal and padded on the right, a text's features do not depend on how far its batch is padded.
    """

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.text_width)
        self.positions = nn.Parameter(torch.zeros(config.max_text_tokens, config.text_width))
        self.blocks = nn.ModuleList(TransformerBlock(config.text_width, causal=True)
                                    for _ in range(config.text_layers))
        self.norm = nn.LayerNorm(config.text_width)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x = self.tokens(input_ids) + self.positions[: input_ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        end = attention_mask.sum(dim=1) - 1
        return self.norm(x[torch.arange(len(x), device=x.device), end])
