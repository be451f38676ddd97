"""Framing: how a picture of any shape becomes the square of pixels that a model was made for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from vector_universe.data.images import ImageSource, decode_image, rgb, square

Fit = Literal["pad", "crop", "stretch"]
RESAMPLING = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR,
              "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS,
              "box": Image.Resampling.BOX, "hamming": Image.Resampling.HAMMING}

# Averaging blocks of pixels first, down to this many times the side asked for, costs a fraction of the resampling
# filter over all pixels and moves the result by less than JPEG does.
REDUCING_GAP = 2.0


@dataclass(frozen=True)
class Framing:
    """Geometry and normalisation of a model's input.

    Attributes:
        size: side S of the square in pixels.
        fit: "pad" lays the whole picture on a white square, "crop" cuts the centre square out of the picture whose
            shortest edge was resized to `shortest_edge` (CLIP), "stretch" ignores proportions (SigLIP).
        shortest_edge: for "crop"; `size` where None.
        resampling: the filter of the resize, a key of `RESAMPLING`; "pad" chooses its own.
        mean, std: of the three channels, for pixels in [0, 1].
    """

    size: int
    fit: Fit = "pad"
    shortest_edge: int | None = None
    resampling: str = "bicubic"
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)

    def resized(self, size: int) -> Framing:
        """The same framing for squares of another side."""
        edge = self.shortest_edge and round(self.shortest_edge * size / self.size)
        return replace(self, size=size, shortest_edge=edge)

    def pixels(self, image: ImageSource | Image.Image) -> np.ndarray:
        """Decode (a path or encoded bytes) and frame an image: uint8 (S, S, 3), RGB.

        Raises:
            ImageError: it cannot be decoded, or has a mode without a way to RGB.
        """
        decoded = rgb(image) if isinstance(image, Image.Image) else decode_image(image, self.shortest_edge or self.size)
        return np.asarray(self.frame(decoded))

    def frame(self, image: Image.Image) -> Image.Image:
        """Fit an RGB picture into the square."""
        if self.fit == "pad":
            return square(image, self.size)
        box: tuple[float, float, float, float] | None = None
        if self.fit == "crop":
            box = self._centre(image.width, image.height)
        return image.resize((self.size, self.size), RESAMPLING[self.resampling], box=box, reducing_gap=REDUCING_GAP)

    def _centre(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of a picture of this size that the centre crop of its resized version shows.

        Resampling this part alone gives the very pixels of resizing all and cropping after, rounding of the resized
        size included (long edge down, offset down), as the processors of `transformers` do it.
        """
        edge = self.shortest_edge or self.size
        resized_width = edge if width <= height else edge * width // height
        resized_height = edge if height <= width else edge * height // width
        left, top = (resized_width - self.size) // 2, (resized_height - self.size) // 2
        across, down = width / resized_width, height / resized_height
        return (left * across, top * down,
                min(width, (left + self.size) * across), min(height, (top + self.size) * down))
