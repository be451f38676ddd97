"""A program of its own that reads a spreadsheet and writes its rows as lines of JSON, for `workbook.py`.

Two cells in opposite corners are a file of a kilobyte, but 400 GB as the rectangle that calamine makes of them: it then
ends the process that it runs in, as it does on some damaged files. So that process is this one.
"""

from __future__ import annotations

import datetime
import io
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

EXACT = 2 ** 53  # beyond, a number of a spreadsheet is not exact, and may be an id that was spoilt


def main(path: str, sheet: str | None, memory: int) -> None:
    """Write what was found: a line about the sheets, a line for each row, and null at the end; or what is wrong.

    Args:
        path: the spreadsheet.
        sheet: the one to read; None for the first that holds anything.
        memory: that may be taken, in bytes.
    """
    limit_memory(memory)
    try:
        write_rows(open_workbook(Path(path)), sheet)
    except PasswordError:
        say({"locked": True})
    except BaseException as error:  # calamine's panics are no `Exception`
        say({"damaged": " ".join(str(error).split())[:200]})


def limit_memory(memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(ValueError):  # a lower limit holds already
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def open_workbook(path: Path) -> CalamineWorkbook:
    """By its ending, else by its content: a file called .xls may be an .xlsx."""
    try:
        return CalamineWorkbook.from_path(path)
    except PasswordError:
        raise
    except CalamineError as error:
        try:
            return CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes()))
        except CalamineError:
            raise error from None


def write_rows(workbook: CalamineWorkbook, name: str | None) -> None:
    """The rows of a sheet; where none is named, of the first that holds anything, hidden ones last."""
    others: list[str] = []
    if name is None:
        worksheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        worksheets.sort(key=lambda sheet: sheet.visible != SheetVisibleEnum.Visible)
        filled = [sheet.name for sheet in worksheets if workbook.get_sheet_by_name(sheet.name).height]
        if not filled:
            say({"empty": True})
            return
        name, *others = filled
    sheet = workbook.get_sheet_by_name(name)
    say({"sheet": name, "others": others, "height": sheet.height + (sheet.start or (0, 0))[0]})
    for row in sheet.iter_rows():
        cells = [plain(cell) for cell in row]
        while cells and isinstance(cells[-1], str) and not cells[-1].strip():
            del cells[-1]
        say(cells)
    say(None)


def plain(cell: Any) -> str | int | float | bool:
    """A cell as JSON holds it: whole numbers without a fraction, dates and times as ISO texts."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) <= EXACT:
        return int(cell)
    if isinstance(cell, datetime.date | datetime.time):  # a datetime is a date
        return cell.isoformat()
    if isinstance(cell, datetime.timedelta):
        seconds = int(cell.total_seconds())
        return f"{'-' * (seconds < 0)}{abs(seconds) // 3600}:{abs(seconds) // 60 % 60:02}:{abs(seconds) % 60:02}"
    return cell if isinstance(cell, str | int | float | bool) else str(cell)


def say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] or None, int(sys.argv[3]))
