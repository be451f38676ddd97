"""JSON Lines: one object a line, with columns that may differ from line to line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from vector_universe.data.skipped import Remarks, SkippedRow
from vector_universe.data.sources.encoding import find_encoding
from vector_universe.data.sources.source import Report, unreported
from vector_universe.errors import UserError

LOOKED_AT = 1000  # lines whose keys are the columns
LONGEST_LINE = 64 * 1024 * 1024


class JsonLines:
    """A `Table` in a file of JSON Lines.

    Args:
        path: the file.
        split: of its rows that do not say theirs.
        prefix: before its ids.

    Raises:
        UserError: the file is empty, one JSON array, or its encoding is none that is known.
    """

    def __init__(self, path: Path, split: str = "", prefix: str = "") -> None:
        self.path, self.place, self.size = path, str(path), path.stat().st_size
        self.folder: Path | None = path.parent
        self.split, self.prefix = split, prefix
        self.classes: dict[str, Sequence[str]] = {}
        self.remarks = Remarks()
        self._encoding = find_encoding(path)
        with self._open() as file:
            if file.read(1024).lstrip().startswith("["):
                raise UserError(f"{path} is a JSON array: write one object a line, for instance by jq -c '.[]'")
        self.columns: Sequence[str] = list(dict.fromkeys(
            column for row in islice(self.rows(unreported), LOOKED_AT) if not isinstance(row, SkippedRow)
            for column in row))
        if not self.columns:
            raise UserError(f'{path} has no row: each line must be an object such as {{"file_name": …, "title": …}}')

    def rows(self, report: Report) -> Iterator[dict[str, Any] | SkippedRow]:
        self.remarks = Remarks()
        for remark in self._encoding.remarks(self.path):
            self.remarks.add(remark)
        with self._open() as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), "")):
                if number % 256 == 0:
                    report(file.buffer.tell(), self.size)
                if line.strip():
                    yield self._row(line)
            report(self.size, self.size)

    def _open(self) -> TextIO:
        return self.path.open(encoding=self._encoding.codec, errors="replace", newline="\n")

    def holds_images(self, column: str) -> bool:
        return False

    def _row(self, line: str) -> dict[str, Any] | SkippedRow:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            return SkippedRow(self.path.name, None, f"not a line of JSON ({error})")
        return row if isinstance(row, dict) else SkippedRow(self.path.name, None, "not a JSON object")
