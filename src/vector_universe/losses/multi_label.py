"""Multi-label prediction: for every word of a vocabulary, is it in the picture's text or not."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def multi_label(logits_BV: Tensor, words_BK: Tensor) -> Tensor:
    """Sigmoid cross-entropy, summed over the vocabulary: what each row costs, (B,), in nats.

        -Σ_v [y_v log σ(z_v) + (1 - y_v) log(1 - σ(z_v))] = Σ_v softplus(z_v) - Σ_{v: y_v = 1} z_v

    It is the objective of the bag-of-words rival in CLIP (Radford et al. 2021, section 2.3; Joulin et al. 2016).

    Args:
        logits_BV: z, one for each word of the vocabulary.
        words_BK: int64, the places in the vocabulary of each row's words, none of them twice; -1 fills up.
    """
    logits_BV = logits_BV.to(torch.promote_types(logits_BV.dtype, torch.float32))
    present_BK = logits_BV.gather(1, words_BK.clamp(min=0)) * (words_BK >= 0)
    return F.softplus(logits_BV).sum(dim=1) - present_BK.sum(dim=1)
