"""The second pass: over the matches on disk, by rank, to one threshold a query."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from vector_universe.data.curation.match_shards import Matched
from vector_universe.data.curation.runs import CELLS, Matches, Run, join
from vector_universe.data.curation.selection import Selection, equal_keys

RANGE_PAIRS = 200_000  # in memory at once
SAVE_SECONDS = 5.0


def select(units: Sequence[Matched], cap: int, work: Path, progress: Callable[[str, int, int], None]) -> Selection:
    """Find the charges and thresholds of all queries; a kill loses some seconds of it.

    Args:
        units: what the first pass left.
        cap: most pairs charged to a query.
        work: folder for what is done so far, `selection.npz` in the end.
        progress: told (stage, done, total).
    """
    runs = [run for unit in units for run in unit.runs if run.pairs]
    if not runs:
        counts = sum((unit.counts() for unit in units[1:]), units[0].counts())
        _save(work / "counts.npz", counts=counts, duplicates=0)
        selection = Selection.start(counts, cap)
        _save(work / "selection.npz", done=0, charged=selection.charged, thresholds=selection.thresholds)
        return selection
    edges = _ranges(sum((run.cells() for run in runs), np.zeros(CELLS + 1, np.int64)))
    counts = _count_without_duplicates(units, runs, edges, work, progress)
    file, done = work / "selection.npz", 0
    selection = Selection.start(counts, cap)
    if file.exists():
        with np.load(file) as saved:
            done = int(saved["done"])
            selection = Selection(cap, counts, saved["charged"], saved["thresholds"])
    saved_at = time.monotonic()
    for number in range(done, len(edges) - 1):
        selection.take(_read(runs, edges[number], edges[number + 1]))
        progress("choosing pairs", number + 1, len(edges) - 1)
        if time.monotonic() - saved_at >= SAVE_SECONDS:
            _save(file, done=number + 1, charged=selection.charged, thresholds=selection.thresholds)
            saved_at = time.monotonic()
    _save(file, done=len(edges) - 1, charged=selection.charged, thresholds=selection.thresholds)
    return selection


def _ranges(below: np.ndarray) -> list[int]:
    """Cells at which to cut the keys, so that about `RANGE_PAIRS` pairs lie in between."""
    edges = [0]
    for cell in range(1, CELLS + 1):
        if below[cell] - below[edges[-1]] > RANGE_PAIRS and cell - 1 > edges[-1]:
            edges.append(cell - 1)
    return [*edges, CELLS]


def _count_without_duplicates(units: Sequence[Matched], runs: Sequence[Run], edges: Sequence[int], work: Path,
                              progress: Callable[[str, int, int], None]) -> np.ndarray:
    """Matching pairs of each query. Of rows with one id one stays, the others are marked in their runs."""
    file = work / "counts.npz"
    if file.exists():
        with np.load(file) as saved:
            found: np.ndarray = saved["counts"]
            return found
    counts, duplicates = sum((unit.counts() for unit in units[1:]), units[0].counts()), 0
    for number, (first, last) in enumerate(pairwise(edges)):
        places = [run.between(first, last) for run in runs]
        keys = [run.keys(*place) for run, place in zip(runs, places, strict=True)]
        if any(True for _ in equal_keys(np.concatenate(keys))):
            pairs = join([run.read(*place) for run, place in zip(runs, places, strict=True)])
            left_out = np.array(sorted(_left_out(pairs)))
            counts = counts - np.bincount(pairs.take(left_out).queries, minlength=len(counts))
            duplicates += len(left_out)
            ends = np.cumsum([len(part) for part in keys])
            for run in np.unique(owner := np.searchsorted(ends, left_out, side="right")):
                before = ends[run] - len(keys[run])
                runs[run].leave_out((left_out[owner == run] - before + places[run][0]).tolist())
        progress("looking for duplicate ids", number + 1, len(edges) - 1)
    _save(file, counts=counts, duplicates=duplicates)
    return counts


def _left_out(pairs: Matches) -> Iterator[int]:
    """All but one of the pairs with one id: that whose queries come first stays, whatever file it stands in."""
    for places in equal_keys(pairs.keys):
        stays = min(places.tolist(), key=lambda place: (pairs.of(place), place))
        yield from (place for place in places.tolist() if place != stays)


def _read(runs: Sequence[Run], first: int, last: int) -> Matches:
    """All pairs in a range of cells by rank, without duplicates."""
    parts = []
    for run in runs:
        place = run.between(first, last)
        here, left_out = run.read(*place), run.left_out(*place)
        parts.append(here.take(np.flatnonzero(~left_out)) if left_out.any() else here)
    pairs = join(parts)
    return pairs.take(np.lexsort((pairs.keys["low"], pairs.keys["high"])))


def _save(file: Path, **arrays: object) -> None:
    partial = file.with_name(f"{file.name}.partial")
    with partial.open("wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]
        out.flush()
        os.fsync(out.fileno())
    os.replace(partial, file)
