"""Pictures as one array: every image of a data set decoded once, in threads, as uint8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.example import Example
from vector_universe.data.framing import Framing
from vector_universe.data.images import ImageError
from vector_universe.data.read_ahead import read_ahead
from vector_universe.data.skipped import SkippedRow


@dataclass(frozen=True)
class Pixels:
    """Decoded pictures and the examples that they belong to.

    Attributes:
        array: uint8 (N, size, size, 3), RGB.
        examples: the N examples whose image could be decoded, in order.
        skipped: those that could not, with the reason.
    """

    array: np.ndarray
    examples: list[Example]
    skipped: list[SkippedRow]


def read_pixels(dataset: ImageTextDataset | Sequence[Example], framing: Framing | int,
                advance: Callable[[int], None] | None = None) -> Pixels:
    """Decode and frame all images of `dataset`; a broken one is skipped and listed, never fatal.

    Args:
        dataset: the examples.
        framing: a model's own; a number is the side of white squares that hold each picture whole.
        advance: called with 1 as each image gets done.
    """
    if isinstance(framing, int):
        framing = Framing(framing)
    examples = list(dataset)
    array = np.empty((len(examples), framing.size, framing.size, 3), np.uint8)
    kept: list[Example] = []
    skipped: list[SkippedRow] = []
    for example, pixels in read_ahead(lambda example: framing.pixels(example.image), examples):
        if isinstance(pixels, ImageError):
            skipped.append(SkippedRow(example.id, None, str(pixels)))
        else:
            array[len(kept)] = pixels
            kept.append(example)
        if advance:
            advance(1)
    return Pixels(array[:len(kept)], kept, skipped)
