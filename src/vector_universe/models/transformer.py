"""The pre-norm Transformer block that the small image and text towers share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

HEAD_WIDTH = 64


class TransformerBlock(nn.Module):
    """Self-attention and MLP, each behind a LayerNorm and added to its input; heads are 64 wide."""

    def __init__(self, width: int, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x_BLW: Tensor) -> Tensor:
        batch, length, width = x_BLW.shape
        heads = self.query_key_value(self.attention_norm(x_BLW)).view(batch, length, 3, -1, HEAD_WIDTH)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        x_BLW = x_BLW + self.attention_out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x_BLW + self.mlp(self.mlp_norm(x_BLW))
