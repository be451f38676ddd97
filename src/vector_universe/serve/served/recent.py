"""Vectors asked for lately: the next page of a search, another filter or a colouring asks for the same ones again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

KEPT = 4096  # vectors: 8 MB at 512 dimensions

Thing = TypeVar("Thing")


class RecentVectors:
    """The vectors of what was embedded last; from several threads.

    Args:
        kept: how many; beyond, the one that was asked for longest ago is forgotten.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = Lock()
        self._vectors: OrderedDict[Hashable, NDArray[np.float32]] = OrderedDict()

    def get(self, things: Sequence[Thing], keys: Sequence[Hashable],
            embed: Callable[[list[Thing]], NDArray[np.float32]]) -> NDArray[np.float32]:
        """The vectors (N, D) of N things: those that are not kept are embedded together, each once.

        Args:
            things: at least one.
            keys: of each; things of the same key have the same vector. None: embed it, and do not keep it.
            embed: gives the vectors of things, in their order; an error of it passes through, and nothing is kept.
        """
        with self._lock:
            found = {key: self._vectors[key] for key in keys if key in self._vectors}
            for key in found:
                self._vectors.move_to_end(key)
        places: list[int] = []  # of what is to be embedded
        row_of: dict[Hashable, int] = {}
        for place, key in enumerate(keys):
            if key is None or (key not in found and key not in row_of):
                row_of[("place", place) if key is None else key] = len(places)
                places.append(place)
        rows_MD = embed([things[place] for place in places]) if places else np.empty((0, 0), np.float32)
        with self._lock:
            for place, row_D in zip(places, rows_MD, strict=True):
                if keys[place] is not None:
                    self._vectors[keys[place]] = row_D.copy()  # a view would hold the whole run
            while len(self._vectors) > self._kept:
                self._vectors.popitem(last=False)
        return np.stack([found[key] if key in found else rows_MD[row_of[("place", place) if key is None else key]]
                         for place, key in enumerate(keys)])
