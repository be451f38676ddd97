"""Spreadsheets written by hand, so that no test needs a program that writes them: .xlsx, .ods and .xls."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from vector_universe.data.sources.source import unreported
from vector_universe.data.sources.spreadsheet import SpreadsheetTable

Cell = str | int | float | bool | None
XML = '<?xml version="1.0" encoding="UTF-8"?>'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OPEN = "urn:oasis:names:tc:opendocument:xmlns"
STYLES = (f'{XML}<styleSheet xmlns="{MAIN}"><cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/>'
          '<xf numFmtId="46"/></cellXfs></styleSheet>')
DATE, DATE_TIME, DURATION = 1, 2, 3  # places in these styles

ROWS = [["file_name", "title", "views"], ["a.png", "one", 1], ["b.png", "two & <three>", 2.5]]


def write(folder: Path, content: bytes, name: str = "list.xlsx") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def read(path: Path) -> list[object]:
    return list(SpreadsheetTable(path).rows(unreported))


def packed(members: Mapping[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def xlsx(sheets: Mapping[str, Sequence[Sequence[Cell]] | str], hidden: Sequence[str] = ()) -> bytes:
    """Sheets of rows, or of their XML as it stands."""
    numbered = list(enumerate(sheets, 1))
    tags = "".join(f'<sheet name="{escape(name)}" sheetId="{number}" r:id="s{number}" '
                   f'state="{"hidden" if name in hidden else "visible"}"/>' for number, name in numbered)
    links = "".join(f'<Relationship Id="s{number}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
                    for number, _ in numbered)
    return packed({
        "[Content_Types].xml": f'{XML}<Types xmlns="{PACKAGE}/content-types"/>',
        "_rels/.rels": f'{XML}<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="w" '
                       f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{XML}<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{tags}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{XML}<Relationships xmlns="{PACKAGE}/relationships">{links}<Relationship '
                                      f'Id="st" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": STYLES} | {
        f"xl/worksheets/sheet{number}.xml":
            f'{XML}<worksheet xmlns="{MAIN}"><sheetData>{_excel_rows(sheets[name])}</sheetData></worksheet>'
        for number, name in numbered})


def _excel_rows(rows: Sequence[Sequence[Cell]] | str) -> str:
    if isinstance(rows, str):
        return rows
    return "".join(f'<row r="{row}">' + "".join(_excel_cell(f"{chr(65 + column)}{row}", cell) for column, cell
                                                in enumerate(cells) if cell is not None) + "</row>"
                   for row, cells in enumerate(rows, 1))


def _excel_cell(place: str, cell: Cell) -> str:
    if isinstance(cell, bool):
        return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, str):
        return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
    return f'<c r="{place}"><v>{cell!r}</v></c>'


def ods(sheets: Mapping[str, Sequence[Sequence[Cell]]]) -> bytes:
    tables = "".join(f'<table:table table:name="{escape(name)}">' + "".join(
        f"<table:table-row>{''.join(map(_open_cell, cells))}"
        '<table:table-cell table:number-columns-repeated="16000"/></table:table-row>' for cells in rows)
        + '<table:table-row table:number-rows-repeated="1048000"><table:table-cell '
          'table:number-columns-repeated="16384"/></table:table-row></table:table>' for name, rows in sheets.items())
    return packed({
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        "META-INF/manifest.xml": f'{XML}<manifest:manifest xmlns:manifest="{OPEN}:manifest:1.0"/>',
        "content.xml": f'{XML}<office:document-content xmlns:office="{OPEN}:office:1.0" xmlns:table="{OPEN}:table:1.0" '
                       f'xmlns:text="{OPEN}:text:1.0"><office:body><office:spreadsheet>{tables}</office:spreadsheet>'
                       "</office:body></office:document-content>"})


def _open_cell(cell: Cell) -> str:
    if cell is None:
        return "<table:table-cell/>"
    kind, value = (("boolean", f'office:boolean-value="{str(cell).lower()}"') if isinstance(cell, bool) else
                   ("string", "") if isinstance(cell, str) else ("float", f'office:value="{cell!r}"'))
    return (f'<table:table-cell office:value-type="{kind}" {value}><text:p>{escape(str(cell))}</text:p>'
            "</table:table-cell>")


def xls(rows: Sequence[Sequence[str | float]]) -> bytes:
    """One sheet as Excel 97 has it: a stream of records in a file of sectors."""
    def record(number: int, body: bytes) -> bytes:
        return struct.pack("<HH", number, len(body)) + body

    def begin(kind: int) -> bytes:
        return record(0x809, struct.pack("<HHHHII", 0x600, kind, 0, 1997, 0, 0))

    sheet = begin(0x10)
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            place = struct.pack("<HHH", row, column, 0)
            sheet += (record(0x204, place + struct.pack("<HB", len(cell), 0) + cell.encode("latin-1"))
                      if isinstance(cell, str) else record(0x203, place + struct.pack("<d", cell)))
    name = record(0x85, struct.pack("<IBBBB", 0, 0, 0, 1, 0) + b"S")
    start = len(begin(5)) + len(name) + 4
    stream = begin(5) + name[:4] + struct.pack("<I", start) + name[8:] + record(10, b"") + sheet + record(10, b"")
    sectors = max(8, -(-len(stream) // 512))
    end, free = 0xFFFFFFFE, 0xFFFFFFFF

    def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
        letters = name.encode("utf-16-le")
        return (letters.ljust(64, b"\0") + struct.pack("<HBBIII", len(letters) + 2, kind, 1, free, free, child)
                + bytes(36) + struct.pack("<IQ", start, size))

    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack(
        "<HHHHH6xIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, end, 0, end, 0, 0)
    table = [0xFFFFFFFD, end, *range(3, sectors + 2), end]
    folder = entry("Root Entry", 5, 1, end, 0) + entry("Workbook", 2, free, 2, sectors * 512)
    return b"".join([head.ljust(512, b"\xff"), struct.pack(f"<{len(table)}I", *table).ljust(512, b"\xff"),
                     folder.ljust(512, b"\0"), stream.ljust(sectors * 512, b"\0")])
