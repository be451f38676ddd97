"""Tables of any format, one row an image or one row a text: rows in, examples out, with memory that does not grow."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from vector_universe.data.example import Example
from vector_universe.data.images import ImageError, ImageSource
from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import Remark, Remarks, SkippedRow
from vector_universe.data.sources.columns import Columns, Row, choose_columns
from vector_universe.data.sources.disagreements import Disagreements
from vector_universe.data.sources.grouping import grouped_rows, row_key
from vector_universe.data.sources.places import DOWNLOAD, Places, check_header, is_url, refuse_url
from vector_universe.data.sources.seen import SeenIds
from vector_universe.data.sources.source import Item, Report, Source, part_of, unreported
from vector_universe.data.sources.values import unique
from vector_universe.data.splits import SPLITS, split_named, split_of


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
        seen, usable, remarks, disagreements = SeenIds(), False, Remarks(), Disagreements()
        before = [0] * len(self.tables)
        places = {table.folder: Places(table.folder, self.allow_outside) for table in self.tables}
        folders: set[str] = set()  # of the names of files, those called like a split
        for group in self._groups(report, before, folders):
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
                disagreements.look_at(rows)
        for table, earlier in zip(self.tables, before, strict=True):
            for remark in table.remarks.all():
                remarks.add(replace(remark, row=remark.row + earlier if remark.row else None))
        yield from disagreements.remarks()
        yield from remarks.all()
        if tell_splits(folders):
            yield Remark("read_as", "", None, f"the names of files lie in {', '.join(sorted(folders))}: these were "
                                              "followed as splits")
        for place in places.values():
            yield from place.unnamed()

    def _groups(self, report: Report, before: list[int], folders: set[str]) -> Iterator[list[Row] | SkippedRow]:
        if not self.embedded:
            return grouped_rows(self._keys(folders), self._rows(report, before, folders))
        return (row if isinstance(row, SkippedRow) else [row] for row in self._rows(report, before, folders))

    def _keys(self, folders: set[str]) -> Iterator[str]:
        """The `row_key` of each row; notes the `folders` that are called like a split, where nothing else tells one."""
        for number, place, values in self._cells(unreported, [0] * len(self.tables)):
            if isinstance(values, SkippedRow):
                yield row_key("", number, False)
            else:
                id, name, image = self.columns[place].identity(number, values, self.tables[place].prefix)
                if self.columns[place].split is None and not self.tables[place].split and (split := folder_split(name)):
                    folders.add(split)
                yield row_key(id, number, image is not None)

    def _rows(self, report: Report, before: list[int], folders: set[str]) -> Iterator[Row | SkippedRow]:
        by_folder = None  # whether the folders tell splits apart: known once the keys have been read
        for number, place, values in self._cells(report, before):
            if isinstance(values, SkippedRow):
                yield SkippedRow(values.file, number, values.reason)
            else:
                table, split = self.tables[place], self.tables[place].split
                if by_folder is None:
                    by_folder = tell_splits(folders)
                row = self.columns[place].row(number, values, split, table.prefix, place)
                yield replace(row, split=folder_split(row.name)) if by_folder and not row.split else row

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


def folder_split(name: str) -> str:
    """The folder in the name of a file that is called like a split; "" if none is."""
    if "/" not in name and "\\" not in name:
        return ""
    return next((part for part in re.split(r"[/\\]", name)[:-1] if split_named(part)), "")


def tell_splits(folders: Collection[str]) -> bool:
    """Whether folders tell two or more splits apart."""
    return len(set(map(split_named, folders))) > 1


def _of_one_name(group: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of one id that name the same file as the first, and the others."""
    name = group[0].name
    if all(row.name == name for row in group):
        return group, []
    return [row for row in group if row.name == name], [row for row in group if row.name != name]
