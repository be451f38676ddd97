"""Matches on disk: runs of some hundred thousand pairs, each sorted by key, so that a range of keys can be read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vector_universe.data.curation.pairs import KEY

CELLS = 4096  # ranges of keys, by their upper 12 bits
_SHIFT = np.uint64(52)


@dataclass(frozen=True)
class Matches:
    """Pairs and the queries that each of them matches, at least one.

    Attributes:
        keys: of `KEY`, (pairs,).
        rows: places of the pairs in their source, (pairs,) uint32.
        starts: where the queries of each pair begin, and the end, (pairs + 1,) int64.
        queries: all one after the other, int32; those of one pair ascend.
    """

    keys: np.ndarray
    rows: np.ndarray
    starts: np.ndarray
    queries: np.ndarray

    def take(self, order: np.ndarray) -> Matches:
        """Some of the pairs, in another order."""
        lengths = np.diff(self.starts)[order]
        starts = np.concatenate(([0], np.cumsum(lengths)))
        places = np.arange(starts[-1]) + np.repeat(self.starts[order] - starts[:-1], lengths)
        return Matches(self.keys[order], self.rows[order], starts, self.queries[places])

    def of(self, pair: int) -> list[int]:
        """The queries of one pair."""
        found: list[int] = self.queries[self.starts[pair]:self.starts[pair + 1]].tolist()
        return found


def join(parts: Sequence[Matches]) -> Matches:
    """One after the other."""
    ends = np.cumsum([0, *(len(part.queries) for part in parts)])
    starts = [part.starts[:-1] + end for part, end in zip(parts, ends[:-1], strict=True)]
    return Matches(np.concatenate([part.keys for part in parts]), np.concatenate([part.rows for part in parts]),
                   np.concatenate([*starts, ends[-1:]]), np.concatenate([part.queries for part in parts]))


@dataclass(frozen=True)
class Run:
    """A file of matches in the order of their keys.

    Attributes:
        path: of the file.
        pairs, matches: how many it holds.
    """

    path: Path
    pairs: int
    matches: int

    @property
    def _places(self) -> tuple[int, int, int, int, int]:
        """Where cells, keys, rows, starts and queries begin; then come the marks of pairs left out, a byte each."""
        keys = 8 * (CELLS + 1)
        rows = keys + 16 * self.pairs
        starts = rows + 4 * self.pairs
        queries = starts + 8 * (self.pairs + 1)
        return keys, rows, starts, queries, queries + 4 * self.matches

    def cells(self) -> np.ndarray:
        """How many pairs lie below each cell of keys, (CELLS + 1,)."""
        return np.fromfile(self.path, np.int64, CELLS + 1)

    def between(self, first_cell: int, last_cell: int) -> tuple[int, int]:
        """The places of the pairs from one cell to another (excluded)."""
        first, last = (int(np.fromfile(self.path, np.int64, 1, offset=8 * cell)[0]) for cell in (first_cell, last_cell))
        return first, last

    def keys(self, first: int, last: int) -> np.ndarray:
        """The keys of pairs `first` to `last` (excluded)."""
        return np.fromfile(self.path, KEY, last - first, offset=self._places[0] + 16 * first)

    def read(self, first: int = 0, last: int | None = None) -> Matches:
        """Pairs `first` to `last` (excluded; by itself all)."""
        last = self.pairs if last is None else last
        keys, rows, starts, queries, _ = self._places
        found = np.fromfile(self.path, np.int64, last - first + 1, offset=starts + 8 * first)
        return Matches(np.fromfile(self.path, KEY, last - first, offset=keys + 16 * first),
                       np.fromfile(self.path, np.uint32, last - first, offset=rows + 4 * first), found - found[0],
                       np.fromfile(self.path, np.int32, int(found[-1] - found[0]), offset=queries + 4 * int(found[0])))

    def left_out(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """Which pairs are duplicates that another row stands for, bool."""
        last = self.pairs if last is None else last
        return np.fromfile(self.path, bool, last - first, offset=self._places[-1] + first)

    def leave_out(self, places: Sequence[int]) -> None:
        """Mark pairs as duplicates. Done twice, it is as done once: a kill in between does no harm."""
        with self.path.open("r+b") as file:
            for place in places:
                file.seek(self._places[-1] + place)
                file.write(b"\1")


def write_run(path: Path, matches: Matches) -> Run:
    """Sort `matches` by key, then row, and write them."""
    matches = matches.take(np.lexsort((matches.rows, matches.keys["low"], matches.keys["high"])))
    cells = np.searchsorted(matches.keys["high"] >> _SHIFT, np.arange(CELLS + 1, dtype=np.uint64))
    with path.open("wb") as file:
        for part, kind in ((cells, np.int64), (matches.keys, KEY), (matches.rows, np.uint32),
                           (matches.starts, np.int64), (matches.queries, np.int32)):
            file.write(np.ascontiguousarray(part, dtype=kind).data)
        file.write(bytes(len(matches.keys)))
        file.flush()
        os.fsync(file.fileno())
    return Run(path, len(matches.keys), len(matches.queries))
