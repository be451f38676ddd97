"""Decode the next batch of pictures in threads while the model works on this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from vector_universe.data.framing import Framing
from vector_universe.data.images import ImageError, ImageSource
from vector_universe.data.read_ahead import read_ahead


def decode_ahead(framing: Framing, images: Sequence[ImageSource | Image.Image],
                 batch_size: int) -> Iterator[np.ndarray]:
    """Batches of decoded and framed pictures, uint8 (B, S, S, 3), in the order of `images`.

    Raises:
        ImageError: one of them cannot be decoded; when its batch is asked for.
    """
    batch = []
    for _, pixels in read_ahead(framing.pixels, images, ahead=batch_size):
        if isinstance(pixels, ImageError):
            raise pixels
        batch.append(pixels)
        if len(batch) == batch_size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
