"""Prediction of the words of a picture: its loss is the mean over the rows, and needs no other row of the batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributed import ProcessGroup

from vector_universe.data.frame_store import FrameStore
from vector_universe.losses import LossOutput
from vector_universe.losses.ring import Ring
from vector_universe.models.precision import autocast
from vector_universe.models.predictors import Predictor
from vector_universe.training.cached_gradients import Encoding
from vector_universe.training.tasks.task import Batch, Task
from vector_universe.training.views import ImageViews, number_of_view, text_view

AHEAD = 1.0  # nats: a caption that is known by heart is so much likelier for its own picture than for any other


class Predictive(Task):
    """The caption of a picture is predicted from it; rows, views and captions are those of `Contrastive`.

    Captions are whole: a word that is left out would be learned as absent.

    Args:
        model: a bag of words, n-grams, or a captioner.
        store: the frames of the pictures.
        transform: makes views of them.
        texts: the captions of each row.
        seed: of views and captions.
        views: how many different views an example has; None for new ones each epoch.
        group: the processes that share a batch.
    """

    figure = "loss"
    model: Predictor

    def __init__(self, model: Predictor, store: FrameStore, transform: ImageViews, texts: Sequence[Sequence[str]],
                 seed: int, views: int | None, group: ProcessGroup | None) -> None:
        super().__init__()
        self.__dict__["model"] = model  # not a part of this module: its parameters are counted once
        self.store, self.transform, self.texts = store, transform, texts
        self.seed, self.views, self.group = seed, views, group

    def batch(self, epoch: int, rows: Sequence[int], first: int = 0) -> Batch:
        view = number_of_view(epoch, 0, 1, self.views)
        return Batch(epoch, rows, [text_view(self.texts[row], row, view, self.seed, 0.0)[0] for row in rows], first)

    def encodings(self, batch: Batch) -> dict[str, Encoding]:
        """The losses of the rows, (B, 1): all of a row's work is done where its part is."""
        view = number_of_view(batch.epoch, 0, 1, self.views)

        def prepare(part: slice) -> tuple[Tensor, ...]:
            rows = batch.rows[part]
            pixels_b3SS = self.transform(self.store.frames(rows), rows, view, self.seed, self.model.framing)
            return pixels_b3SS, *self.model.targets(batch.captions[part])

        return {"losses": Encoding(len(batch.rows), prepare, self._losses, first=batch.first)}

    def loss(self, encoded: dict[str, Tensor], batch: Batch) -> LossOutput:
        ring = Ring(self.group)
        return LossOutput.of(prediction=ring.total(encoded["losses"].mean() / ring.size))

    @torch.inference_mode()
    def validate(self, rows: Sequence[int], batch_size: int) -> dict[str, Any] | None:
        """The mean loss of the first text of each row, and a word's or token's perplexity; None without rows."""
        if not rows:
            return None
        with autocast(self.model):
            losses_N = torch.cat([self._losses((self._plain(some), *self.model.targets(self._first(some))))
                                  for some in (rows[start:start + batch_size]
                                               for start in range(0, len(rows), batch_size))])
        loss = losses_N.mean().item()
        return {"loss": loss} | ({} if self.model.config.predicts == "bag_of_words" else {"perplexity": math.exp(loss)})

    def standing(self, figures: dict[str, Any]) -> list[float]:
        return [-figures["loss"]]

    def said(self, figures: dict[str, Any]) -> str:
        perplexity = f" (perplexity {figures['perplexity']:.1f})" if "perplexity" in figures else ""
        return f"validation loss {figures['loss']:.3f}{perplexity}"

    @torch.inference_mode()
    def by_heart(self, encoded: dict[str, Tensor], batch: Batch) -> float:
        """By the scores of each text for all pictures, and by `AHEAD`: order alone is right after one tiny step."""
        features_BLW = self.model.features(self._plain(batch.rows).to(self.model.device)).float().cpu().numpy()
        scores_BT = torch.from_numpy(self.model.scores(features_BLW, batch.captions))
        own_T = scores_BT.diagonal()
        return ((scores_BT > own_T - AHEAD).sum(0) == 1).float().mean().item()

    def _losses(self, prepared: tuple[Tensor, ...]) -> Tensor:
        pixels_b3SS, *targets = (tensor.to(self.model.device) for tensor in prepared)
        return self.model.row_losses(self.model.features(pixels_b3SS), *targets)[:, None].float()

    def _plain(self, rows: Sequence[int]) -> Tensor:
        return ImageViews("none")(self.store.frames(rows), rows, 0, 0, self.model.framing)

    def _first(self, rows: Sequence[int]) -> list[str]:
        return [self.texts[row][0] for row in rows]
