"""`ImageEncoder`: what every model here has in common that embeds pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedModel

from vector_universe.data.decode_ahead import decode_ahead
from vector_universe.data.framing import Framing
from vector_universe.data.images import ImageSource
from vector_universe.errors import UserError
from vector_universe.models.configuration import DualEncoderConfig
from vector_universe.models.precision import autocast


class ImageEncoder(PreTrainedModel):
    """A model of `transformers` that embeds pictures and carries its own preparation of them."""

    config: DualEncoderConfig
    main_input_name = "pixel_values"

    @property
    def framing(self) -> Framing:
        """How pictures are prepared for this model."""
        return self.config.framing

    @abstractmethod
    def encode_images(self, pixel_values: Tensor) -> Tensor:
        """Embed normalised pixels (B, 3, S, S) as unit rows (B, D)."""

    def normalise_pixels(self, pixels: Tensor) -> Tensor:
        """uint8 (B, S, S, 3) → float (B, 3, S, S), by the model's own mean and standard deviation."""
        return normalise(pixels, self.config.image_mean, self.config.image_std)

    def embed_pixels(self, pixels: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """Embed prepared pictures, uint8 (N, S, S, 3) RGB, as float32 unit rows (N, D).

        Raises:
            UserError: the array has another shape or type.
        """
        self.check_pixels(pixels)
        return self._embed_batches(pixels[start:start + batch_size] for start in range(0, len(pixels), batch_size))

    def embed_images(self, images: Sequence[ImageSource | Image.Image], batch_size: int = 32) -> np.ndarray:
        """Embed images (paths, encoded bytes or PIL) as float32 unit rows (N, D), decoding ahead of the model.

        Raises:
            ImageError: one of them cannot be decoded.
            UserError: one of them is something else.
        """
        for place, image in enumerate(images):
            if not isinstance(image, ImageSource | Image.Image):
                raise UserError(f"image {place} is a {type(image).__name__}: give a path, encoded bytes or a PIL image")
        return self._embed_batches(decode_ahead(self.framing, images, batch_size))

    def check_pixels(self, pixels: np.ndarray) -> None:
        """Refuse what are no prepared pictures for this model.

        Raises:
            UserError: the array has another shape or type.
        """
        size = self.config.image_size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3):
            raise UserError(f"pixels are {pixels.dtype} {pixels.shape}: this model takes uint8 (N, {size}, {size}, 3), "
                            "RGB; embed_images prepares pictures of any form")

    def train(self, mode: bool = True) -> ImageEncoder:
        """Set training mode; pretrained batch norms (`config.freeze_batch_norm`) and frozen ones stay as they are."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                learns = any(weight.requires_grad for weight in module.parameters())
                module.train(mode and learns and not self.config.freeze_batch_norm)
        return self

    @torch.inference_mode()
    def _embed_batches(self, batches: Iterable[np.ndarray]) -> np.ndarray:
        """Prepared pictures, uint8 (B, S, S, 3) a batch, as float32 unit rows (N, D)."""
        with autocast(self):  # around all batches: weights are cast once
            rows = [self.encode_images(self.normalise_pixels(torch.from_numpy(pixels).to(self.device)))
                    for pixels in batches]
        return torch.cat(rows).cpu().numpy() if rows else np.empty((0, self.config.embedding_width), np.float32)


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (B, S, S, 3) → float (B, 3, S, S), by the mean and standard deviation of each channel."""
    mean_311, std_311 = (torch.tensor(values, device=pixels.device).view(3, 1, 1) for values in (mean, std))
    # Channels are moved while they are bytes, and floats changed in place by two numbers: half the time.
    return pixels.permute(0, 3, 1, 2).contiguous().float().mul_(1 / (255 * std_311)).sub_(mean_311 / std_311)
