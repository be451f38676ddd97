"""The cells of an .xlsx, .xlsm, .xls or .ods, read by a process of its own, and refused before it where it must be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil

from vector_universe.data.image_error import few_words
from vector_universe.data.not_an_image import first_bytes, what_it_is
from vector_universe.errors import UserError

MOST_UNPACKED = 1_000_000_000  # bytes of all members of an .xlsx or .ods together
LEAST_MEMORY = 1 << 30  # that the reader may take; half of what is free, where that is more
SAVE_AGAIN = "save it again as .xlsx or as CSV"

_READER = Path(__file__).with_name("workbook_reader.py")
_MAGIC = (b"PK", b"\xd0\xcf\x11\xe0")
_CHUNK = 1024 * 1024

# A formula without its result, as programs write it, or an error such as #N/A.
_LOST = re.compile(rb"</f>\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>|<c\s[^<>]*\bt=\"e\"")


def read_sheet(path: Path, sheet: str | None) -> Generator[Any]:
    """What the reader says about the sheets, a dict, and then the rows of one as lists.

    Args:
        path: the file.
        sheet: its name; None for the first that holds anything.

    Raises:
        UserError: it cannot be read.
    """
    memory = max(LEAST_MEMORY, psutil.virtual_memory().available // 2)
    # Modules are looked for where this process does: in no other folder, such as that of the data.
    code = f"import sys; sys.path[:] = {sys.path!r}; import runpy; runpy.run_path({str(_READER)!r}, None, '__main__')"
    reader = subprocess.Popen([sys.executable, "-c", code, str(path.absolute()), sheet or "", str(memory)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert reader.stdout is not None
    try:
        for line in reader.stdout:
            if not line.endswith(b"\n"):
                break  # it came to its end within the line
            said = json.loads(line)
            if said is None:
                return
            if isinstance(said, dict) and "sheet" not in said:
                raise refusal(path, said)
            yield said
        raise UserError(f"{path} needs more memory than there is, or is damaged: delete what lies far from its table, "
                        f"or {SAVE_AGAIN}")
    finally:
        reader.kill()
        reader.stdout.close()
        reader.wait()


def look_into(path: Path) -> int:
    """How many cells of an .xlsx are lost, as they hold an error or a formula without a result.

    Raises:
        UserError: it is another kind of file, damaged, or would take too much memory.
    """
    start = first_bytes(path)
    if not start:
        raise refusal(path, {"empty": True})
    if not start.startswith(_MAGIC):
        what = what_it_is(start).partition(",")[0]
        raise UserError(f"{path} is no spreadsheet{f', but {what}' if what else ''}: {SAVE_AGAIN}")
    if not start.startswith(b"PK"):
        return 0
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MOST_UNPACKED:
                raise UserError(f"{path} would unpack to more than {MOST_UNPACKED:,} bytes: part it into several "
                                "tables, or save it as CSV")
            return sum(_lost_cells(archive, member) for member in members
                       if member.filename.startswith("xl/worksheets/") and member.filename.endswith(".xml"))
    except UserError:
        raise
    except Exception as error:  # of a damaged file: BadZipFile, zlib.error, UnicodeDecodeError, NotImplementedError…
        raise refusal(path, {"damaged": few_words(error)}) from None


def refusal(path: Path, said: dict[str, Any]) -> UserError:
    """The one line about a spreadsheet of which the reader said this."""
    if "locked" in said:
        return UserError(f"{path} is locked by a password: {SAVE_AGAIN}, without one")
    if "empty" in said:
        return UserError(f"{path} is empty: its first row must name columns such as file_name, title, labels")
    return UserError(f"{path} is damaged or no spreadsheet ({said['damaged']}): {SAVE_AGAIN}")


def _lost_cells(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    lost, rest = 0, b""
    with archive.open(member) as file:
        while chunk := file.read(_CHUNK):
            part = rest + chunk
            stop = max(0, part.rfind(b"<c ", len(part) - _CHUNK))  # the last cell may go on in the next chunk
            lost += len(_LOST.findall(part[:stop]))
            rest = part[stop:]
    return lost + len(_LOST.findall(rest))
