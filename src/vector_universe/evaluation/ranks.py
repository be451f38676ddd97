"""Ranks: how many wrong candidates stand at or above each right one, exactly, in both directions from one product."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from vector_universe.errors import UserError
from vector_universe.evaluation.geometry import TIE

LANE = 255  # what a byte can count to
ROWS, COLUMNS = 4 * LANE, 1024  # of a tile: 4 MB of scores, which stay in the cache between product and counting
MANY = 32  # right candidates: from here on sorting a query's scores is cheaper than a comparison for each
SORTED = 2**24  # scores that are sorted at once

Slot = tuple[np.ndarray | None, np.ndarray, np.ndarray]  # rows (None: all) of a tile, a threshold and a pair for each


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where the P right candidates of Q queries stand among N; pairs are sorted by query, best candidate first.

    Attributes:
        queries_P, candidates_P: the right pairs.
        wrong_P: wrong candidates that score at least as high (to within `TIE`): a tie counts against the model.
        queries, candidates: Q and N.
    """

    queries_P: np.ndarray
    candidates_P: np.ndarray
    wrong_P: np.ndarray
    queries: int
    candidates: int

    @cached_property
    def asked_A(self) -> np.ndarray:
        """The queries that have a right candidate, ascending: the A that ranks are known of."""
        return self.queries_P[self._starts_A]

    @property
    def right_A(self) -> np.ndarray:
        """How many right candidates each has."""
        return np.diff(self._starts_A, append=len(self.queries_P))

    @property
    def first_A(self) -> np.ndarray:
        """Rank of the best right candidate, from 1; other right ones never push it down."""
        return 1 + self.wrong_P[self._starts_A]

    @property
    def average_precision_A(self) -> np.ndarray:
        """Mean over the right candidates of a query of the precision at their ranks."""
        starts_A, right_A = self._starts_A, self.right_A
        place_P = 1 + np.arange(len(self.queries_P)) - np.repeat(starts_A, right_A)  # the j-th best of its query
        return np.add.reduceat(place_P / (place_P + self.wrong_P), starts_A) / right_A

    @cached_property
    def _starts_A(self) -> np.ndarray:
        return np.flatnonzero(np.diff(self.queries_P, prepend=-1))


def ranks(queries_QD: np.ndarray, candidates_ND: np.ndarray, right: Sequence[Sequence[int]],
          advance: Callable[[int], None] | None = None) -> Ranks:
    """Rank all candidates for every query by cosine, exactly.

    Memory is O((Q + N)·D + P) and some tiles, whatever Q·N; time that of one float32 product, and where queries have
    several right candidates, about a fifteenth of it more for each.

    Args:
        queries_QD: unit rows (Q, D), Q > 0.
        candidates_ND: unit rows (N, D), N > 0.
        right: for each query the positions of its right candidates (at least one).
        advance: called with a number of queries as they get done.

    Raises:
        UserError: a row is NaN or infinite.
        ValueError: shapes do not match, a query has no right candidate, or a position is out of range.
    """
    return _Problem.of(queries_QD, candidates_ND, right).solve(both=False, advance=advance)[0]


def ranks_both_ways(queries_QD: np.ndarray, candidates_ND: np.ndarray, right: Sequence[Sequence[int]],
                    advance: Callable[[int], None] | None = None) -> tuple[Ranks, Ranks]:
    """The same, and the ranks of queries for every candidate, of which the right ones are those it is right for.

    Both are counted in the same tiles: there is no second product. A candidate right for no query is not asked.
    """
    forth, back = _Problem.of(queries_QD, candidates_ND, right).solve(both=True, advance=advance)
    assert back is not None
    return forth, back


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Right pairs sorted by row, then by falling score; `start_R1` is where each of R rows begins."""

    row_P: np.ndarray
    column_P: np.ndarray
    threshold_P: np.ndarray
    start_R1: np.ndarray

    @classmethod
    def of(cls, row_P: np.ndarray, column_P: np.ndarray, score_P: np.ndarray, rows: int) -> _Pairs:
        order_P = np.lexsort((-score_P, row_P))
        start_R1 = np.concatenate([[0], np.bincount(row_P, minlength=rows).cumsum()])
        return cls(row_P[order_P], column_P[order_P], score_P[order_P] - np.float32(TIE), start_R1)

    def slots(self, start: int, stop: int) -> list[Slot]:
        """The thresholds of rows start to stop: the best of each row, the second best of those with two, …"""
        begin_R = self.start_R1[start:stop]
        count_R = self.start_R1[start + 1:stop + 1] - begin_R
        count_R = np.where(count_R > MANY, 0, count_R)
        slots: list[Slot] = []
        for place in range(int(count_R.max())):
            rows = np.flatnonzero(count_R > place)
            pairs = begin_R[rows] + place
            slots.append((rows if len(rows) < stop - start else None, self.threshold_P[pairs], pairs))
        return slots


@dataclass(frozen=True, eq=False)
class _Problem:
    """Checked input: rows as tensors, pairs in both orders."""

    queries_QD: Tensor
    candidates_ND: Tensor
    forth: _Pairs
    back: _Pairs

    @classmethod
    def of(cls, queries_QD: np.ndarray, candidates_ND: np.ndarray, right: Sequence[Sequence[int]]) -> _Problem:
        queries, candidates = _rows(queries_QD, "query"), _rows(candidates_ND, "candidate")
        if queries.shape[1] != candidates.shape[1] or len(right) != len(queries):
            raise ValueError(f"{tuple(queries.shape)} queries, {tuple(candidates.shape)} candidates, {len(right)} "
                             "lists of right ones: widths must be equal, and each query needs a list")
        row_P, column_P = _positions(right, len(candidates))
        score_P = torch.cat([(queries[rows] * candidates[columns]).sum(1) for rows, columns in zip(
            torch.from_numpy(row_P).split(ROWS), torch.from_numpy(column_P).split(ROWS), strict=True)]).numpy()
        return cls(queries, candidates, _Pairs.of(row_P, column_P, score_P, len(queries)),
                   _Pairs.of(column_P, row_P, score_P, len(candidates)))

    def solve(self, both: bool, advance: Callable[[int], None] | None) -> tuple[Ranks, Ranks | None]:
        queries, candidates = len(self.queries_QD), len(self.candidates_ND)
        forth_P, back_P = (np.zeros(len(self.forth.row_P), np.int64) for _ in range(2))
        self._count_in_tiles(forth_P, back_P if both else None, advance)
        _count_by_sorting(self.queries_QD, self.candidates_ND, self.forth, forth_P)
        found = Ranks(self.forth.row_P, self.forth.column_P, forth_P, queries, candidates)
        if not both:
            return found, None
        _count_by_sorting(self.candidates_ND, self.queries_QD, self.back, back_P)
        return found, Ranks(self.back.row_P, self.back.column_P, back_P, candidates, queries)

    def _count_in_tiles(self, forth_P: np.ndarray, back_P: np.ndarray | None,
                        advance: Callable[[int], None] | None) -> None:
        """Add to each pair what is at or above it in each tile of the scores; the back direction is its columns."""
        queries, candidates = len(self.queries_QD), len(self.candidates_ND)
        bands = [(start, min(start + COLUMNS, candidates)) for start in range(0, candidates, COLUMNS)]
        of_columns = [self.back.slots(*band) if back_P is not None else [] for band in bands]
        scores_buffer = torch.empty(ROWS * COLUMNS)
        mask_buffer = np.empty(ROWS * COLUMNS, bool)
        for top in range(0, queries, ROWS):
            bottom = min(top + ROWS, queries)
            of_rows = self.forth.slots(top, bottom)
            inside = slice(self.forth.start_R1[top], self.forth.start_R1[bottom])
            row_P, column_P = self.forth.row_P[inside] - top, self.forth.column_P[inside]
            order_P = np.argsort(column_P, kind="stable")
            row_P, column_P = row_P[order_P], column_P[order_P]
            edges = np.searchsorted(column_P, [*(left for left, _ in bands), candidates])
            for number, (left, right) in enumerate(bands):
                if not of_rows and not of_columns[number]:
                    continue
                shape = (bottom - top, right - left)
                tile = torch.mm(self.queries_QD[top:bottom], self.candidates_ND[left:right].T,
                                out=scores_buffer[:shape[0] * shape[1]].view(shape)).numpy()
                mine = slice(edges[number], edges[number + 1])
                tile[row_P[mine], column_P[mine] - left] = -np.inf
                for rows, threshold, pairs in of_rows:  # by NumPy: one thread of it counts as fast as two of torch
                    part = tile if rows is None else tile[rows]
                    mask = mask_buffer[:part.size].reshape(part.shape)
                    forth_P[pairs] += _true_by_row(np.greater_equal(part, threshold[:, None], out=mask))
                for columns, threshold, pairs in of_columns[number]:
                    part = tile if columns is None else tile.take(columns, axis=1)
                    mask = mask_buffer[:part.size].reshape(part.shape)
                    back_P[pairs] += _true_by_column(np.greater_equal(part, threshold, out=mask))  # type: ignore[index]
            if advance:
                advance(bottom - top)


def _count_by_sorting(rows_RD: Tensor, others_ND: Tensor, pairs: _Pairs, wrong_P: np.ndarray) -> None:
    """Set the counts of the rows with many right columns: places of thresholds among the sorted wrong scores."""
    many = np.flatnonzero(np.diff(pairs.start_R1) > MANY)
    block = max(1, SORTED // len(others_ND))
    for start in range(0, len(many), block):
        rows = many[start:start + block]
        scores = (rows_RD[torch.from_numpy(rows)] @ others_ND.T).numpy()
        for row, score_N in zip(rows, scores, strict=True):
            mine = slice(pairs.start_R1[row], pairs.start_R1[row + 1])
            score_N[pairs.column_P[mine]] = -np.inf
            score_N.sort()
            wrong_P[mine] = len(score_N) - np.searchsorted(score_N, pairs.threshold_P[mine], side="left")


def _true_by_row(mask: np.ndarray) -> np.ndarray:
    """How many of each row are true. Eight at once: bytes of one integer count side by side, to 255 at most."""
    rows, columns = mask.shape
    if columns % 8:
        return mask.sum(axis=1)
    return mask.view(np.uint64).sum(axis=1).view(np.uint8).reshape(rows, 8).sum(axis=1, dtype=np.int64)


def _true_by_column(mask: np.ndarray) -> np.ndarray:
    """How many of each column are true."""
    rows, columns = mask.shape
    if columns % 8:
        return mask.sum(axis=0)
    words = mask.view(np.uint64)
    lanes = [words[start:start + LANE].sum(axis=0).view(np.uint8) for start in range(0, rows, LANE)]
    return np.stack(lanes).sum(axis=0, dtype=np.int64)


def _rows(rows: np.ndarray, name: str) -> Tensor:
    """Rows as a float32 tensor, without a copy where they are that."""
    tensor = torch.from_numpy(np.require(rows, np.float32, ["C", "W"]))
    if tensor.ndim != 2 or not len(tensor):
        raise ValueError(f"{name} rows are {tuple(tensor.shape)}: they must be (N, D) with at least one")
    bad = torch.nonzero(~torch.isfinite(tensor.sum(1)))
    if len(bad):
        raise UserError(f"{name} {int(bad[0])} of {len(tensor)} is NaN or infinite: nothing can be ranked, train the "
                        "model again")
    return tensor


def _positions(right: Sequence[Sequence[int]], candidates: int) -> tuple[np.ndarray, np.ndarray]:
    """Query and candidate of each right pair, each pair once."""
    counts_Q = np.fromiter(map(len, right), np.int64, len(right))
    if not counts_Q.all():
        raise ValueError(f"query {int(counts_Q.argmin())} has no right candidate")
    column_P = np.fromiter(chain.from_iterable(right), np.int64, int(counts_Q.sum()))
    if column_P.min() < 0 or column_P.max() >= candidates:
        raise ValueError(f"right candidates are {column_P.min()} to {column_P.max()}: there are {candidates}")
    key_P = np.unique(np.repeat(np.arange(len(right)) * candidates, counts_Q) + column_P)
    return key_P // candidates, key_P % candidates
