"""The first pass: every unit is read once, and its matches are left on disk."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from vector_universe.data.curation.matching import Matcher
from vector_universe.data.curation.pairs import keys_of, texts_of
from vector_universe.data.curation.queries import read_written
from vector_universe.data.curation.runs import Matches, Run, join, write_run
from vector_universe.data.curation.shards import Columns, Unit, read

RUN_ROWS = 1 << 16


@dataclass(frozen=True)
class Matched:
    """What the pass left of one unit.

    Attributes:
        folder: where it lies.
        rows: the unit has.
        runs: of its rows in order.
        first_rows: the first row of each run.
    """

    folder: Path
    rows: int
    runs: list[Run]
    first_rows: list[int]

    def counts(self) -> np.ndarray:
        """Matching pairs of each query."""
        found: np.ndarray = np.load(self.folder / "counts.npy")
        return found


def match_unit(unit: Unit, folder: Path, columns: Columns, list_file: Path, substring: bool, seed: int) -> Path:
    """Match all texts of a unit; `folder` is there when it is done, by one rename, and then nothing is done again."""
    if folder.exists():
        return folder
    matcher, queries = _matcher(list_file, list_file.stat().st_mtime_ns, substring)
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    counts, rows = np.zeros(queries, np.int64), 0
    runs: list[list[int]] = []
    for first, end, matches in _runs_of_rows(unit, columns, matcher, seed):
        counts += np.bincount(matches.queries, minlength=queries)
        run = write_run(partial / f"{len(runs):05d}.run", matches)
        runs.append([first, run.pairs, run.matches])
        rows = end
    np.save(partial / "counts.npy", counts)
    (partial / "facts.json").write_text(json.dumps({"rows": rows, "runs": runs}))
    try:
        partial.rename(folder)
    except OSError:  # another process was quicker, to the same result
        shutil.rmtree(partial)
    return folder


def matched(folder: Path) -> Matched:
    """What `match_unit` left in a folder."""
    facts = json.loads((folder / "facts.json").read_text())
    runs = [Run(folder / f"{number:05d}.run", pairs, matches)
            for number, (_, pairs, matches) in enumerate(facts["runs"])]
    return Matched(folder, facts["rows"], runs, [first for first, _, _ in facts["runs"]])


def matches_of(batch: pa.RecordBatch, columns: Columns, matcher: Matcher, seed: int) -> Matches:
    """The rows of a batch that match a query, by their places in it."""
    texts = texts_of(batch, columns)
    pairs, queries = matcher.match(texts.texts, texts.rows)
    starts = np.flatnonzero(np.diff(pairs, prepend=-1))
    rows = pairs[starts]
    keys = keys_of(batch, columns, seed)[rows]
    return Matches(keys, rows.astype(np.uint32), np.append(starts, len(queries)), queries)


def _runs_of_rows(unit: Unit, columns: Columns, matcher: Matcher, seed: int) -> Iterator[tuple[int, int, Matches]]:
    """(first row, row after the last, matches) of runs of rows."""
    parts: list[Matches] = []
    first = row = 0
    for batch in read(unit, columns.used):
        found = matches_of(batch, columns, matcher, seed)
        parts.append(Matches(found.keys, found.rows + np.uint32(row - first), found.starts, found.queries))
        row += len(batch)
        if row - first >= RUN_ROWS:
            yield first, row, join(parts)
            parts, first = [], row
    if parts:
        yield first, row, join(parts)


@lru_cache(maxsize=1)  # one automaton a process, for all its units
def _matcher(list_file: Path, written_ns: int, substring: bool) -> tuple[Matcher, int]:
    queries = read_written(list_file)
    return Matcher(queries, substring), len(queries)
