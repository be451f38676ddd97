"""Pictures as one array: every image of a data set decoded once, in threads, as uint8."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.example import Example
from vector_universe.data.framing import Framing
from vector_universe.data.images import ImageError
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

    def read(index: int) -> SkippedRow | None:
        try:
            array[index] = framing.pixels(examples[index].image)
        except ImageError as error:
            return SkippedRow(examples[index].id, None, str(error))
        finally:
            if advance:
                advance(1)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = list(threads.map(read, range(len(examples))))
    kept = [index for index, result in enumerate(results) if result is None]
    if len(kept) < len(examples):
        array = array[kept]
    return Pixels(array, [examples[index] for index in kept], [result for result in results if result is not None])
