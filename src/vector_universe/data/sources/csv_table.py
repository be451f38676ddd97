"""CSV and TSV, read line by line: byte order marks, CRLF, quotes, and an exact place for what is not UTF-8."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from vector_universe.data.sources.source import Report, unreported
from vector_universe.errors import UserError

CHUNK = 1024 * 1024

csv.field_size_limit(16 * 1024 * 1024)


class CsvTable:
    """A `Table` in a CSV file, or a TSV by its ending.

    Args:
        path: the file.
        split: of its rows that do not say theirs; it then stands before their ids.

    Raises:
        UserError: the file is empty, not UTF-8, or not CSV.
    """

    def __init__(self, path: Path, split: str = "") -> None:
        self.path, self.place, self.size = path, str(path), path.stat().st_size
        self.folder: Path | None = path.parent
        self.split, self.prefix = split, f"{split}/" if split else ""
        self.classes: dict[str, Sequence[str]] = {}
        self._delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        header = next(self._cells(unreported), [])
        self.columns: Sequence[str] = [column.strip() for column in header]
        if not any(self.columns):
            raise UserError(f"{path} is empty: its first line must name columns such as file_name,title,labels")

    def rows(self, report: Report) -> Iterator[dict[str, str]]:
        cells = self._cells(report)
        next(cells)
        for row in cells:
            if row:
                row += [""] * (len(self.columns) - len(row))
                yield dict(zip(self.columns, row, strict=False))  # cells beyond the header are let go

    def holds_images(self, column: str) -> bool:
        return False

    def _cells(self, report: Report) -> Iterator[list[str]]:
        try:
            with self.path.open("rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as lines:
                for number, row in enumerate(csv.reader(lines, delimiter=self._delimiter)):
                    if number % 256 == 0:
                        report(raw.tell(), self.size)
                    yield row
                report(self.size, self.size)
        except UnicodeDecodeError:
            raise not_utf8(self.path) from None
        except csv.Error as error:
            raise UserError(f"{self.path} is not a CSV table ({error})") from None


def not_utf8(path: Path) -> UserError:
    """The one line about a text file in another encoding: which byte, and the way out."""
    decoder, before = codecs.getincrementaldecoder("utf-8")(), 0
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        for chunk in iter(lambda: file.read(CHUNK), b""):
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                before += error.start - held
                reason = error.reason
                break
            before += len(chunk)
        else:
            reason = "it ends within a character"
    guess = "UTF-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "WINDOWS-1252"
    return UserError(f"{path} is not UTF-8 ({reason} at byte {before:,}): save it as UTF-8, for instance by "
                     f"iconv -f {guess} -t UTF-8")
