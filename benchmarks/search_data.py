"""Vectors shaped like CLIP's, in any number: what `benchmarks.search` searches, and what it asks.

An image is `√½ · m + √½ · z`: the direction `m` that all images share (CLIP's mean cosine between images is about .5),
and a content `z` of unit length. Contents lie around 1,000 concepts with Zipf-like sizes (60 % of the variance is the
concept's, 40 % the image's own); both are Gaussian with variances that fall as 1 / (rank + 8) along hidden, randomly
turned axes, so that the effective rank after centring is near 200 of 512, as that of CLIP's embeddings.

A text is `√½ · m′ + √½ · (.3 · z + √(1 − .3²) · n)`: another shared direction (cosine .3 to `m`: the modality gap), a
trace of its image's content, and noise `n` of the same spectrum. A pair's cosine is then about .3, against .15 of
strangers. Most of a text points where no image lies, so that the best images differ by little: texts are truly harder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH = 512
CONCEPTS = 1000
_CONCEPT, _TRACE, _GAP = 0.6, 0.3, 0.3
_CHUNK = 20_000


@dataclass(frozen=True)
class World:
    """The hidden directions that all vectors of one seed are drawn with."""

    axes_DD: NDArray[np.float32]  # orthogonal rows, each as long as its axis' standard deviation
    concepts_CD: NDArray[np.float32]
    sizes_C: NDArray[np.float64]
    images_D: NDArray[np.float32]
    texts_D: NDArray[np.float32]


def world(seed: int = 0) -> World:
    """The same directions for the same seed."""
    draw = np.random.default_rng(seed)
    turned_DD, _ = np.linalg.qr(draw.standard_normal((WIDTH, WIDTH)))
    variance_D = 1 / (np.arange(WIDTH) + 8.0)
    axes_DD = (turned_DD * np.sqrt(variance_D / variance_D.sum())[:, None]).astype(np.float32)
    sizes_C = 1 / np.arange(5, CONCEPTS + 5)
    shared_2D, _ = np.linalg.qr(draw.standard_normal((WIDTH, 2)))
    images_D, other_D = shared_2D.T.astype(np.float32)
    return World(axes_DD, _contents(draw, axes_DD, CONCEPTS), sizes_C / sizes_C.sum(), images_D,
                 (_GAP * images_D + np.sqrt(1 - _GAP**2) * other_D).astype(np.float32))


def images(of: World, seed: int, count: int) -> NDArray[np.float32]:
    """(count, 512) unit rows."""
    return _embedded(of.images_D, _image_contents(of, np.random.default_rng(seed), count))


def texts(of: World, seed: int, count: int) -> NDArray[np.float32]:
    """(count, 512) unit rows: row i is a text of row i of `images(of, seed, count)`."""
    draw = np.random.default_rng(seed)
    contents_ND = _image_contents(of, draw, count)
    noise_ND = _contents(draw, of.axes_DD, count)
    return _embedded(of.texts_D, _unit(_TRACE * contents_ND + np.sqrt(1 - _TRACE**2) * noise_ND))


def write_images(of: World, count: int, path: Path) -> NDArray[np.float16]:
    """(count, 512) fp16 rows in a .npy file, made chunk by chunk; returned as a memory map."""
    out = np.lib.format.open_memmap(path, "w+", np.float16, (count, WIDTH))
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        out[start:start + size] = images(of, 1000 + start // _CHUNK, size)
    out.flush()
    return np.load(path, mmap_mode="r")


def _image_contents(of: World, draw: np.random.Generator, count: int) -> NDArray[np.float32]:
    concepts_ND = of.concepts_CD[draw.choice(CONCEPTS, count, p=of.sizes_C)]
    return _unit(np.sqrt(_CONCEPT) * concepts_ND + np.sqrt(1 - _CONCEPT) * _contents(draw, of.axes_DD, count))


def _contents(draw: np.random.Generator, axes_DD: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    return _unit(draw.standard_normal((count, WIDTH), dtype=np.float32) @ axes_DD)


def _embedded(shared_D: NDArray[np.float32], contents_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    return _unit(np.sqrt(0.5) * shared_D + np.sqrt(0.5) * contents_ND)


def _unit(rows_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    return (rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)).astype(np.float32)
