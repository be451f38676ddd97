"""`Companion`: a generator that learns beside a contrastive model, and what it adds to a batch.

Who learns from what:

| step | learns | from | does not learn |
|---|---|---|---|
| contrastive | the model's two towers | real pairs, and generated ones through the gate | generator, discriminator |
| discriminator's | discriminator | real and generated pairs, real pictures with others' texts | generator, model |
| generator's | generator | the discriminator, and the model's match score of picture and text | discriminator, model |

The pictures are detached on their way into the model, the text embeddings on their way into the generator; through the
match score the gradient passes the image tower to the picture and leaves the tower's weights out.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vector_universe.models import DualEncoder
from vector_universe.models.gan.generator import noise_of, to_bytes
from vector_universe.training.adversarial.gate import Gate
from vector_universe.training.adversarial.judge import match_of
from vector_universe.training.adversarial.pairs import generator_framing
from vector_universe.training.adversarial.sheets import write_samples
from vector_universe.training.adversarial.trainer import AdversarialTrainer
from vector_universe.training.sides import ImageSide
from vector_universe.training.views import ImageViews

STARTS, ARRIVES = 0.4, 0.7  # shares of the run where generated pairs begin to come, and where they come in full number
ADVERSARIAL_ROWS = 32  # of a batch in one adversarial step: many small steps teach a generator more than few large ones


def scheduled_share(progress: float, share: float) -> float:
    """How many generated pairs come to a real one: 0 while the generator knows nothing, then a linear rise to `share`.

    Args:
        progress: share of the run that is over.
        share: at the end.
    """
    return share * min(1.0, max(0.0, (progress - STARTS) / (ARRIVES - STARTS)))


def adversarial_steps(rows: int) -> int:
    """How many steps of the generator a batch of so many rows makes."""
    return max(1, rows // ADVERSARIAL_ROWS)


class Companion:
    """Generated pairs for a contrastive model, and the adversarial steps that make them better.

    Args:
        model: the contrastive model, at which `match` looks.
        images: the side whose views generated pictures are seen through.
        trainer: generator and discriminator.
        share: generated pairs to a real one at the end; 0 for a generator that learns beside the model and gives it
            nothing.
        weight: λ, as how much of a real pair a generated one counts.
        seed: of the run.
    """

    def __init__(self, model: DualEncoder, images: ImageSide, trainer: AdversarialTrainer, share: float,
                 weight: float, seed: int) -> None:
        self.model, self.images, self.trainer, self.seed = model, images, trainer, seed
        self.share, self.weight, self.gate = share, weight, Gate()
        self.match = match_of(model)

    def count(self, progress: float, rows: int) -> int:
        """How many pictures to generate for a batch of so many rows: for the first ones of it."""
        return round(scheduled_share(progress, self.share) * rows)

    @torch.no_grad()
    def pictures(self, texts_GD: Tensor, rows: Sequence[int], view: int) -> Tensor:
        """A picture for each text in a view of its own, ready for the model: (G, 3, S, S).

        Args:
            texts_GD: unit rows.
            rows: the row of each text's example.
            view: the number of the view; another one is another picture of the same text.
        """
        width = self.trainer.average.config.noise_width
        noise_GZ = torch.stack([noise_of(zlib.crc32(f"{self.seed} {row} {view} noise".encode()), width)
                                for row in rows])
        drawn_G3SS = self.trainer.average(texts_GD, noise_GZ.to(texts_GD.device))
        framing = self.model.framing
        frames = to_bytes(_resized(drawn_G3SS.float(), framing.size)).cpu().numpy()
        return self.images.transform(list(frames), rows, view, self.seed + 1, framing, self.model.device)

    def learn(self, rows: Sequence[int], texts_BD: Tensor, step: int) -> dict[str, float]:
        """Steps of the discriminator and the generator over the real pairs of a batch; the last one's figures by name.

        Args:
            rows: of the batch, at least 2.
            texts_BD: unit rows.
            step: number of the batch.
        """
        pixels_B3SS, texts_BD = self._real(rows), texts_BD.detach().float()
        parts = adversarial_steps(len(rows))
        figures: dict[str, float] = {}
        for part, (some_B3SS, some_BD) in enumerate(zip(pixels_B3SS.chunk(parts), texts_BD.chunk(parts), strict=True)):
            number = step * parts + part
            match = self.match if number >= self.trainer.settings.warmup_steps else None
            figures = self.trainer.step(some_B3SS, some_BD, number, match)
        return figures

    def draw_sheet(self, path: Path, rows: Sequence[int], texts: Sequence[str], notes: Sequence[str]) -> None:
        """Write a sheet of these rows' real pictures, each beside pictures that are drawn from its text.

        Args:
            path: of the PNG.
            rows: of the data.
            texts: one of each.
            notes: said under them.
        """
        texts_TD = torch.from_numpy(self.model.embed_texts(texts)).to(self.model.device)
        write_samples(path, self.trainer.average, texts_TD, texts, to_bytes(self._real(rows)).cpu().numpy(), notes)

    def _real(self, rows: Sequence[int]) -> Tensor:
        """Real pictures as they are, in [-1, 1], at the generator's size: (B, 3, S, S)."""
        framing = self.model.framing
        plain_B3SS = ImageViews("none")(self.images.store.frames(rows), rows, 0, 0,
                                        generator_framing(framing, framing.size), self.model.device)
        return _resized(plain_B3SS, self.trainer.average.config.size).clamp(-1, 1)


def _resized(pixels_B3SS: Tensor, size: int) -> Tensor:
    """Squares of another side; smaller ones without aliasing."""
    if pixels_B3SS.shape[-1] == size:
        return pixels_B3SS
    return F.interpolate(pixels_B3SS, (size, size), mode="bilinear", antialias=True)
