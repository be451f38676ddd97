"""JSON Lines: one object a line, with columns that may differ from line to line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from vector_universe.data.skipped import SkippedRow
from vector_universe.data.sources.csv_table import not_utf8
from vector_universe.data.sources.source import Report, unreported
from vector_universe.errors import UserError

LOOKED_AT = 1000  # lines whose keys are the columns
LONGEST_LINE = 64 * 1024 * 1024


class JsonLines:
    """A `Table` in a file of JSON Lines.

    Args:
        path: the file.
        split: of its rows that do not say theirs; it then stands before their ids.

    Raises:
        UserError: the file is empty, not UTF-8, or one JSON array.
    """

    def __init__(self, path: Path, split: str = "") -> None:
        self.path, self.place, self.size = path, str(path), path.stat().st_size
        self.folder: Path | None = path.parent
        self.split, self.prefix = split, f"{split}/" if split else ""
        self.classes: dict[str, Sequence[str]] = {}
        with path.open("rb") as file:
            if file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
                raise UserError(f"{path} is a JSON array: write one object a line, for instance by jq -c '.[]'")
        self.columns: Sequence[str] = list(dict.fromkeys(
            column for row in islice(self.rows(unreported), LOOKED_AT) if not isinstance(row, SkippedRow)
            for column in row))
        if not self.columns:
            raise UserError(f'{path} has no row: each line must be an object such as {{"file_name": …, "title": …}}')

    def rows(self, report: Report) -> Iterator[dict[str, Any] | SkippedRow]:
        with self.path.open("rb") as file:
            done = 0
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b"")):
                done += len(line)
                if number % 256 == 0:
                    report(done, self.size)
                if line.strip():
                    yield self._row(line)
            report(self.size, self.size)

    def holds_images(self, column: str) -> bool:
        return False

    def _row(self, line: bytes) -> dict[str, Any] | SkippedRow:
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise not_utf8(self.path) from None
        except (ValueError, RecursionError) as error:
            return SkippedRow(self.path.name, None, f"not a line of JSON ({error})")
        return row if isinstance(row, dict) else SkippedRow(self.path.name, None, "not a JSON object")
