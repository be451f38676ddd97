"""A spreadsheet that is damaged, locked, something else or a bomb is one line with a way out, never a traceback."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spreadsheets import ROWS, ods, packed, read, write, xls, xlsx
from vector_universe import UserError

WHOLE = xlsx({"S": ROWS})
CORNERS = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'  # 400 GB
LOCKED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        read(path)
    line = str(error.value)
    assert line.startswith(f"{path} ")
    assert "\n" not in line
    return line.removeprefix(f"{path} ")


def bomb() -> bytes:
    """A sheet that says it unpacks to 3 GB."""
    content = bytearray(WHOLE)
    entry = content.rindex(b"PK\1\2")
    content[entry + 24:entry + 28] = struct.pack("<I", 3_000_000_000)
    return bytes(content)


@pytest.mark.parametrize(("name", "content", "line"), [
    ("x.xlsx", b"", "is empty: its first row must name columns such as file_name, title, labels"),
    ("x.xlsx", xlsx({"S": [], "T": [["  "]]}), "is empty: its first row must name columns"),
    ("x.xlsx", b"file_name,title\n", "is no spreadsheet, but plain text: save it again as .xlsx or as CSV"),
    ("x.xls", b"<html><table><tr><td>file_name</td></tr></table></html>",
     "is no spreadsheet, but a web page (HTML): save it again as .xlsx or as CSV"),
    ("x.ods", b"\x01\x02\x03\x04", "is no spreadsheet: save it again as .xlsx or as CSV"),
    ("x.xlsx", WHOLE[:-30], "is damaged or no spreadsheet (File is not a zip file): save it again as .xlsx or as CSV"),
    ("x.xlsx", WHOLE[:500] + bytes(200) + WHOLE[700:], "is damaged or no spreadsheet ("),
    ("x.xlsx", packed({"word/document.xml": "<x/>"}), "is damaged or no spreadsheet ("),
    ("x.ods", packed({"mimetype": "application/vnd.oasis.opendocument.text"}), "is damaged or no spreadsheet ("),
    ("x.xls", xls(ROWS)[:1500], "is damaged or no spreadsheet ("),
    ("x.xls", LOCKED + bytes(600), "is damaged or no spreadsheet ("),
    ("x.xlsx", bomb(),
     "would unpack to more than 1,000,000,000 bytes: part it into several tables, or save it as CSV")])
def test_what_cannot_be_read_is_one_line_with_a_way_out(name, content, line, tmp_path):
    assert refused(write(tmp_path, content, name)).startswith(line)


@pytest.mark.skipif(sys.platform != "linux", reason="no other system keeps a process to its memory")
def test_cells_in_opposite_corners(tmp_path):
    assert refused(write(tmp_path, xlsx({"S": CORNERS}))) == (
        "needs more memory than there is, or is damaged: delete what lies far from its table, or save it again as "
        ".xlsx or as CSV")


def test_a_bomb_is_refused_before_a_reader_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    assert "would unpack" in refused(write(tmp_path, bomb()))


def test_a_password(tmp_path):
    manifest = '<manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/></manifest:file-entry>'
    content = packed({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "encrypted",
                      "META-INF/manifest.xml": f"<manifest:manifest>{manifest}</manifest:manifest>"})
    assert refused(write(tmp_path, content, "x.ods")) == (
        "is locked by a password: save it again as .xlsx or as CSV, without one")


def test_a_file_that_is_damaged_anywhere(tmp_path):
    """Cut off, and with a byte changed, at a dozen places each: rows or one line, and nothing on stderr."""
    code = """if True:
        import sys
        from pathlib import Path
        from vector_universe import UserError
        from vector_universe.data.sources.spreadsheet import SpreadsheetTable
        for path in map(Path, sys.argv[1:]):
            try:
                list(SpreadsheetTable(path).rows(lambda done, total: None))
            except UserError as error:
                assert str(error).startswith(str(path)), error
        print("done")"""
    paths = []
    for name, whole in (("x.xlsx", WHOLE), ("x.ods", ods({"S": ROWS})), ("x.xls", xls(ROWS))):
        for number in range(12):
            place = len(whole) * number // 12
            paths.append(write(tmp_path, whole[:place], f"{number}cut{name}"))
            changed = whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1:]
            paths.append(write(tmp_path, changed, f"{number}changed{name}"))
    done = subprocess.run([sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_no_module_is_taken_from_the_folder_of_the_data(tmp_path, monkeypatch):
    for name in ("json", "runpy", "python_calamine"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit")
    write(tmp_path, WHOLE)
    monkeypatch.chdir(tmp_path)
    assert len(read(Path("list.xlsx"))) == 2
