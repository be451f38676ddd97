"""The gate: which generated pictures are good enough to learn from, by the model's own match score.

A generated picture came from a text, so its caption is known; whether it shows what the caption says is not. The model
that learns from it is asked: among all texts of the batch, how likely is the own one? What a young generator draws
looks alike for many texts and fails, so a run begins with real pairs alone.

The measure is a probability, not a cosine: a model knows real training pictures by heart, and no generated one ever
comes as near to its text as they do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gate:
    """Keeps a generated picture whose own text is likely enough among the texts of the batch.

        p_g = Σ_{j: group_j = group_g} exp(s · cos_gj) / Σ_j exp(s · cos_gj) ≥ least

    Attributes:
        least: the least probability; by itself ½: the own text is likelier than all others together.
    """

    least: float = 0.5

    @torch.no_grad()
    def __call__(self, generated_GD: Tensor, texts_BD: Tensor, groups_B: Tensor, scale: Tensor) -> Tensor:
        """Which of the pictures to keep, bool (G,).

        Args:
            generated_GD: unit rows; picture g was made from text g.
            texts_BD: unit rows of the batch, at least G.
            groups_B: of the texts; texts of equal group are as right as the own one.
            scale: s, what the model multiplies cosines with.
        """
        likely_GB = (scale * generated_GD.float() @ texts_BD.float().T).softmax(1)
        return (likely_GB * (groups_B[:len(generated_GD), None] == groups_B)).sum(1) >= self.least
