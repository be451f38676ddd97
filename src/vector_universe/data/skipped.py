"""What was left out, and why: kept in one table beside every result. And what was read otherwise than it stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class SkippedRow:
    """A row that was left out, and why; `row` counts data rows from 1, as a spreadsheet without its header would."""

    file: str
    row: int | None
    reason: str


# How a file was read; a row put right; rows of a picture that differ in labels or split, in values; what is no data.
RemarkKind = Literal["read_as", "row_mended", "rows_disagree", "values_differ", "not_read"]
MOST_REMARKS = 1_000  # of a kind that are kept; beyond, they are counted


@dataclass(frozen=True)
class Remark:
    """Something read otherwise than it stands; no row is left out by it. `row` counts as that of a `SkippedRow`."""

    kind: RemarkKind
    file: str
    row: int | None
    what: str


@dataclass
class Remarks:
    """Remarks as they come up, of each kind the first `MOST_REMARKS` and how many more there were."""

    kept: list[Remark] = field(default_factory=list)
    counts: dict[RemarkKind, int] = field(default_factory=dict)

    def add(self, remark: Remark) -> None:
        """Take one more."""
        count = self.counts[remark.kind] = self.counts.get(remark.kind, 0) + 1
        if count <= MOST_REMARKS:
            self.kept.append(remark)

    def all(self) -> tuple[Remark, ...]:
        """Those that are kept, and one that counts the others of each kind."""
        more = (Remark(kind, "", None, f"{count - MOST_REMARKS:,} more") for kind, count in self.counts.items()
                if count > MOST_REMARKS)
        return (*self.kept, *more)


def unread_remarks(unread: Mapping[str, int], what: str) -> list[Remark]:
    """One for each ending of files that are no data: how many there were.

    Args:
        unread: how many, by ending; "" for none.
        what: "file" or "member".
    """
    return [Remark("not_read", f".{ending}" if ending else "", None, f"{count:,} {what}{'s' if count > 1 else ''} "
                   + (f"ending in .{ending}" if ending else "without an ending")) for ending, count in unread.items()]


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
