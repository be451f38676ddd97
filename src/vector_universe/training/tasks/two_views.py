"""Two views of image and text, as close as they can be while the batch spreads."""

from __future__ import annotations

from torch import Tensor

from vector_universe.losses import AlignmentAnisotropy, LossOutput
from vector_universe.models import DualEncoder
from vector_universe.training.cached_gradients import Encoding
from vector_universe.training.sides import ImageSide, TextSide
from vector_universe.training.tasks.pairs import Pairs, alone
from vector_universe.training.tasks.task import Batch


class TwoViews(Pairs):
    """Two views of image and text by alignment + anisotropy."""

    copies = 2

    def __init__(self, model: DualEncoder, images: ImageSide, texts: TextSide, objective: AlignmentAnisotropy) -> None:
        super().__init__(model, images, texts)
        self.objective = objective

    def encodings(self, batch: Batch) -> dict[str, Encoding]:
        return {"images": self.encoding(self.images, batch), "texts": self.encoding(self.texts, batch),
                "other_images": self.encoding(self.images, batch, 1),
                "other_texts": self.encoding(self.texts, batch, 1)}

    def loss(self, encoded: dict[str, Tensor], batch: Batch) -> LossOutput:
        return self.objective(encoded["images"], encoded["texts"], encoded["other_images"],
                              encoded["other_texts"])

    def validation_loss(self, images_BD: Tensor, texts_BD: Tensor, batch: Batch) -> LossOutput:
        return alone(self.objective)(images_BD, texts_BD, images_BD, texts_BD)
