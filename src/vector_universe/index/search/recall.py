"""What an approximate search really finds, measured against exact search; and the cheapest setting of each effort.

Images and texts are measured apart: a text lies where no image does, so that its nearest images are spread over more
partitions and differ by less; a setting that finds 99 of 100 for images may find 50 for texts.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vector_universe.errors import UserError
from vector_universe.index.search.approximate import MEASURED_K, Effort, Setting, candidates, partitions_of
from vector_universe.index.search.vector_scan import damage_named, exact_nearest, vectors_of

if TYPE_CHECKING:
    from lancedb.table import Table

    from vector_universe.progress import StageProgress

_TARGETS: dict[Effort, tuple[float, float]] = {  # recall of image and of text queries
    "fast": (0.90, 0.90), "balanced": (0.98, 0.97), "thorough": (0.995, 0.99)}
_ITSELF = 0.9999  # an image whose cosine to the query is above is the query, rounded to float16
_REFINES = (2, 5, 10)


@dataclass(frozen=True)
class Reached:
    """What one setting reached.

    Attributes:
        image: recall of image queries, in [0, 1].
        text: recall of text queries; None where none were measured.
        p50_ms: the median time of a query, one at a time, on the machine that measured.
    """

    nprobes: int
    refine: int
    image: float
    text: float | None
    p50_ms: float


@dataclass(frozen=True)
class MeasuredRecall:
    """Which setting each effort has, and what it reached; below `k`, and how many rows and queries it was measured on.

    An effort whose target no setting reached has the best there is: `efforts` says what that was.
    """

    k: int
    rows: int
    images: int
    texts: int
    efforts: dict[Effort, Reached]

    def setting(self, effort: Effort) -> Setting:
        """How far a search of this effort looks.

        Raises:
            UserError: there is no such effort ("exact" has no setting: it reads everything).
        """
        if effort not in self.efforts:
            raise UserError(f"effort is {effort!r}: choose {', '.join(self.efforts)} or exact")
        return Setting(self.efforts[effort].nprobes, self.efforts[effort].refine)

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> MeasuredRecall:
        """Read what `to_json` wrote.

        Raises:
            UserError: it is something else.
        """
        try:
            stored = json.loads(text)
            efforts = {effort: Reached(**stored["efforts"][effort]) for effort in _TARGETS}
            return cls(**{**stored, "efforts": efforts})
        except (ValueError, TypeError, KeyError) as error:
            raise UserError("what was measured of the index's recall is damaged: index it again with "
                            "`vu index … --overwrite`") from error


def measure_recall(table: Table, column: str, images_QD: NDArray[np.floating], texts_QD: NDArray[np.floating] | None,
                   k: int = MEASURED_K, progress: StageProgress | None = None) -> MeasuredRecall:
    """Measure settings from the cheapest on, until every effort's target is reached, against exact search.

    The targets are recalls of .90 for images and texts ("fast"), .98 and .97 ("balanced"), .995 and .99 ("thorough").
    An image query that is itself in the table is left out of its own results: finding it is no merit.

    Args:
        table: an open table whose `column` has an index.
        column: its fixed-size list of float16.
        images_QD: (Q, D) vectors of images.
        texts_QD: (R, D) vectors of texts; None measures images alone.
        k: results a query.
        progress: called with ("measuring recall", done, total).

    Raises:
        UserError: the table or its index is damaged.
    """
    texts_QD = images_QD[:0] if texts_QD is None else texts_QD
    queries_QD = np.concatenate([images_QD, texts_QD])
    truths = [_without_itself(ids, scores, k) for ids, scores in exact_nearest(table, column, queries_QD, k + 1)]
    efforts: dict[Effort, Reached] = {}
    best: Reached | None = None
    grid = list(_grid(partitions_of(table)))
    for done, setting in enumerate(grid, 1):
        found = _reached(table, column, queries_QD, truths, len(images_QD), k, setting)
        if best is None or _least(found) > _least(best):
            best = found
        for effort, (image, text) in _TARGETS.items():
            if found.image >= image and (found.text is None or found.text >= text):
                efforts.setdefault(effort, found)
        if len(efforts) == len(_TARGETS):
            break
        if progress is not None:
            progress("measuring recall", done, len(grid))
    if progress is not None:
        progress("measuring recall", len(grid), len(grid))
    assert best is not None
    return MeasuredRecall(k, table.count_rows(), len(images_QD), len(texts_QD),
                          {effort: efforts.get(effort, best) for effort in _TARGETS})


def sample_queries(table: Table, column: str, text_column: str | None, count: int,
                   seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Vectors of rows drawn by a seed, to measure with: images, and texts of the same column's rows.

    Args:
        table: an open table.
        column: vectors of the images.
        text_column: vectors of the texts, null where an item has none; None where no item has.
        count: of each, at most.
        seed: the same seed draws the same rows of the same table.

    Returns:
        (Q, D) images and (R, D) texts, float32; None for texts where there are none.

    Raises:
        UserError: the table is damaged.
    """
    images_QD = _sample(table, column, count, seed)
    texts_QD = None if text_column is None else _sample(table, text_column, count, seed)
    return images_QD, texts_QD if texts_QD is not None and len(texts_QD) else None


def _sample(table: Table, column: str, count: int, seed: int) -> NDArray[np.float32]:
    with damage_named(f"the vectors in the column {column!r}"):
        ids = (table.search().where(f"{column} IS NOT NULL").select([]).with_row_id(True).to_arrow())["_rowid"]
    chosen = np.sort(np.random.default_rng(seed).permutation(len(ids))[:count])
    if len(chosen) == 0:
        return np.empty((0, table.schema.field(column).type.list_size), np.float32)
    return vectors_of(table, column, np.sort(ids.to_numpy())[chosen].tolist())


def _grid(partitions: int) -> Iterator[Setting]:
    """From the cheapest on: partitions cost more than candidates."""
    probes = sorted({max(1, round(partitions * share)) for share in (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)})
    return (Setting(nprobes, refine) for nprobes in probes for refine in _REFINES)


def _reached(table: Table, column: str, queries_QD: NDArray[np.floating], truths: list[set[int]], images: int, k: int,
             setting: Setting) -> Reached:
    shares, seconds = [], []
    for query_D, truth in zip(queries_QD, truths, strict=True):
        start = time.perf_counter()
        ids, scores = candidates(table, column, query_D, k + 1, setting)
        seconds.append(time.perf_counter() - start)
        shares.append(len(truth & _without_itself(ids, scores, k)) / len(truth))
    return Reached(setting.nprobes, setting.refine, float(np.mean(shares[:images])),
                   float(np.mean(shares[images:])) if len(shares) > images else None,
                   1000 * statistics.median(seconds))


def _without_itself(row_ids: NDArray[np.int64], scores: NDArray[np.float64], k: int) -> set[int]:
    """The first k of k + 1: without the very first, where it is the query itself."""
    first = int(len(scores) > 0 and scores[0] > _ITSELF)
    return set(row_ids[first:first + k].tolist())


def _least(reached: Reached) -> float:
    return reached.image if reached.text is None else min(reached.image, reached.text)
