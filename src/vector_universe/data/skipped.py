"""What was left out, and why: kept in one table beside every result."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SkippedRow:
    """A row that was left out, and why; `row` counts data rows from 1, as a spreadsheet without its header would."""

    file: str
    row: int | None
    reason: str


def write_skipped(path: Path, rows: Sequence[SkippedRow]) -> None:
    """Write skipped.csv: see `skipped_table`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(skipped_table(rows))


def skipped_table(rows: Sequence[SkippedRow]) -> str:
    """One line of CSV a row left out, with the columns file, row and reason."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["file", "row", "reason"])
    table.writerows((row.file, row.row or "", row.reason) for row in rows)
    return text.getvalue()
