"""Spreadsheets: the first sheet of an .xlsx, .xlsm, .xls or .ods that holds anything, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vector_universe.data.skipped import Remark, Remarks, SkippedRow
from vector_universe.data.sources.csv_table import distinct_names
from vector_universe.data.sources.source import Report, unreported
from vector_universe.data.sources.workbook import look_into, read_sheet, refusal


class SpreadsheetTable:
    """A `Table` in a spreadsheet.

    Args:
        path: the file.
        split: of its rows that do not say theirs.
        prefix: before its ids.

    Attributes:
        other_sheets: those that hold something too, and are not read.

    Raises:
        UserError: the file is empty, damaged, locked by a password, no spreadsheet, or too large once it is unpacked.
    """

    def __init__(self, path: Path, split: str = "", prefix: str = "") -> None:
        self.path, self.place, self.size = path, str(path), path.stat().st_size
        self.folder: Path | None = path.parent
        self.split, self.prefix = split, prefix
        self.classes: dict[str, Sequence[str]] = {}
        self.remarks = Remarks()
        self.other_sheets: tuple[str, ...] = ()
        self._sheet: str | None = None
        self._lost = look_into(path)
        header = [str(cell) for cell in next(self._cells(unreported), [])]
        if not header:
            raise refusal(path, {"empty": True})
        self.columns: Sequence[str]
        self.columns, self._repeated = distinct_names(header)
        self._unnamed = {name for name, cell in zip(self.columns, header, strict=True) if not cell.strip()}

    def rows(self, report: Report) -> Iterator[dict[str, Any] | SkippedRow]:
        self.remarks = Remarks()
        self._say_how()
        cells, wanted = self._cells(report), len(self.columns)
        next(cells)
        for row in cells:
            if len(row) > wanted:
                yield SkippedRow(self.path.name, None, f"has {len(row)} cells, but the header {wanted}")
                continue
            row += [""] * (wanted - len(row))
            yield {column: cell for column, cell in zip(self.columns, row, strict=True)
                   if cell != "" or column not in self._unnamed}

    def holds_images(self, column: str) -> bool:
        return False

    def _say_how(self) -> None:
        for name in self.other_sheets:
            self.remarks.add(Remark("not_read", self.path.name, None, f"its sheet {name!r} was not read"))
        if self._repeated:
            self.remarks.add(Remark("read_as", self.path.name, None, "it has several columns called "
                                    f"{', '.join(self._repeated)}: the later ones got a number"))
        if self._lost:
            self.remarks.add(Remark("row_mended", self.path.name, None, f"{self._lost:,} of its cells hold an error or "
                                    "a formula without a result, and were read as empty: open it in a spreadsheet and "
                                    "save it again"))

    def _cells(self, report: Report) -> Iterator[list[Any]]:
        """Each row that holds anything, the header first, without the empty cells at its end."""
        lines = read_sheet(self.path, self._sheet)
        try:
            about = next(lines)
            self._sheet = about["sheet"]
            self.other_sheets = self.other_sheets or tuple(about["others"])
            for number, row in enumerate(lines):
                if number % 256 == 0:
                    report(self.size * number // about["height"], self.size)
                if row:
                    yield row
            report(self.size, self.size)
        finally:
            lines.close()  # else the reader would go on
