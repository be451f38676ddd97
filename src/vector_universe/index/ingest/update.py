"""Bring a table up to date with a data set: what is new or changed is embedded, what is gone is taken away.

Every commit holds whole items, and an item is known by its id and by digests of its picture and its words: a run that
is stopped goes on where the last commit was, and two runs at once write every item once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vector_universe.data.images import ImageError
from vector_universe.data.read_ahead import read_ahead
from vector_universe.data.skipped import SkippedRow
from vector_universe.errors import UserError
from vector_universe.index.ingest.embed import Embedder, Known, picture_digest, said_digest
from vector_universe.index.table.item_table import ItemTable
from vector_universe.index.table.rows import DERIVED
from vector_universe.progress import StageProgress, silent

if TYPE_CHECKING:
    import pyarrow as pa

    from vector_universe.data import ImageTextDataset
    from vector_universe.data.example import Example
    from vector_universe.index.scale.engine import Scaled

_COMMIT_ROWS = 2048
_COMMIT_SECONDS = 10.0  # at most so much work is lost by a kill
_FEW = 10  # so many may always go
_MASS = 0.5


@dataclass
class Change:
    """What an update did, in items; `embedded` counts pictures that went through the model, `remarks` are lines for
    people about the data's columns."""

    new: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    embedded: int = 0
    skipped: list[SkippedRow] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """One line for people."""
        line = (f"{self.new:,} new, {self.changed:,} changed, {self.removed:,} removed, {self.unchanged:,} as they "
                f"were; {self.embedded:,} pictures embedded")
        return line + (f"; {len(self.skipped):,} left out" if self.skipped else "")

    def __add__(self, other: Change) -> Change:
        return Change(self.new + other.new, self.changed + other.changed, self.removed + other.removed,
                      self.unchanged + other.unchanged, self.embedded + other.embedded, self.skipped + other.skipped,
                      self.remarks + other.remarks)

    @property
    def any(self) -> bool:
        """Whether the table is another one now."""
        return bool(self.new or self.changed or self.removed)


@dataclass(frozen=True)
class Plan:
    """What there is to do, by positions in the data set."""

    new: list[int]
    repainted: list[int]  # another picture
    retold: list[int]  # the same picture, other words
    removed: list[str]
    unchanged: int


def update(table: ItemTable, embedder: Embedder, dataset: ImageTextDataset, *, allow_mass_removal: bool = False,
           still_in_use: Callable[[], None] = lambda: None, progress: StageProgress | None = None,
           embed_new: Callable[[Sequence[int]], Scaled] | None = None) -> Change:
    """Make the items of the embedder's source those of the data set; items of other sources stay as they are.

    Args:
        table: is written, commit by commit.
        embedder: makes the rows, and knows the source's name.
        dataset: every example that is to be there. One whose picture cannot be read is listed; an item that it had
            before stays.
        allow_mass_removal: take away more than half of what was there.
        still_in_use: called before each commit; raises where the table is no longer the one in use.
        progress: called with (stage, done, total).
        embed_new: adds the examples at these positions in place of this process (`scale.embed_at_scale`).

    Raises:
        UserError: two examples share an id, an id belongs to another source, more than half of the items would go, or
            the table cannot be written; what was committed is kept.
    """
    progress = progress or silent
    table.refresh()
    plan = _plan(table, embedder, dataset, progress)
    _refuse_mass_removal(table, embedder, plan, dataset, allow_mass_removal)
    change = Change(unchanged=plan.unchanged)
    done = 0

    def write(pieces: Iterator[tuple[pa.Table, list[SkippedRow], int]], what: str, stage: str, total: int) -> None:
        nonlocal done
        waiting: list[pa.Table] = []
        since = time.monotonic()

        def flush() -> None:
            nonlocal since
            import pyarrow as pa

            if waiting:
                rows = pa.concat_tables(waiting).combine_chunks()  # of several pieces the order would be lost
                still_in_use()
                table.merge(rows)
                still_in_use()
                setattr(change, what, getattr(change, what) + len(rows))
            waiting.clear()
            since = time.monotonic()

        for rows, skipped, embedded in pieces:
            change.skipped += skipped
            change.embedded += embedded
            done += len(rows) + len(skipped)
            if len(rows):
                waiting.append(rows)
            if sum(map(len, waiting)) >= _COMMIT_ROWS or time.monotonic() - since > _COMMIT_SECONDS:
                flush()
            progress(stage, done, total)
        flush()

    new = plan.new
    if embed_new is not None:
        scaled = embed_new(plan.new)
        change.new, change.embedded, change.skipped = scaled.written, scaled.embedded, scaled.skipped
        new = []
    stage, total = "embedding images", len(new) + len(plan.repainted)
    write(embedder.rows(_at(dataset, new)), "new", stage, total)
    write(embedder.rows(_at(dataset, plan.repainted)), "changed", stage, total)
    done = 0
    write(_retold(table, embedder, dataset, plan.retold), "changed", "reading changed titles", len(plan.retold))
    if plan.removed:
        still_in_use()
        table.delete(plan.removed)
        change.removed = len(plan.removed)
    return change


def _plan(table: ItemTable, embedder: Embedder, dataset: ImageTextDataset, progress: StageProgress) -> Plan:
    stored = table.scan(["id", "source", "image_digest", "said_digest"])
    there = {id: (source, picture, said) for id, source, picture, said in zip(
        stored["id"].to_pylist(), stored["source"].to_pylist(), stored["image_digest"].to_pylist(),
        stored["said_digest"].to_pylist(), strict=True)}
    new, repainted, retold, unchanged = [], [], [], 0
    seen: set[str] = set()
    total = len(dataset)
    for place, (example, digest) in enumerate(read_ahead(_digest_where(there, embedder.id_prefix), _all(dataset))):
        id = embedder.id_prefix + example.id
        if id in seen:
            raise UserError(f"two items of the data set share the id {example.id!r}: ids must be unique")
        seen.add(id)
        source, picture, said = there.get(id, (embedder.source, None, None))
        if source != embedder.source:
            raise UserError(f"the id {id!r} is already taken by an item of the source {source!r}: give --id-prefix, "
                            f"such as --id-prefix {embedder.source}/")
        if picture is None:
            new.append(place)
        elif isinstance(digest, ImageError) or picture != digest:  # one that cannot be read is tried, and listed
            repainted.append(place)
        elif said != said_digest(example):
            retold.append(place)
        else:
            unchanged += 1
        if there:
            progress("looking for changes", place + 1, total)
    removed = [id for id, (source, *_) in there.items() if source == embedder.source and id not in seen]
    return Plan(new, repainted, retold, removed, unchanged)


def _digest_where(there: Container[str], id_prefix: str) -> Callable[[Example], bytes]:
    """The digest of an example's picture where the table has one to compare: no new picture is read twice."""
    return lambda example: picture_digest(example.image) if id_prefix + example.id in there else b""


def _all(dataset: ImageTextDataset) -> Iterator[Example]:
    return (dataset[place] for place in range(len(dataset)))


def _at(dataset: ImageTextDataset, places: Sequence[int]) -> Iterator[Example]:
    return (dataset[place] for place in places)


def _retold(table: ItemTable, embedder: Embedder, dataset: ImageTextDataset,
            places: Sequence[int]) -> Iterator[tuple[pa.Table, list[SkippedRow], int]]:
    """Rows of items whose words alone have changed: their pictures are not embedded again."""
    for start in range(0, len(places), _COMMIT_ROWS):
        examples = [dataset[place] for place in places[start:start + _COMMIT_ROWS]]
        found = table.rows_of([embedder.id_prefix + example.id for example in examples],
                              ["id", "image", "look", "thumbnail"])
        known = {row["id"]: Known(np.array(row["image"], np.float16), row["look"], row["thumbnail"]) for row in found}
        for rows, skipped, embedded in embedder.rows(examples, known):
            yield rows.drop_columns(list(DERIVED)), skipped, embedded  # their places on the map stay


def _refuse_mass_removal(table: ItemTable, embedder: Embedder, plan: Plan, dataset: ImageTextDataset,
                         allowed: bool) -> None:
    before = len(plan.removed) + len(plan.repainted) + len(plan.retold) + plan.unchanged
    if not allowed and len(plan.removed) > max(_FEW, _MASS * before):
        raise UserError(f"{len(plan.removed):,} of the {before:,} items of the source {embedder.source!r} are not in "
                        f"{dataset.source} any more: is it the right data? Take them away with --allow-mass-removal, "
                        "or keep both with --source NAME")
