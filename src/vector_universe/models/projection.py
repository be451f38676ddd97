"""From a tower's features to the shared space."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from vector_universe.models.configuration import DualEncoderConfig


def build_projection(config: DualEncoderConfig, width: int) -> nn.Module:
    """The projection (B, width) → (B, D) that the config asks for."""
    if config.projection == "mlp":
        return MLPProjection(width, config.embedding_width, config.projection_dropout)
    return nn.Linear(width, config.embedding_width, bias=False)


class MLPProjection(nn.Module):
    """`p = Wx; norm(p + dropout(V gelu(p)))`: the head of write-ups that join ResNet50 and DistilBERT (B2)."""

    def __init__(self, width: int, embedding_width: int, dropout: float) -> None:
        super().__init__()
        self.projection = nn.Linear(width, embedding_width)
        self.layer = nn.Linear(embedding_width, embedding_width)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(embedding_width)

    def forward(self, features: Tensor) -> Tensor:
        projected = self.projection(features)
        return self.norm(projected + self.dropout(self.layer(F.gelu(projected))))
