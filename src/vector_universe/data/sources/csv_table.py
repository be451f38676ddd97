"""CSV and TSV, read line by line: any separator and encoding, CRLF, quotes, and quotes that are none."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

from vector_universe.data.skipped import Remark, Remarks, SkippedRow
from vector_universe.data.sources.columns import IMAGE_COLUMNS, LABEL_COLUMNS, TEXT_COLUMNS, plain_column
from vector_universe.data.sources.encoding import find_encoding
from vector_universe.data.sources.names import IMAGE_ENDINGS
from vector_universe.data.sources.source import Report, unreported
from vector_universe.errors import UserError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
LOOKED_AT = 20  # lines that the separator is told by
LONGEST_CELL = 16 * 1024 * 1024
LONGEST_ROW = 10_000  # lines: a quote that is open for more was never closed

_FILE_CELL = re.compile(rf"[^\s\"]+\.({'|'.join(IMAGE_ENDINGS)})", re.IGNORECASE)
_WORD = re.compile(r"[\w./-]{1,100}")
_KNOWN = frozenset((*IMAGE_COLUMNS, *TEXT_COLUMNS, *LABEL_COLUMNS))
_SEPARATOR_LINE = re.compile(r"\"?sep=([^\w\"\r\n ])\"?\s*", re.IGNORECASE)  # what Excel reads first

# What files called .csv often are, and the way out.
_OTHER_FILES = {b"pk\x03\x04": "a spreadsheet or an archive: call it .xlsx, or unpack it",
                b"\xd0\xcf\x11\xe0": "an old spreadsheet: call it .xls", b"\x1f\x8b": "compressed: unpack it (gzip -d)",
                b"<!doctype html": "a web page: download the table again",
                b"<html": "a web page: download the table again",
                b"version https:": "a pointer of Git LFS: `git lfs pull` fetches the file"}

csv.field_size_limit(LONGEST_CELL)


class CsvTable:
    """A `Table` in a CSV or TSV file; what stands between its cells is told by its first lines.

    Args:
        path: the file.
        split: of its rows that do not say theirs.
        prefix: before its ids.
        named: columns that must be there.

    Raises:
        UserError: the file is empty, or its encoding is none that is known.
    """

    def __init__(self, path: Path, split: str = "", prefix: str = "", named: Sequence[str] = ()) -> None:
        self.path, self.place, self.size = path, str(path), path.stat().st_size
        self.folder: Path | None = path.parent
        self.split, self.prefix = split, prefix
        self.classes: dict[str, Sequence[str]] = {}
        self.remarks = Remarks()
        with path.open("rb") as file:
            start = file.read(512).lstrip()
        if other := next((what for sign, what in _OTHER_FILES.items() if start[:16].lower().startswith(sign)), ""):
            raise UserError(f"{path} is no table but {other}")
        self._encoding = find_encoding(path)
        with self._open() as lines:
            first = [line for line in islice(lines, LOOKED_AT) if line.strip()]
        self._separator, self._is_given = _find_separator(first, path, named)
        header, _ = next(self._cells(unreported), ([""], ""))
        if not any(cell.strip() for cell in header):
            raise UserError(f"{path} is empty: its first line must name columns such as file_name,title,labels")
        self.columns: Sequence[str]
        self.columns, self._repeated = distinct_names(header)
        self._unnamed = {name for name, cell in zip(self.columns, header, strict=True) if not cell.strip()}
        self._named = max(number for number, cell in enumerate(header, 1) if cell.strip())

    def rows(self, report: Report) -> Iterator[dict[str, str] | SkippedRow]:
        self.remarks = Remarks()
        self._say_how()
        wanted = len(self.columns)
        cells = self._cells(report, wanted)
        next(cells)
        for number, (row, mended) in enumerate(cells, 1):
            if mended:
                self._remark(number, f"has a quote that is not closed, which was read as a letter: {mended[:40]}")
            if len(row) != wanted:
                if reason := self._misfit(row, wanted):
                    yield SkippedRow(self.path.name, None, reason)
                    continue
                if len(row) < self._named:
                    self._remark(number, f"has {len(row)} cells, but the header {self._named}: the others are empty")
                row += [""] * (wanted - len(row))
            cells_by_column = dict(zip(self.columns, row, strict=False))  # what is beyond the header is empty
            for column in self._unnamed:
                if not cells_by_column[column]:
                    del cells_by_column[column]
            yield cells_by_column

    def holds_images(self, column: str) -> bool:
        return False

    def _open(self) -> TextIO:
        return self.path.open(encoding=self._encoding.codec, errors="replace", newline="")

    def _cells(self, report: Report, wanted: int = 0) -> Iterator[tuple[list[str], str]]:
        """Each row that holds anything, the header first, with its first line where a quote in it was none."""
        with self._open() as lines:
            if self._is_given:
                next(line for line in lines if line.strip())
            feed = _Lines(lines, self._separator, wanted, self.path.parent)
            for number, row in enumerate(feed.rows()):
                if number % 256 == 0:
                    report(lines.buffer.tell(), self.size)
                if row and ((row[0] and not row[0].isspace()) or any(cell.strip() for cell in row)):
                    yield row, feed.mended
            report(self.size, self.size)

    def _remark(self, number: int, what: str) -> None:
        self.remarks.add(Remark("row_mended", self.path.name, number, what))

    def _say_how(self) -> None:
        usual = "\t" if self.path.suffix.lower() == ".tsv" else ","
        said = []
        if self._separator != usual and not self._is_given:
            said.append(f"its cells are parted by {SEPARATORS.get(self._separator, self._separator)}, and were read so")
        if self._repeated:
            said.append(f"it has several columns called {', '.join(self._repeated)}: the later ones got a number")
        for remark in (*self._encoding.remarks(self.path),
                       *(Remark("read_as", self.path.name, None, what) for what in said)):
            self.remarks.add(remark)

    def _misfit(self, row: list[str], wanted: int) -> str:
        """Why a row with more or fewer cells than the header cannot be used; "" if it can."""
        if any(cell.strip() for cell in row[wanted:]):
            parted = SEPARATORS.get(self._separator, "the separator")
            return (f"has {len(row)} cells, but the header {wanted}: a text that holds {parted} needs quotes "
                    f"({row[0][:80]})")
        other = next((other for other in SEPARATORS if len(row) == 1 and other != self._separator
                      and row[0].count(other) >= wanted - 1), None)
        return f"has 1 cell, but the header {wanted}: it seems to be parted by {SEPARATORS[other]}" if other else ""


class _Lines:
    """Lines on their way to rows of cells; a quote that would swallow further rows is read as a letter.

    Attributes:
        mended: the line of the last row, if it was one with such a quote; else "".
    """

    def __init__(self, lines: Iterator[str], separator: str, wanted: int, folder: Path) -> None:
        self._lines, self._separator, self._wanted, self._folder = lines, separator, wanted, folder
        self._waiting: deque[str] = deque()  # lines that were given back
        self._given: list[str] = []  # to the row that is being read
        self.mended = ""

    def rows(self) -> Iterator[list[str]]:
        """Each row; blank lines are empty ones."""
        reader = csv.reader(self, delimiter=self._separator, strict=True)
        while True:
            try:
                for row in reader:
                    yield row
                    self._given = []
                return
            except csv.Error:
                row = self._mend()
            self._given = []
            yield row
            self.mended = ""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        """The next line; StopIteration, which ends the row, where it is a row of its own within an open quote."""
        line = self._waiting.popleft() if self._waiting else next(self._lines)
        if "\0" in line:
            line = line.replace("\0", "")
        if self._given and (len(self._given) >= LONGEST_ROW or self._is_row(line, by_file=True)):
            self._waiting.appendleft(line)
            raise StopIteration
        self._given.append(line)
        return line

    def _mend(self) -> list[str]:
        """The row whose quotes do not fit: read leniently if it comes out whole, else its first line with the quotes as
        letters; the other lines are read again."""
        first, *others = self._given
        if not any(self._is_row(line, by_file=False) for line in others):
            lenient = list(csv.reader(self._given, delimiter=self._separator))
            plain = _plain_cells(first, self._separator)
            if not others:
                self.mended = first.strip() if first.count('"') % 2 else ""
                return plain if len(plain) == self._wanted else lenient[0]
            if len(lenient) == 1 and len(lenient[0]) == self._wanted and self._given[-1].count('"') % 2:
                return lenient[0]
        self._waiting.extendleft(reversed(others))
        self.mended = first.strip()
        return _plain_cells(first, self._separator)

    def _is_row(self, line: str, *, by_file: bool) -> bool:
        """Whether a line alone has the cells of a row; `by_file`: at least them, and an image file is named by one."""
        cells = _plain_cells(line.strip("\r\n \t" if self._separator != "\t" else "\r\n "), self._separator)
        if by_file:
            return len(cells) >= max(1, self._wanted) and any(
                self._names_file(cell) for cell in (cell.strip('"') for cell in cells) if "://" not in cell)
        return len(cells) == self._wanted

    def _names_file(self, cell: str) -> bool:
        """Whether a cell is the name of an image file, or of one that is there without its ending."""
        if _FILE_CELL.fullmatch(cell):
            return True
        if not _WORD.fullmatch(cell):
            return False
        return any((self._folder / place / f"{cell}.{ending}").is_file() for place in ("images", "Images", "")
                   for ending in IMAGE_ENDINGS)


def _plain_cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator, quoting=csv.QUOTE_NONE), [])


def _find_separator(lines: Sequence[str], path: Path, named: Sequence[str]) -> tuple[str, bool]:
    """What parts the cells, and whether a line "sep=;" says so: else what makes the header name known columns, else
    what parts all lines alike, else what the file's ending says."""
    if not lines:
        return ",", False
    if given := _SEPARATOR_LINE.fullmatch(lines[0]):
        return given[1], True
    usual = "\t" if path.suffix.lower() == ".tsv" else ","

    def fitness(separator: str) -> tuple[int, int, bool]:
        header = next(csv.reader([lines[0]], delimiter=separator), [])
        known = sum(cell.strip() in named or plain_column(cell) in _KNOWN for cell in header)
        widths = {len(row) for row in csv.reader(lines, delimiter=separator) if row}
        return known, len(header) if len(widths) == 1 else min(1, len(header)), separator == usual
    return max(SEPARATORS, key=fitness), False


def distinct_names(header: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of the columns, each once, and those that came again: a cell must not stand for another's."""
    names: list[str] = []
    repeated = []
    for name in (cell.strip("\ufeff \t\r\n") for cell in header):
        number, one = 2, name
        while one in names:
            one, number = f"{name or 'unnamed'} ({number})", number + 1
        if one != name and name:
            repeated.append(name)
        names.append(one)
    return names, repeated
