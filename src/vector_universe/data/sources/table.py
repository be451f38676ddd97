"""Tables of any format, one row an image or one row a text: rows in, examples out, with memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vector_universe.data.example import Example
from vector_universe.data.images import ImageError, ImageSource
from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import SkippedRow
from vector_universe.data.sources.columns import Columns, Row, choose_columns
from vector_universe.data.sources.grouping import grouped_rows, row_key
from vector_universe.data.sources.places import DOWNLOAD, Places, check_header, is_url, refuse_url
from vector_universe.data.sources.seen import SeenIds
from vector_universe.data.sources.source import Item, Report, Source, part_of, unreported
from vector_universe.data.sources.values import unique
from vector_universe.data.splits import split_named, split_of


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
    """

    place: str
    folder: Path | None
    columns: Sequence[str]
    classes: dict[str, Sequence[str]]
    split: str
    prefix: str
    size: int

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
    places = [Places(table.folder, options.allow_outside) for table in tables]
    reading = Tables(tables, columns, embedded, places)
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
    places: Sequence[Places]

    def items(self, report: Report) -> Iterator[Item]:
        """Examples and rows left out, in the order of the tables."""
        seen, usable = SeenIds(), False
        for group in self._groups(report):
            if isinstance(group, SkippedRow):
                yield group
                continue
            item = self._example(group, seen)
            if isinstance(item, Example):
                usable = True
            elif not usable and is_url(item.file):
                raise refuse_url(item.file, self.tables[0].place)
            yield item
            yield from (SkippedRow(row.name, row.number, "duplicate id") for row in group if row.name != group[0].name)

    def _groups(self, report: Report) -> Iterator[list[Row] | SkippedRow]:
        if not self.embedded:
            return grouped_rows(self._keys(), self._rows(report))
        return (row if isinstance(row, SkippedRow) else [row] for row in self._rows(report))

    def _keys(self) -> Iterator[str]:
        for number, place, values in self._cells(unreported):
            if isinstance(values, SkippedRow):
                yield row_key("", number, False)
            else:
                id, _, image = self.columns[place].identity(number, values, self.tables[place].prefix)
                yield row_key(id, number, image is not None)

    def _rows(self, report: Report) -> Iterator[Row | SkippedRow]:
        for number, place, values in self._cells(report):
            if isinstance(values, SkippedRow):
                yield SkippedRow(values.file, number, values.reason)
            else:
                table = self.tables[place]
                yield self.columns[place].row(number, values, table.split, table.prefix, place)

    def _cells(self, report: Report) -> Iterator[tuple[int, int, dict[str, Any] | SkippedRow]]:
        number, before, total = 0, 0, sum(table.size for table in self.tables)
        for place, table in enumerate(self.tables):
            for values in table.rows(part_of(report, before, total)):
                number += 1
                yield number, place, values
            before += table.size

    def _example(self, group: list[Row], seen: SeenIds) -> Item:
        first = group[0]
        rows = [row for row in group if row.name == first.name]
        if first.image is None:
            return SkippedRow(first.id if self.embedded else "", first.number,
                              "no image" if self.embedded else "no file name")
        if is_url(first.name) and not isinstance(first.image, bytes):
            return SkippedRow(first.name, first.number, f"a URL: {DOWNLOAD}")
        try:
            image: ImageSource = first.image
            if isinstance(first.image, str):
                image = self.places[first.table].locate(first.image)
            check_header(image)
        except ImageError as error:
            return SkippedRow(first.name or first.id, first.number, str(error))
        return make_example(rows, image, seen)


def make_example(rows: list[Row], image: ImageSource, seen: SeenIds) -> Item:
    """One example of the rows of one image; the first decides its split and its metadata."""
    first = rows[0]
    texts = unique(text for row in rows for text in row.texts)
    labels = unique(label for row in rows for label in row.labels)
    shown = first.name or first.id
    if not texts and not labels:
        return SkippedRow(shown, first.number, "no text and no label")
    if not seen.add(first.id):
        return SkippedRow(shown, first.number, "duplicate id")
    metadata = dict(first.metadata)
    if first.asked:
        metadata |= {column: [row.asked[column] for row in rows] for column in first.asked}
    return Example(first.id, image, texts, labels, split_named(first.split) or split_of(first.id), metadata=metadata)
