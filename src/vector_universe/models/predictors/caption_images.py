"""Say what pictures show: decoded, read and captioned, a few in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vector_universe.data.images import ImageError, ImageSource
from vector_universe.data.read_ahead import read_ahead
from vector_universe.models.predictors.captioner import Caption
from vector_universe.models.predictors.predictor import Predictor

_AT_ONCE = 32


def caption_images(model: Predictor, images: Sequence[ImageSource], beams: int = 4,
                   advance: Callable[[int], None] = lambda done: None) -> list[Caption | ImageError]:
    """The likeliest text for each picture, in order; in its place the reason, where one cannot be decoded.

    Args:
        model: a captioner.
        images: paths or encoded bytes.
        beams: see `Predictor.caption`.
        advance: called with the number of pictures that got done.

    Raises:
        UserError: the model is no captioner, or `beams` is not positive.
    """
    found: list[Caption | ImageError] = []
    for start in range(0, len(images), _AT_ONCE):
        read = [pixels for _, pixels in read_ahead(model.framing.pixels, images[start:start + _AT_ONCE])]
        readable = [pixels for pixels in read if not isinstance(pixels, ImageError)]
        captions = iter(model.caption(model.read_pixels(np.stack(readable)), beams) if readable else [])
        found += [pixels if isinstance(pixels, ImageError) else next(captions)[0] for pixels in read]
        advance(len(read))
    return found
