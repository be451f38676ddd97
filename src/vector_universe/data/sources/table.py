"""Tables of any format, one row an image or one row a text: rows in, examples out, with memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from vector_universe.data.example import Example
from vector_universe.data.images import ImageError, ImageSource
from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import Remark, Remarks, SkippedRow
from vector_universe.data.sources.columns import Columns, Row, choose_columns
from vector_universe.data.sources.grouping import grouped_rows, row_key
from vector_universe.data.sources.places import DOWNLOAD, Places, check_header, is_url, refuse_url
from vector_universe.data.sources.seen import SeenIds
from vector_universe.data.sources.source import Item, Report, Source, part_of, unreported
from vector_universe.data.sources.values import unique
from vector_universe.data.splits import SPLITS, split_named, split_of

FEW_PICTURES = 10  # in several rows with labels; of more, differing labels are the table's way


class Table(Protocol):
    """One file of a table, or one split of a data set.

    Attributes:
        place: the file, for messages.
        folder: where the images lie that it names; None if there can be none.
        columns: their names.
        classes: names of labels that are stored as numbers, by column.
        split: the split of its rows that have no `split` cell; "" if the table does not say.
        prefix: what stands before the ids of its rows.
        size: what the progress of reading it is counted up to.
        remarks: on the last pass over its rows, whose numbers count from 1 in it.
    """

    place: str
    folder: Path | None
    columns: Sequence[str]
    classes: dict[str, Sequence[str]]
    split: str
    prefix: str
    size: int
    remarks: Remarks

    def rows(self, report: Report) -> Iterator[dict[str, Any] | SkippedRow]:
        """A new pass over the rows; one that cannot be read is a `SkippedRow`, which counts as a row."""
        ...

    def holds_images(self, column: str) -> bool:
        """Whether this column holds encoded images rather than their names."""
        ...


def table_source(tables: Sequence[Table], options: LoadOptions, *, name: str,
                 files: tuple[Path, ...] = ()) -> Source:
    """Several tables as one source.

    Args:
        tables: their rows are counted through, in this order.
        options: columns and safety.
        name: of the source, for people.
        files: those of the tables.

    Raises:
        UserError: a table lacks the columns.
    """
    columns = [choose_columns(table.columns, options, table.place, table.classes) for table in tables]
    embedded = any(table.holds_images(chosen.image) for table, chosen in zip(tables, columns, strict=True))
    reading = Tables(tables, columns, embedded, options.allow_outside)
    return Source(name, tables[0].place, reading.items, files=files, complete=embedded and bool(files),
                  holds_images=embedded)


@dataclass(frozen=True)
class Tables:
    """Several tables read as one.

    Attributes:
        embedded: the images lie in the tables, so that each row is one example; otherwise the rows of an id are one.
    """

    tables: Sequence[Table]
    columns: Sequence[Columns]
    embedded: bool
    allow_outside: bool

    def items(self, report: Report) -> Iterator[Item]:
        """Examples and rows left out, in the order of the tables; remarks on the files at the end."""
        seen, usable, remarks, labels = SeenIds(), False, Remarks(), Remarks()
        labelled = 0  # pictures with labels in several rows
        before = [0] * len(self.tables)
        places = {table.folder: Places(table.folder, self.allow_outside) for table in self.tables}
        for group in self._groups(report, before):
            if isinstance(group, SkippedRow):
                yield group
                continue
            item = self._example(group, places[self.tables[group[0].table].folder], seen)
            if isinstance(item, Example):
                usable = True
            elif not usable and is_url(item.file):
                raise refuse_url(item.file, self.tables[0].place)
            yield item
            if len(group) > 1:
                rows, others = _of_one_name(group)
                yield from (SkippedRow(row.name, row.number, "duplicate id") for row in others)
                labelled += sum(bool(row.labels) for row in rows) > 1
                if _say_the_same(rows):
                    continue
                for remark in differences(rows):
                    remarks.add(remark)
                if (contradiction := differing_labels(rows)) is not None:
                    labels.add(contradiction)
        for table, earlier in zip(self.tables, before, strict=True):
            for remark in table.remarks.all():
                remarks.add(replace(remark, row=remark.row + earlier if remark.row else None))
        contradicting = labels.counts.get("rows_disagree", 0)
        if labelled >= FEW_PICTURES and contradicting > labelled / 2:
            yield Remark("read_as", "", None, f"{contradicting:,} pictures have a row for each of their labels")
        else:
            yield from labels.all()
        yield from remarks.all()
        for place in places.values():
            yield from place.unnamed()

    def _groups(self, report: Report, before: list[int]) -> Iterator[list[Row] | SkippedRow]:
        if not self.embedded:
            return grouped_rows(self._keys(), self._rows(report, before))
        return (row if isinstance(row, SkippedRow) else [row] for row in self._rows(report, before))

    def _keys(self) -> Iterator[str]:
        for number, place, values in self._cells(unreported, [0] * len(self.tables)):
            if isinstance(values, SkippedRow):
                yield row_key("", number, False)
            else:
                id, _, image = self.columns[place].identity(number, values, self.tables[place].prefix)
                yield row_key(id, number, image is not None)

    def _rows(self, report: Report, before: list[int]) -> Iterator[Row | SkippedRow]:
        for number, place, values in self._cells(report, before):
            if isinstance(values, SkippedRow):
                yield SkippedRow(values.file, number, values.reason)
            else:
                table = self.tables[place]
                yield self.columns[place].row(number, values, table.split, table.prefix, place)

    def _cells(self, report: Report, before: list[int]) -> Iterator[tuple[int, int, dict[str, Any] | SkippedRow]]:
        """Number, table and cells of each row; notes how many rows came `before` each table."""
        number, done, total = 0, 0, sum(table.size for table in self.tables)
        for place, table in enumerate(self.tables):
            before[place] = number
            for values in table.rows(part_of(report, done, total)):
                number += 1
                yield number, place, values
            done += table.size

    def _example(self, group: list[Row], places: Places, seen: SeenIds) -> Item:
        first = group[0]
        if first.image is None:
            return SkippedRow(first.id if self.embedded else "", first.number,
                              "no image" if self.embedded else "no file name")
        if is_url(first.name) and not isinstance(first.image, bytes):
            return SkippedRow(first.name, first.number, f"a URL: {DOWNLOAD}")
        try:
            image: ImageSource = first.image
            if isinstance(first.image, str):
                image = places.locate(first.image)
            check_header(image)
        except ImageError as error:
            return SkippedRow(first.name or first.id, first.number, str(error))
        return make_example(_of_one_name(group)[0], image, seen)


def make_example(rows: list[Row], image: ImageSource, seen: SeenIds) -> Example | SkippedRow:
    """One example of the rows of one image: all their texts and labels; the first that says a value decides it, and of
    several splits the most held-out one."""
    first = rows[0]
    texts = unique(text for row in rows for text in row.texts)
    labels = unique(label for row in rows for label in row.labels)
    shown = first.name or first.id
    if not texts and not labels:
        return SkippedRow(shown, first.number, "no text and no label")
    splits = {row.split: split_named(row.split) for row in rows if row.split}
    if unknown := next((name for name, split in splits.items() if split is None), ""):
        return SkippedRow(shown, first.number, f"its split “{unknown[:80]}” is not understood: call it train, "
                                               "validation or test")
    if not seen.add(first.id):
        return SkippedRow(shown, first.number, "duplicate id")
    metadata = dict(first.metadata)
    for row in rows[1:]:
        if row.metadata != first.metadata:
            metadata |= {column: value for column, value in row.metadata.items() if metadata.get(column) in (None, "")}
    if first.asked:
        metadata |= {column: [row.asked[column] for row in rows] for column in first.asked}
    split = max(filter(None, splits.values()), key=SPLITS.index) if splits else split_of(first.id)
    return Example(first.id, image, texts, labels, split, metadata=metadata)


def _of_one_name(group: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of one id that name the same file as the first, and the others."""
    name = group[0].name
    if all(row.name == name for row in group):
        return group, []
    return [row for row in group if row.name == name], [row for row in group if row.name != name]


def _say_the_same(rows: Sequence[Row]) -> bool:
    first = rows[0]
    return all(row.metadata == first.metadata and row.labels == first.labels and row.split == first.split
               for row in rows)


def differing_labels(rows: Sequence[Row]) -> Remark | None:
    """That rows of one picture have other labels; None if they have not."""
    labelled = [row for row in rows if row.labels]
    other = next((row for row in labelled if set(row.labels) != set(labelled[0].labels)), None)
    if other is None:
        return None
    return Remark("rows_disagree", other.id, other.number, f"labels {', '.join(other.labels)} here, "
                  f"{', '.join(labelled[0].labels)} in row {labelled[0].number:,}: it has all of them")


def differences(rows: Sequence[Row]) -> Iterator[Remark]:
    """What else the rows of one picture say otherwise than its first: another split, other values."""
    first = rows[0]
    for row in rows[1:]:
        if row.split and first.split and split_named(row.split) != split_named(first.split):
            yield Remark("rows_disagree", row.id, row.number, f"split {row.split} here, {first.split} in row "
                         f"{first.number:,}: it is in the one that is held out more")
        for column, value in row.metadata.items():
            if value not in (None, "") and first.metadata.get(column) not in (None, "", value):
                yield Remark("values_differ", row.id, row.number, f"{column} is {str(value)[:80]} here, "
                             f"{str(first.metadata[column])[:80]} in row {first.number:,}")
