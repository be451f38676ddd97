"""Framing: how a picture of any shape becomes the square of pixels that a model was made for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image

from vector_universe.data.colours import rgb
from vector_universe.data.images import ImageSource, average_blocks, decode_image
from vector_universe.data.resize import resize

Fit = Literal["pad", "crop", "stretch"]
LONGEST = 2  # long edge of a frame, in short edges: a random square of a panorama would show nothing of its subject
LEAST_DECODED = 128  # pictures are decoded for no smaller a side, so that a thumbnail can be made of them too


@dataclass(frozen=True)
class Framing:
    """Geometry and normalisation of a model's input.

    Attributes:
        size: side S of the square in pixels.
        fit: "pad" lays the whole picture on a white square, "crop" cuts the centre square out of the picture whose
            shortest edge was resized to `shortest_edge` (CLIP), "stretch" ignores proportions (SigLIP).
        shortest_edge: for "crop", at least `size`; `size` where None.
        resampling: the filter of the resize, a key of `RESAMPLING`; "pad" chooses its own.
        mean, std: of the three channels, for pixels in [0, 1].
        exact: decode every pixel and resample from them all, instead of decoding a JPEG at a fraction of its size and
            averaging blocks of pixels first; several times slower on large pictures, and hardly different.
    """

    size: int
    fit: Fit = "pad"
    shortest_edge: int | None = None
    resampling: str = "bicubic"
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)
    exact: bool = False

    def resized(self, size: int) -> Framing:
        """The same framing for squares of another side."""
        edge = self.shortest_edge and round(self.shortest_edge * size / self.size)
        return replace(self, size=size, shortest_edge=edge)

    def decode(self, image: ImageSource | Image.Image) -> Image.Image:
        """An image as RGB, at no more than the size that framing it takes.

        Raises:
            ImageError: it cannot be decoded, or has a mode without a way to RGB.
        """
        size, longest = max(self._edge, LEAST_DECODED), self.fit == "pad"
        if isinstance(image, Image.Image):
            picture = rgb(image)
            return picture if self.exact else average_blocks(picture, size, longest=longest)
        return decode_image(image, None if self.exact else size, longest=longest)

    def pixels(self, image: ImageSource | Image.Image) -> np.ndarray:
        """Decode and frame an image (a path, encoded bytes, a slice of a file, or PIL): uint8 (S, S, 3), RGB.

        Raises:
            ImageError: it cannot be decoded, or has a mode without a way to RGB.
        """
        frame = self.frame(self.decode(image))
        top, left = (frame.shape[0] - self.size) // 2, (frame.shape[1] - self.size) // 2
        return frame[top:top + self.size, left:left + self.size]

    def frame(self, picture: Image.Image) -> np.ndarray:
        """An RGB picture as views are taken of it: uint8 (H, W, 3), not to be written to.

        For "crop": the whole picture with its shortest edge resized, but for the ends of one more than twice as long
        as wide; the square (S, S) in its middle, (H - S) // 2 from the top and (W - S) // 2 from the left, is
        `pixels`. For other fits that square alone.
        """
        if self.fit == "pad":
            return np.asarray(square(picture, self.size))
        if self.fit == "stretch":
            return resize(picture, self.size, self.size, self.resampling)
        edge = self._edge
        picture = without_ends(picture)
        shortest, longest = sorted(picture.size)
        long_edge = min(edge * longest // shortest, LONGEST * edge)  # rounded down as processors of transformers do
        width, height = (edge, long_edge) if picture.width <= picture.height else (long_edge, edge)
        return resize(picture, width, height, self.resampling)

    @property
    def _edge(self) -> int:
        return max(self.shortest_edge or self.size, self.size)


def square(picture: Image.Image, size: int) -> Image.Image:
    """Resize the whole picture onto a white square of `size` pixels, keeping its proportions.

    Nothing is cropped away: posters and thumbnails carry their subject, and their text, at the edges.
    """
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    resized = picture.resize((width, height), Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR)
    if (width, height) == (size, size):
        return resized
    canvas = Image.new("RGB", (size, size), "white")
    canvas.paste(resized, ((size - width) // 2, (size - height) // 2))
    return canvas


def without_ends(picture: Image.Image) -> Image.Image:
    """The middle of a picture more than `LONGEST` times as long as wide; any other as it is."""
    width, height = picture.size
    across, down = max(0, width - LONGEST * height) // 2, max(0, height - LONGEST * width) // 2
    return picture.crop((across, down, width - across, height - down)) if across or down else picture
