"""Images against texts: every image finds its own text among all of the batch, and every text its image."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from vector_universe.losses import InfoNCE, LabelSets, LossOutput, Sigmoid
from vector_universe.losses.ring import Ring
from vector_universe.models import DualEncoder
from vector_universe.training.cached_gradients import Encoding
from vector_universe.training.false_negatives import LabelMask
from vector_universe.training.sides import ImageSide, TextSide
from vector_universe.training.tasks.pairs import Pairs, alone
from vector_universe.training.tasks.task import Batch

SIGLIP_BIAS = -10.0  # where the paper's sigmoid objective starts


class Contrastive(Pairs):
    """Images against texts, by InfoNCE or the sigmoid; texts of equal number are positives of each other.

    Args:
        numbers: of every text of the examples (`text_numbers`); the same in every process.
        labels: of the examples, for soft targets.
        mask: finds the pairs that InfoNCE leaves out.
    """

    def __init__(self, model: DualEncoder, images: ImageSide, texts: TextSide, objective: InfoNCE | Sigmoid,
                 numbers: dict[str, int], labels: LabelSets | None = None, mask: LabelMask | None = None) -> None:
        super().__init__(model, images, texts)
        self.objective: Any = objective
        self.numbers, self.labels, self.mask = numbers, labels, mask
        self.logit_bias: nn.Parameter | None = None
        if isinstance(objective, Sigmoid) and model.logit_bias is None:
            self.logit_bias = nn.Parameter(torch.tensor(SIGLIP_BIAS))

    def encodings(self, batch: Batch) -> dict[str, Encoding]:
        return {"images": self.encoding(self.images, batch), "texts": self.encoding(self.texts, batch)}

    def loss(self, encoded: dict[str, Tensor], batch: Batch) -> LossOutput:
        return self._loss(self.objective, encoded["images"], encoded["texts"], batch)

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(batch_size) if isinstance(self.objective, InfoNCE) else None

    def validation_loss(self, images_BD: Tensor, texts_BD: Tensor, batch: Batch) -> LossOutput:
        return self._loss(alone(self.objective), images_BD, texts_BD, batch)

    def groups(self, batch: Batch) -> Tensor:
        """A number for each text, int64 (B,), equal for texts that are right for the same images."""
        return torch.tensor([self.numbers[caption] for caption in batch.captions], device=self.model.device)

    def _loss(self, objective: InfoNCE | Sigmoid, images_BD: Tensor, texts_BD: Tensor, batch: Batch) -> LossOutput:
        groups_B = self.groups(batch)
        scale = self.model.logit_scale
        if isinstance(objective, Sigmoid):
            bias = self.model.logit_bias if self.logit_bias is None else self.logit_bias
            return objective(images_BD, texts_BD, scale, bias, groups_B, groups_B)
        labels = None if self.labels is None else self.labels.take(batch.rows).to(images_BD.device)
        left_out = None if self.mask is None else self.mask.pairs(batch.rows, groups_B, Ring(objective.process_group))
        return objective(images_BD, texts_BD, scale, groups_B, groups_B, labels, false_negatives_K2=left_out)
