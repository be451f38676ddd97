"""Rows of one image brought together, wherever they stand in the table, without holding the table in memory.

A first pass keeps 8 bytes a row: the digests of the ids. Where the rows of every id stand together, as they nearly
always do, a second pass hands them out. Where they do not, that pass deals the rows into files, each for a range of
first appearances and small enough to be put in order in memory.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from itertools import groupby
from tempfile import TemporaryFile

import numpy as np

from vector_universe.data.skipped import SkippedRow
from vector_universe.data.sources.columns import Row
from vector_universe.data.sources.seen import digest

ROWS_AT_ONCE = 20_000  # in memory while scattered rows are put in order
MOST_FILES = 200  # open at once; many systems allow 1,024

Group = list[Row] | SkippedRow


def grouped_rows(keys: Iterator[str], rows: Iterator[Row | SkippedRow],
                 rows_at_once: int = ROWS_AT_ONCE) -> Iterator[Group]:
    """The rows of each id as one list, ids in the order of their first appearance, rows in the order of the table.

    Args:
        keys: a pass over the table, which gives the `row_key` of each row.
        rows: another pass, begun once the first is done.
        rows_at_once: how many rows may be in memory.
    """
    digests = np.asarray(array("Q", map(digest, keys)))
    starts = np.flatnonzero(np.r_[True, digests[1:] != digests[:-1]]) if len(digests) else digests
    if len(np.unique(digests[starts])) == len(starts):
        for _, run in groupby(rows, _key):
            group = list(run)
            yield group[0] if isinstance(group[0], SkippedRow) else group  # type: ignore[misc]
        return
    _, first, places = np.unique(digests, return_index=True, return_inverse=True)
    appearance = first[places]  # for each row, the row at which its id appeared first
    del digests, first, places, starts
    yield from _put_in_order(rows, appearance, rows_at_once)


def _put_in_order(rows: Iterator[Row | SkippedRow], appearance: np.ndarray, rows_at_once: int) -> Iterator[Group]:
    # Shares with equally many rows, each of whole ids: bounded by the first appearances of every n-th row.
    bounds = np.unique(np.sort(appearance)[::max(rows_at_once, len(appearance) // MOST_FILES)])
    with ExitStack() as stack:
        files = [stack.enter_context(TemporaryFile("w+", encoding="utf-8", newline="\n")) for _ in bounds]
        for row, start in zip(rows, appearance.tolist(), strict=True):
            share = int(np.searchsorted(bounds, start, "right")) - 1
            files[share].write(json.dumps([start, asdict(row)]) + "\n")
        for file in files:
            file.seek(0)
            stored = sorted((json.loads(line) for line in file), key=lambda record: record[0])
            file.close()
            for _, records in groupby(stored, lambda record: record[0]):
                group = [record[1] for record in records]
                if "reason" in group[0]:
                    yield from (SkippedRow(**values) for values in group)
                else:
                    yield [Row(**values) for values in group]


def row_key(id: str, number: int | None, has_image: bool) -> str:
    """What rows of one example have in common; a row without an image is alone."""
    return f"id {id}" if has_image else f"row {number}"


def _key(row: Row | SkippedRow) -> str:
    if isinstance(row, SkippedRow):
        return row_key("", row.row, False)
    return row_key(row.id, row.number, row.image is not None)
