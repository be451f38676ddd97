"""Which ids have occurred already, at 8 bytes an id: a set of Python strings would take a hundred."""

from __future__ import annotations

import numpy as np
import xxhash

RECENT = 500_000


class SeenIds:
    """A set of ids by a 64-bit digest.

    Among 100 million ids one new one is taken for seen with a chance of 1 in 3,000 in all.

    Args:
        recent: how many ids are held in a set before they are packed into a sorted array.
    """

    def __init__(self, recent: int = RECENT) -> None:
        self._most_recent = recent
        self._packed = np.empty(0, np.uint64)
        self._recent: set[int] = set()

    def add(self, id: str) -> bool:
        """Remember `id`; False if it was there already."""
        key = digest(id)
        if key in self._recent or (len(self._packed) and self._is_packed(key)):
            return False
        self._recent.add(key)
        if len(self._recent) >= self._most_recent:
            recent = np.fromiter(self._recent, np.uint64, len(self._recent))
            self._packed = np.sort(np.concatenate([self._packed, recent]))
            self._recent.clear()
        return True

    def _is_packed(self, key: int) -> bool:
        place = int(np.searchsorted(self._packed, np.uint64(key)))
        return place < len(self._packed) and int(self._packed[place]) == key


def digest(id: str) -> int:
    """64 bits that stand for an id."""
    return xxhash.xxh3_64_intdigest(id.encode())
