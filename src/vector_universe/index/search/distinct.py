"""The same picture once: hits that show what a better one shows already are passed over."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vector_universe.data.duplicates import MAX_BITS

# Of unit vectors. A hash alone takes pictures of one template for one; the grid of colours that would tell them apart
# is not stored, the vector is. Posters at half the size and as JPEG of quality 40 kept .978 and more in a small model.
MIN_COSINE = 0.95

_BITS_OF_BYTE = np.array([byte.bit_count() for byte in range(256)], np.uint8)

Shown = tuple[Hashable | None, int | None, NDArray[np.floating[Any]]]


def distinct(hits: Iterable[Shown]) -> Iterator[int]:
    """The positions of hits that show no picture of a better hit that was kept, in order, as they are found.

    A picture is the same by an equal digest, or by a perceptual hash within `MAX_BITS` bits and a cosine of at least
    `MIN_COSINE`. Whether a hit is kept hangs only on those before it: as many are drawn from the ranking as the caller
    takes, and a later page passes over what it should when it begins from the start.

    Args:
        hits: best first, each with the digest of its image, its look (`duplicates.Look.hash`), and its unit vector (D,)
            of the image; None where one is not known, which equals nothing.
    """
    digests: set[Hashable] = set()
    looks, vectors = _Grown(np.uint64), _Grown(np.float32)
    for position, (digest, look, vector_D) in enumerate(hits):
        if digest is not None and digest in digests:
            continue
        if look is not None and len(looks):
            near = _bits(looks.rows() ^ np.uint64(look)) <= MAX_BITS
            if near.any() and (vectors.rows()[near] @ vector_D.astype(np.float32)).max() >= MIN_COSINE:
                continue
        if digest is not None:
            digests.add(digest)
        if look is not None:
            looks.append(np.uint64(look))
            vectors.append(vector_D)
        yield position


def _bits(words_N: NDArray[np.uint64]) -> NDArray[Any]:
    """How many bits of each word are set, (N,)."""
    return _BITS_OF_BYTE[words_N.view(np.uint8).reshape(-1, 8)].sum(axis=1)


class _Grown:
    """Rows in one array that doubles: comparing with all of them stays one operation."""

    def __init__(self, type: Any) -> None:
        self._type, self._count, self._rows = type, 0, np.empty(0, type)

    def __len__(self) -> int:
        return self._count

    def append(self, row: Any) -> None:
        if self._count == len(self._rows):
            grown = np.empty((max(16, 2 * self._count), *np.shape(row)), self._type)
            grown[:self._count] = self.rows() if self._count else grown[:0]
            self._rows = grown
        self._rows[self._count] = row
        self._count += 1

    def rows(self) -> NDArray[Any]:
        return self._rows[:self._count]
