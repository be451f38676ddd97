"""The same picture twice: to the byte, or re-encoded, resized, a little brighter or with more contrast.

A picture is compared by its *look*: a perceptual hash of 64 bits, by which candidates are found quickly, and its
colours on a grid of 16 x 16, by which a candidate is confirmed cell by cell: pictures of one template, such as the
thumbnails of one channel, share a hash but not every cell. Cropped and framed copies are not found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from vector_universe.data.groups import Groups
from vector_universe.data.images import ImageError, ImageSource, decode_image, encoded_bytes
from vector_universe.data.read_ahead import read_ahead

if TYPE_CHECKING:
    from PIL import Image

DECODED_SIDE = 128  # enough that a JPEG's scaled decode moves no cell
GREY_SIDE, HASH_SIDE, GRID_SIDE = 32, 8, 16
# On thumbnails, posters, clothes, photographs and emoji: 95 of 100 copies (JPEG of quality 40, half the size, 15 % more
# brightness, 20 % more contrast, stretched) stay within 8 bits and 18 grey levels; other pictures that are as near by
# their hash differ by 25 and more in some cell.
MAX_BITS = 8
MAX_LEVELS = 20.0
MAX_SHARE_OF_SPREAD = 0.4  # of a picture with little contrast: a page of text, a drawing on white
MAX_SHIFT = 40.0  # of the mean brightness
FLAT_SPREAD, FLAT_LEVELS = 8.0, 3.0  # a picture of one colour has no contrast by which to allow for another exposure
_CHUNK = 1024


@dataclass(frozen=True)
class Look:
    """What is left of a picture to compare it by.

    Attributes:
        hash: which of the 8 x 8 lowest frequencies of its brightness exceed their median, 64 bits (Zauner 2010, pHash).
        colours: RGB of its 16 x 16 cells, 768 bytes.
    """

    hash: int
    colours: bytes


def image_digest(source: ImageSource) -> str:
    """sha256 of the encoded picture, so that a copy under another name is the same picture.

    Raises:
        ImageError: the file cannot be read.
    """
    return hashlib.sha256(encoded_bytes(source)).hexdigest()


def look_at(picture: Image.Image) -> Look:
    """The look of an RGB picture; a smaller decode of it, down to `DECODED_SIDE`, looks the same."""
    from PIL import Image

    small = picture.resize((GREY_SIDE, GREY_SIDE), Image.Resampling.BOX)
    grey = np.asarray(small.convert("L"), np.float64)
    waves = _dct(GREY_SIDE)[:HASH_SIDE]
    low = (waves @ grey @ waves.T).round(3)  # in a picture of one colour all but the first are zero but for rounding
    signs = np.packbits(low > np.median(low))
    return Look(int.from_bytes(signs.tobytes(), "big"),
                picture.resize((GRID_SIDE, GRID_SIDE), Image.Resampling.BOX).tobytes())


def alike(one: Look, other: Look) -> bool:
    """Whether two looks are of one picture."""
    return (one.hash ^ other.hash).bit_count() <= MAX_BITS and bool(
        _confirmed(_grids([one]), _grids([other]))[0])


def equal_groups(keys: Sequence[Hashable | None]) -> list[int]:
    """For each row the first row with an equal key; None is equal to nothing."""
    first: dict[Hashable, int] = {}
    return [row if key is None else first.setdefault(key, row) for row, key in enumerate(keys)]


def alike_groups(looks: Sequence[Look | None], keys: Sequence[Hashable | None]) -> list[int]:
    """For each row the first row that it belongs with: by equal keys or alike looks, directly or by way of others.

    Every pair of hashes is compared, by faiss: 10,000 rows in a second, 100,000 in a minute or so.
    """
    groups, first = Groups(len(keys)), dict[Look, int]()
    for row, (look, key) in enumerate(zip(looks, keys, strict=True)):
        if key is not None:
            groups.join_by(key, row)
        if look is not None:
            groups.join(first.setdefault(look, row), row)
    rows = list(first.values())
    for one, other in _near_pairs(list(first)):
        groups.join(rows[one], rows[other])
    return groups.numbers()


def duplicate_groups(images: Iterable[ImageSource], near: bool = True,
                     advance: Callable[[int], None] | None = None) -> list[int]:
    """For each image the first one that it is a copy of, itself if of none; one that cannot be read is alone.

    Args:
        images: paths or encoded bytes, taken one by one: they need not fit in memory.
        near: by their looks, which takes a decode; otherwise by their bytes alone.
        advance: called with 1 as each image gets done.
    """
    def read(image: ImageSource) -> tuple[str, Look | None]:
        return image_digest(image), look_at(decode_image(image, DECODED_SIDE)) if near else None

    digests: list[str | None] = []
    looks: list[Look | None] = []
    for _, found in read_ahead(read, images):
        digest, look = (None, None) if isinstance(found, ImageError) else found
        digests.append(digest)
        looks.append(look)
        if advance:
            advance(1)
    return alike_groups(looks, digests) if near else equal_groups(digests)


def _near_pairs(looks: Sequence[Look]) -> list[tuple[int, int]]:
    """Pairs (lower, higher) of places whose looks are alike."""
    import faiss

    if len(looks) < 2:
        return []
    hashes = np.frombuffer(b"".join(look.hash.to_bytes(8, "big") for look in looks), np.uint8).reshape(-1, 8)
    index = faiss.IndexBinaryFlat(64)
    index.add(hashes)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(looks), _CHUNK):
        limits, _, found = index.range_search(hashes[start:start + _CHUNK], MAX_BITS + 1)  # below the radius
        counts = np.asarray(limits[1:] - limits[:-1], np.int64)
        asking = start + np.repeat(np.arange(len(counts)), counts)
        later = found > asking
        ones, others = asking[later], found[later]
        for part in range(0, len(ones), _CHUNK):
            one, other = ones[part:part + _CHUNK], others[part:part + _CHUNK]
            good = _confirmed(_grids([looks[row] for row in one]), _grids([looks[row] for row in other]))
            pairs.extend(zip(one[good].tolist(), other[good].tolist(), strict=True))
    return pairs


def _grids(looks: Sequence[Look]) -> np.ndarray:
    """(N, cells, 3) colours."""
    joined = b"".join(look.colours for look in looks)
    return np.frombuffer(joined, np.uint8).reshape(len(looks), -1, 3).astype(np.float64)


def _confirmed(one_NCR: np.ndarray, other_NCR: np.ndarray) -> np.ndarray:
    """Whether the largest difference of a cell, but for brightness and contrast of the whole, is small, (N,)."""
    means = [grid.mean((1, 2), keepdims=True) for grid in (one_NCR, other_NCR)]
    spreads = [grid.std((1, 2), keepdims=True) for grid in (one_NCR, other_NCR)]
    spread = (spreads[0] + spreads[1]) / 2
    one, other = ((grid - mean) / np.maximum(own, 1e-9) * spread
                  for grid, mean, own in zip((one_NCR, other_NCR), means, spreads, strict=True))
    levels = np.abs(one - other).mean(2).max(1)
    spread, shift = spread[:, 0, 0], np.abs(means[0] - means[1])[:, 0, 0]
    lit = (levels <= np.minimum(MAX_LEVELS, MAX_SHARE_OF_SPREAD * spread)) & (shift <= MAX_SHIFT)
    flat = np.abs(one_NCR - other_NCR).mean(2).max(1) <= FLAT_LEVELS
    return np.where(spread >= FLAT_SPREAD, lit, flat)


@cache
def _dct(size: int) -> np.ndarray:
    """Rows of the orthonormal DCT-II."""
    waves = np.cos(np.pi * np.arange(size)[:, None] * (np.arange(size) + 0.5) / size) * np.sqrt(2 / size)
    waves[0] /= np.sqrt(2)
    return waves
