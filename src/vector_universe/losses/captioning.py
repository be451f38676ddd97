"""Captioning: each token of a text predicted from the picture and the tokens before it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PADDING = -1


def captioning(logits_BPV: Tensor, tokens_BP: Tensor) -> Tensor:
    """Teacher-forced cross-entropy, the mean over each row's tokens: (B,), in nats.

        -1/P Σ_i log softmax(z_i)[t_i]

    Args:
        logits_BPV: z_i, from the tokens before i.
        tokens_BP: int64, the tokens t_i with the end token; `PADDING` fills up.
    """
    return -token_log_probabilities(logits_BPV, tokens_BP).sum(dim=1) / (tokens_BP != PADDING).sum(dim=1).clamp(min=1)


def token_log_probabilities(logits_BPV: Tensor, tokens_BP: Tensor) -> Tensor:
    """log softmax(z_i)[t_i] of each token, (B, P); 0 where there is none."""
    logits_BPV = logits_BPV.to(torch.promote_types(logits_BPV.dtype, torch.float32))
    return -F.cross_entropy(logits_BPV.flatten(0, 1), tokens_BP.flatten(), ignore_index=PADDING,
                            reduction="none").view(tokens_BP.shape)
