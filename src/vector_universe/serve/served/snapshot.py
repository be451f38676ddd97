"""What the API holds in memory of a universe, as it was when it was opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vector_universe.index import Matches, Query, Universe
from vector_universe.serve.api.answers import InfoAnswer
from vector_universe.serve.api.info import info
from vector_universe.serve.api.map_data import map_bytes
from vector_universe.serve.served.batching import BatchedModel, Observer, unobserved
from vector_universe.serve.served.device import on_best_device

if TYPE_CHECKING:
    from vector_universe.index.map.topics import Topics
    from vector_universe.models import DualEncoder
    from vector_universe.serve.served.compare import OtherSide

HELD = 250_000  # vectors, in memory and compared exactly: half a gigabyte at 512 dimensions
NO_TOPIC = 65_535
MOST_LABELS = 65_535  # that the map tells apart


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A universe at one version, with N items in rows of the map: the order of writing.

    Attributes:
        universe: searches, with a model that embeds for several requests at once.
        version: changes whenever the index does.
        row_ids_N: Lance's row ids, int64, ascending.
        ids, titles: N texts each.
        x_N, y_N: places on the map, float32 in [-1, 1].
        topic_N: fine topic, uint16; `NO_TOPIC` where an item has none.
        label_names: most frequent first, then by name; at most 65,535.
        label_counts: how many items carry each.
        label_start_N1: uint32; the labels of row i are `labels_M[label_start_N1[i]:label_start_N1[i + 1]]`.
        labels_M: uint16, numbers of labels.
        other: the universe to compare with, as `compare.compare` adds it.
    """

    universe: Universe
    version: str
    row_ids_N: NDArray[np.int64]
    ids: pa.LargeStringArray
    titles: pa.LargeStringArray
    x_N: NDArray[np.float32]
    y_N: NDArray[np.float32]
    topic_N: NDArray[np.uint16]
    label_names: tuple[str, ...]
    label_counts: tuple[int, ...]
    label_start_N1: NDArray[np.uint32]
    labels_M: NDArray[np.uint16]
    other: OtherSide | None = None

    @classmethod
    def of(cls, universe: Universe, observe: Observer = unobserved) -> Snapshot:
        """Read what is held in memory, and let the universe's model embed for several requests at once.

        Args:
            universe: open; a server that stays opens it by `open_to_stay`.
            observe: told of every run of the model.

        Raises:
            UserError: the universe is damaged.
        """
        universe.use_model_by(lambda model: BatchedModel.around(on_best_device(model), observe))
        rows = universe.table.scan(["id", "title", "x", "y", "topic", "labels"], row_ids=True)
        topic_N = pc.fill_null(rows["topic"], -1).to_numpy()
        names, counts, starts, labels = _labels(rows["labels"].combine_chunks())
        snapshot = cls(
            universe, _version(universe),
            rows["_rowid"].to_numpy().astype(np.int64), _texts(rows["id"]), _texts(rows["title"]),
            rows["x"].to_numpy().astype(np.float32), rows["y"].to_numpy().astype(np.float32),
            np.where((topic_N < 0) | (topic_N >= NO_TOPIC), NO_TOPIC, topic_N).astype(np.uint16),
            names, counts, starts, labels)
        _ = snapshot.info, snapshot.map  # while it can be read: what is served outlives what lies on the disk
        return snapshot

    def __len__(self) -> int:
        return len(self.row_ids_N)

    def row(self, id: str) -> int | None:
        """The row of an item; None where there is none of this name."""
        try:
            found = pc.index(self.ids, pa.scalar(id, self.ids.type)).as_py()
        except UnicodeEncodeError:  # half of a character
            return None
        return None if found < 0 else int(found)

    def labels_of(self, row: int) -> list[str]:
        """The labels of an item, among those that the map tells apart."""
        return [self.label_names[number] for number in
                self.labels_M[self.label_start_N1[row]:self.label_start_N1[row + 1]].tolist()]

    def rows_of(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of Lance's row ids, all of which are in this version."""
        return np.searchsorted(self.row_ids_N, row_ids)

    def search(self, query: Query) -> Matches:
        """As `Universe.search`."""
        return self.universe.search(query)

    def scores(self, query: Query) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """As `Universe.scores`."""
        return self.universe.scores(query)

    @property
    def has_vector_N(self) -> NDArray[np.bool_]:
        """Which items have the vectors that items are searched by."""
        has_one = f"`{self.universe.generation.vectors}` IS NOT NULL"
        return np.isin(self.row_ids_N, self.universe.table.row_ids(has_one), assume_unique=True)

    @cached_property
    def map(self) -> bytes:
        """As `map_data.map_bytes`."""
        return map_bytes(self)

    @cached_property
    def info(self) -> InfoAnswer:
        """What the API says of it as a whole."""
        return info(self)

    @cached_property
    def topics(self) -> Topics | None:
        """The regions of the map and their names."""
        return self.universe.topics


def open_to_stay(path: str | Path, model: DualEncoder | None = None) -> Universe:
    """Open a universe for a server: what it is asked again and again, vectors and words, lies in memory.

    Args:
        path: its folder, or s3://bucket/folder.
        model: as of `Universe.open`.

    Raises:
        UserError: as `Universe.open`.
    """
    universe = Universe.open(path, model, held=HELD)
    if len(universe) <= HELD:
        universe.hold_words()
    return universe


class Served:
    """What requests are answered from: each takes `current` once, and keeps to it until its end."""

    def __init__(self, current: Snapshot) -> None:
        self.current = current
        self.lock = Lock()  # of those who replace it


def _version(universe: Universe) -> str:
    """Generation, version of its table, and when that was written: one made anew may count as the old one did."""
    written = max((changed for _, _, changed in universe.table.commits()), default=0)
    return f"{universe.generation.name}-{universe.table.lance.version}-{written // 1_000_000:x}"


def _texts(column: pa.ChunkedArray) -> pa.LargeStringArray:
    return column.cast(pa.large_string()).combine_chunks()


def _labels(lists: pa.ListArray) -> tuple[tuple[str, ...], tuple[int, ...], NDArray[np.uint32], NDArray[np.uint16]]:
    """Names and counts of the labels, and of each list its start and its numbers; a label counts once a list."""
    count = len(lists)
    item_M = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    texts = pc.list_flatten(lists).dictionary_encode()
    found: Sequence[str | None] = texts.dictionary.to_pylist()
    code_M = pc.fill_null(texts.indices, -1).to_numpy().astype(np.int64)
    item_M, code_M = item_M[code_M >= 0], code_M[code_M >= 0]
    first_M = np.sort(np.unique(item_M * (len(found) + 1) + code_M, return_index=True)[1])  # an item's twins once
    item_M, code_M = item_M[first_M], code_M[first_M]
    counts = np.bincount(code_M, minlength=len(found))
    order = sorted(range(len(found)), key=lambda code: (-counts[code], str(found[code])))[:MOST_LABELS]
    number_of = np.full(len(found) + 1, -1, np.int64)
    number_of[order] = np.arange(len(order))
    number_M = number_of[code_M]
    item_M, number_M = item_M[number_M >= 0], number_M[number_M >= 0]
    starts = np.zeros(count + 1, np.uint32)
    np.cumsum(np.bincount(item_M, minlength=count), out=starts[1:])
    return (tuple(str(found[code]) for code in order), tuple(int(counts[code]) for code in order), starts,
            number_M.astype(np.uint16))
