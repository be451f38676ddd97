"""Requests that need the model at the same time become one run of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from vector_universe.index.search.combining import Combining
from vector_universe.serve.served.recent import RecentVectors

if TYPE_CHECKING:
    from PIL import Image

    from vector_universe.data.images import ImageSource
    from vector_universe.models import DualEncoder

PICTURES, TEXTS = 8, 64  # of one run: on a CPU more gain nothing, and keep the others waiting
_PICTURE_RUNS = 2  # at once, beside one of texts, which need not wait for pictures so

Observer = Callable[[str, int, float], None]
"""Told of every run: "images" or "texts", of how many requests, and the seconds that the first of them waited."""


def unobserved(kind: str, requests: int, waited: float) -> None:
    """Nobody looks."""


class BatchedModel:
    """A `DualEncoder` for many threads: the same vectors, from fewer and fuller runs; all else is the model's own.

    Pictures are decoded and framed in the threads that ask, so that all cores do it and a broken one troubles its own
    request alone. The model runs in a few threads of its own, each with half of the cores: a thread that computes gets
    a team of helpers and buffers from the libraries below, and teams of more than all cores wait for one another.
    What was embedded lately is not embedded again.
    """

    def __init__(self, model: DualEncoder, observe: Observer = unobserved) -> None:
        self._model = model
        self._runs = _threads()
        self._recent = RecentVectors()
        self._pixels = Combining(self._embed_pixels, PICTURES, len, _PICTURE_RUNS, partial(observe, "images"))
        self._texts = Combining(self._embed_texts, TEXTS, len, observe=partial(observe, "texts"))

    @classmethod
    def around(cls, model: DualEncoder, observe: Observer = unobserved) -> DualEncoder:
        """The model, batched; one that is already stays as it is."""
        return model if isinstance(model, cls) else cast("DualEncoder", cls(model, observe))

    def embed_images(self, images: Sequence[ImageSource | Image.Image], batch_size: int = PICTURES,
                     ) -> NDArray[np.float32]:
        """As `DualEncoder.embed_images`."""
        keys = [hashlib.sha256(image).digest() if isinstance(image, bytes) else None for image in images]
        return self._recent.get(images, keys, lambda new: self._pixels(
            np.stack([self._model.framing.pixels(image) for image in new])))

    def embed_texts(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[np.float32]:
        """As `DualEncoder.embed_texts`."""
        return self._recent.get(texts, texts, lambda new: self._texts(tuple(new)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def _embed_pixels(self, asked: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        return _split(self._runs.submit(self._model.embed_pixels, np.concatenate(asked)).result(), asked)

    def _embed_texts(self, asked: Sequence[tuple[str, ...]]) -> list[NDArray[np.float32]]:
        together = [text for texts in asked for text in texts]
        return _split(self._runs.submit(self._model.embed_texts, together).result(), asked)


def _threads() -> ThreadPoolExecutor:
    import torch

    each = max(1, torch.get_num_threads() // 2)
    return ThreadPoolExecutor(_PICTURE_RUNS + 1, "model", torch.set_num_threads, (each,))


def _split(rows_ND: NDArray[np.float32], asked: Sequence[Any]) -> list[NDArray[np.float32]]:
    """The rows of each that asked for some."""
    return np.split(rows_ND, list(accumulate(map(len, asked)))[:-1])
