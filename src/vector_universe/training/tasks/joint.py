"""Real pairs and generated ones together: contrastive(real ∪ λ·generated), with a generator that learns beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vector_universe.data import Example
from vector_universe.data.evenly import evenly
from vector_universe.losses import LossOutput
from vector_universe.losses.ring import Ring
from vector_universe.training.adversarial.companion import Companion
from vector_universe.training.adversarial.sheets import NEVER_SEEN, SHOWN, SHOWN_HELD_OUT
from vector_universe.training.cached_gradients import Encoding
from vector_universe.training.tasks.contrastive import Contrastive
from vector_universe.training.tasks.task import Batch


class Joint(Contrastive):
    """InfoNCE over the real pairs of a batch and pictures that were generated from some of its texts.

    A generated picture is a further positive of the text that it came from, and a further negative of the others. It
    counts as λ of a real picture wherever it stands, and its text as λ more than once: as if the generated pair stood
    in the batch λ times (`InfoNCE`). It is embedded with a gradient before the gate decides on that very embedding.

    Args:
        contrastive: the task of the real pairs alone, by InfoNCE.
        companion: what generates.
        examples: of the rows, for sheets of samples.
    """

    def __init__(self, contrastive: Contrastive, companion: Companion, examples: Sequence[Example]) -> None:
        super().__init__(contrastive.model, contrastive.images, contrastive.texts, contrastive.objective,
                         contrastive.numbers, contrastive.labels, contrastive.mask)
        self.companion, self.examples = companion, examples
        self.figures: dict[str, float] = {}

    def encodings(self, batch: Batch) -> dict[str, Encoding]:
        names = super().encodings(batch)
        count = self.companion.count(batch.progress, len(batch.rows))
        if not count:
            return names
        drawn = _Drawn(self.companion, batch, count)

        def encode_texts(prepared: Any) -> Tensor:
            texts_BD = self.texts.embed(prepared)
            drawn.texts.append(texts_BD.detach())
            return texts_BD

        return names | {"texts": replace(names["texts"], encode=encode_texts),
                        "generated": Encoding(count, lambda part: part, drawn.encode, self.images.learns, batch.first)}

    def loss(self, encoded: dict[str, Tensor], batch: Batch) -> LossOutput:
        self.figures = {}
        if "generated" not in encoded:
            return super().loss(encoded, batch)
        images_BD, texts_BD, generated_GD = encoded["images"], encoded["texts"], encoded["generated"]
        groups_B = self.groups(batch)
        kept_K = self.companion.gate(generated_GD, texts_BD, groups_B, self.model.logit_scale.exp()).nonzero()[:, 0]
        self.figures = {"generated_pairs": len(generated_GD), "kept_share": len(kept_K) / len(generated_GD)}
        if not len(kept_K):
            return super().loss(encoded, batch)
        device = images_BD.device
        weights_K = torch.full((len(kept_K),), self.companion.weight, device=device)
        image_weights_N = torch.cat([torch.ones(len(images_BD), device=device), weights_K])
        text_weights_B = torch.ones(len(texts_BD), device=device).index_add(0, kept_K, weights_K)
        text_labels = None if self.labels is None else self.labels.take(batch.rows).to(device)
        places = [*range(len(batch.rows)), *kept_K.tolist()]
        image_labels = None if text_labels is None else text_labels.take(places)
        return self.objective(
            torch.cat([images_BD, generated_GD[kept_K]]), texts_BD, self.model.logit_scale, groups_B[places], groups_B,
            image_labels, text_labels, self._left_out(batch, groups_B, kept_K), image_weights_N=image_weights_N,
            text_weights_M=text_weights_B)

    def record(self) -> dict[str, float]:
        return super().record() | self.figures

    def after_step(self, encoded: dict[str, Tensor], batch: Batch) -> None:
        super().after_step(encoded, batch)
        self.figures |= self.companion.learn(batch.rows, encoded["texts"], batch.step)

    def after_epoch(self, epoch: int, folder: Path) -> None:
        """A sheet of the same texts and noise in every epoch, some of them held out."""
        rows = {split: [row for row, example in enumerate(self.examples) if example.split == split]
                for split in ("train", "validation")}
        seen, unseen = evenly(rows["train"], SHOWN), evenly(rows["validation"], SHOWN_HELD_OUT)
        self.companion.draw_sheet(folder / "samples" / f"epoch-{epoch:03d}.png", [*seen, *unseen],
                                  self.texts.first([*seen, *unseen]), [""] * len(seen) + [NEVER_SEEN] * len(unseen))

    def beside(self) -> dict[str, Tensor]:
        return self.companion.trainer.state()

    def load_beside(self, state: dict[str, Tensor]) -> None:
        self.companion.trainer.load(state)

    def _left_out(self, batch: Batch, groups_B: Tensor, kept_K: Tensor) -> Tensor | None:
        """The pairs that are not compared: of a generated picture the same ones as of the real one of its text."""
        if self.mask is None:
            return None
        pairs_P2 = self.mask.pairs(batch.rows, groups_B, Ring())
        of_pair, of_kept = (pairs_P2[:, :1] == kept_K).nonzero().unbind(1)
        return torch.cat([pairs_P2, torch.stack([len(batch.rows) + of_kept, pairs_P2[of_pair, 1]], 1)])


@dataclass
class _Drawn:
    """The generated pictures of one step: drawn once, from the very embeddings of their texts, seen part by part."""

    companion: Companion
    batch: Batch
    count: int
    texts: list[Tensor] = field(default_factory=list)  # parts of the batch's text embeddings
    pixels_G3SS: Tensor | None = None

    def encode(self, part: slice) -> Tensor:
        """Unit rows (b, D) of some of the pictures."""
        if self.pixels_G3SS is None:
            texts_GD = torch.cat(self.texts)[:self.count]
            self.pixels_G3SS = self.companion.pictures(texts_GD, self.batch.rows[:self.count], self.batch.epoch)
        return self.companion.images.encode(self.pixels_G3SS[part])
