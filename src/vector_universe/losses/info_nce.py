"""InfoNCE: the symmetric contrastive objective of CLIP, aware of texts that occur twice in a batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vector_universe.losses.base import LossOutput


class InfoNCE(nn.Module):
    """Symmetric cross-entropy over the B x B cosines, scaled by exp(t) (Radford et al. 2021, figure 3).

        logits = I Tᵀ · exp(t),   total = (CE(logits, rows) + CE(logits, columns)) / 2

    Pairs of one batch that share a text (`groups_B`) are positives of each other: the one-hot target becomes the
    uniform distribution over them (Khosla et al. 2020, L_out's target in place of a one-hot), as it would be false to
    push equal texts apart. Without `groups_B`, or when all groups differ, this is exactly the equation above. At
    chance the value is ln B. Memory O(B²).
    """

    def forward(self, images_BD: Tensor, texts_BD: Tensor, logit_scale: Tensor,
                groups_B: Tensor | None = None) -> LossOutput:
        """Compare unit rows of images and texts, both (B, D).

        Args:
            images_BD: image embeddings, L2-normalised.
            texts_BD: text embeddings, L2-normalised; row i belongs to image i.
            logit_scale: scalar t.
            groups_B: integers, equal where two pairs carry the same text.

        Raises:
            ValueError: the shapes do not match.
        """
        if images_BD.shape != texts_BD.shape:
            raise ValueError(f"images_BD is {tuple(images_BD.shape)}, texts_BD is {tuple(texts_BD.shape)}")
        logits_BB = images_BD @ texts_BD.T * logit_scale.exp()
        if groups_B is None:
            groups_B = torch.arange(len(images_BD), device=images_BD.device)
        positives_BB = (groups_B[:, None] == groups_B[None, :]).to(logits_BB.dtype)
        targets_BB = positives_BB / positives_BB.sum(dim=1, keepdim=True)  # symmetric: equal rows are equal columns
        image_to_text = F.cross_entropy(logits_BB, targets_BB)
        text_to_image = F.cross_entropy(logits_BB.T, targets_BB)
        return LossOutput((image_to_text + text_to_image) / 2,
                          {"image_to_text": image_to_text.detach(), "text_to_image": text_to_image.detach()})
