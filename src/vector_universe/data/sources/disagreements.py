"""Rows of one picture that contradict each other: what is kept of them, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vector_universe.data.skipped import Remark, Remarks
from vector_universe.data.sources.columns import Row
from vector_universe.data.splits import split_named

FEW_PICTURES = 10  # in several rows with labels; of more, differing labels are the table's way


class Disagreements:
    """What rows of one picture say differently, over a whole table."""

    def __init__(self) -> None:
        self._others, self._labels = Remarks(), Remarks()
        self._labelled = 0  # pictures with labels in several rows

    def look_at(self, rows: Sequence[Row]) -> None:
        """Take the rows of one picture, two or more."""
        first = rows[0]
        self._labelled += sum(bool(row.labels) for row in rows) > 1
        if all(row.metadata == first.metadata and row.labels == first.labels and row.split == first.split
               for row in rows):
            return
        for remark in _differences(rows):
            self._others.add(remark)
        if (labels := _differing_labels(rows)) is not None:
            self._labels.add(labels)

    def remarks(self) -> Iterator[Remark]:
        """One a contradiction; where most pictures have a row for each of their labels, that is no contradiction."""
        contradicting = self._labels.counts.get("rows_disagree", 0)
        if self._labelled >= FEW_PICTURES and contradicting > self._labelled / 2:
            yield Remark("read_as", "", None, f"{contradicting:,} pictures have a row for each of their labels")
        else:
            yield from self._labels.all()
        yield from self._others.all()


def _differing_labels(rows: Sequence[Row]) -> Remark | None:
    labelled = [row for row in rows if row.labels]
    other = next((row for row in labelled if set(row.labels) != set(labelled[0].labels)), None)
    if other is None:
        return None
    return Remark("rows_disagree", other.id, other.number, f"labels {', '.join(other.labels)} here, "
                  f"{', '.join(labelled[0].labels)} in row {labelled[0].number:,}: it has all of them")


def _differences(rows: Sequence[Row]) -> Iterator[Remark]:
    """What the rows of one picture say otherwise than its first, but for labels: another split, other values."""
    first = rows[0]
    for row in rows[1:]:
        if row.split and first.split and split_named(row.split) != split_named(first.split):
            yield Remark("rows_disagree", row.id, row.number, f"split {row.split} here, {first.split} in row "
                         f"{first.number:,}: it is in the one that is held out more")
        for column, value in row.metadata.items():
            if value not in (None, "") and first.metadata.get(column) not in (None, "", value):
                yield Remark("values_differ", row.id, row.number, f"{column} is {str(value)[:80]} here, "
                             f"{str(first.metadata[column])[:80]} in row {first.number:,}")
