"""Blocks of pixels averaged: the first step down from a picture that is much larger than what is wanted of it."""

from __future__ import annotations

from PIL import Image

# Blocks of pixels are averaged down to no less than this many times the side wanted, as Pillow's `reducing_gap` does.
AVERAGED_REACH = 2.0


def average_blocks(picture: Image.Image, size: int, *, longest: bool = False) -> Image.Image:
    """Average blocks of pixels of a picture much larger than `size`: a fraction of the cost of a resampling filter.

    Its shortest (or `longest`) side stays at least `AVERAGED_REACH` times `size`; a smaller picture is left as it is.
    """
    side = max(picture.size) if longest else min(picture.size)
    factor = int(side / (AVERAGED_REACH * size))
    if factor < 2:
        return picture
    # What is left over at the edges would make a block too narrow, and the picture a little too large: it is cut off.
    across, down = (length % factor if length > factor else 0 for length in picture.size)
    box = (across // 2, down // 2, picture.width - (across + 1) // 2, picture.height - (down + 1) // 2)
    return picture.reduce(factor, box)
