"""Tasks of pairs: an image and a text are embedded in one space, and an objective compares embeddings."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vector_universe.evaluation.geometry import geometry
from vector_universe.evaluation.retrieval import retrieval
from vector_universe.losses import LossOutput
from vector_universe.models import DualEncoder
from vector_universe.training.cached_gradients import Encoding
from vector_universe.training.sides import ImageSide, TextSide
from vector_universe.training.tasks.task import Batch, Task
from vector_universe.training.views import number_of_view

MAX_LOGIT_SCALE = math.log(100)  # CLIP's cap: training is unstable above it; a model that starts higher keeps its own


class Pairs(Task):
    """What all objectives of pairs share; "images" and "texts" are among the encodings, row i of both a pair."""

    copies = 1  # views of each example in a step
    figure = "recall@10"
    model: DualEncoder

    def __init__(self, model: DualEncoder, images: ImageSide, texts: TextSide) -> None:
        super().__init__()
        self.__dict__["model"] = model  # not a part of this module: its parameters are counted once
        self.images, self.texts = images, texts
        self.max_logit_scale = max(MAX_LOGIT_SCALE, model.logit_scale.item())

    def batch(self, epoch: int, rows: Sequence[int], first: int = 0) -> Batch:
        return Batch(epoch, rows, self.texts.chosen(rows, self._view(self.texts, epoch, 0)), first)

    def validation_loss(self, images_BD: Tensor, texts_BD: Tensor, batch: Batch) -> LossOutput:
        """The loss of pairs as they are, in this process alone."""
        raise NotImplementedError

    @torch.no_grad()
    def validate(self, rows: Sequence[int], batch_size: int) -> dict[str, Any] | None:
        """Text → image retrieval by one text an image, and the loss in batches of like size; None without rows."""
        if not rows:
            return None
        captions = self.texts.first(rows)
        images_ND, texts_ND = self.images.plain(rows), torch.from_numpy(self.model.embed_texts(captions))
        places: dict[str, list[int]] = defaultdict(list)
        for place, caption in enumerate(captions):
            places[caption].append(place)
        figures = retrieval(texts_ND.numpy(), images_ND.cpu().numpy(), [places[caption] for caption in captions])
        assert figures is not None
        if len(rows) == 1:  # which no objective compares with anything
            return figures.as_dict()
        size = min(batch_size, len(rows))
        losses = [self.validation_loss(images_ND[part], texts_ND[part].to(images_ND.device),
                                       Batch(0, rows[part], captions[part]))
                  for part in (slice(start, start + size) for start in range(0, len(rows) - size + 1, size))]
        parts = {name: sum(loss.parts[name].item() for loss in losses) / len(losses) for name in losses[0].parts}
        return figures.as_dict() | {"loss": sum(parts.values()), "loss_parts": parts, "chance_loss": math.log(size)}

    def standing(self, figures: dict[str, Any]) -> list[float]:
        return [figures["recall_at_10"], -figures.get("loss", 0.0)]

    def said(self, figures: dict[str, Any]) -> str:
        return (f"validation recall@10 {figures['recall_at_10']:.3f} among {figures['candidates']} "
                f"(chance {figures['chance_at_10']:.3f})")

    def by_heart(self, encoded: dict[str, Tensor], batch: Batch) -> float:
        return geometry(encoded["images"], encoded["texts"]).recall_at_1

    def record(self) -> dict[str, float]:
        return {"logit_scale": self.model.logit_scale.exp().item()}

    @torch.no_grad()
    def after_step(self, encoded: dict[str, Tensor], batch: Batch) -> None:
        self.model.logit_scale.clamp_(0, self.max_logit_scale)

    def watched(self, encoded: dict[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        return encoded["images"], encoded["texts"]

    def encoding(self, side: ImageSide | TextSide, batch: Batch, number: int = 0) -> Encoding:
        """One side of one view of a batch."""
        view = self._view(side, batch.epoch, number)
        return Encoding(len(batch.rows), lambda part: side.prepare(batch.rows[part], view), side.embed, side.learns,
                        batch.first)

    def _view(self, side: ImageSide | TextSide, epoch: int, number: int) -> int:
        return number_of_view(epoch, number, self.copies, side.views)


def alone(objective: Any) -> Any:
    """The same objective, with the same parameters, over this process's rows only."""
    here = copy.copy(objective)
    here.process_group = None
    return here
