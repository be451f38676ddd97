"""Spreadsheets are tables: their cells are read as they are seen, and what is left out is said."""

from __future__ import annotations

import subprocess

import pytest

from tests.broken_pictures import NOISE, encoded
from tests.spreadsheets import DATE, DATE_TIME, DURATION, ROWS, ods, read, write, xls, xlsx
from vector_universe import load_dataset
from vector_universe.data import SkippedRow
from vector_universe.data.sources import workbook
from vector_universe.data.sources.csv_table import CsvTable
from vector_universe.data.sources.source import unreported
from vector_universe.data.sources.spreadsheet import SpreadsheetTable

READ = [dict(zip(ROWS[0], row, strict=True)) for row in ROWS[1:]]


def remarks(table: SpreadsheetTable) -> list[tuple[str, str]]:
    list(table.rows(unreported))
    return [(remark.kind, remark.what) for remark in table.remarks.all()]


@pytest.mark.parametrize(("name", "content"), [
    ("list.xlsx", xlsx({"S": ROWS})), ("list.xlsm", xlsx({"S": ROWS})), ("list.ods", ods({"S": ROWS})),
    ("list.xls", xls(ROWS)), ("list.XLSX", xlsx({"S": ROWS})), ("called.xls", xlsx({"S": ROWS})),
    ("called.xlsx", ods({"S": ROWS})), ("called.ods", xls(ROWS))])
def test_each_kind_whatever_its_ending_says(name, content, tmp_path):
    path = write(tmp_path, content, name)
    table = SpreadsheetTable(path)
    assert list(table.columns) == ["file_name", "title", "views"]
    for _ in range(2):  # a pass can be made again
        rows = list(table.rows(unreported))
        assert rows == READ
        assert [type(row["views"]) for row in rows] == [int, float]


def test_it_has_what_a_csv_table_has(tmp_path):
    write(tmp_path, b"file_name,title\na.png,one\n", "list.csv")
    path = write(tmp_path, xlsx({"S": ROWS}))
    table, csv = SpreadsheetTable(path, "train", "train/"), CsvTable(tmp_path / "list.csv", "train", "train/")
    assert {name for name in vars(csv) if not name.startswith("_")} == {
        name for name in vars(table) if not name.startswith("_")} - {"other_sheets"}
    assert (table.place, table.folder, table.split, table.prefix) == (str(path), tmp_path, "train", "train/")
    assert (table.size, table.classes) == (path.stat().st_size, {})
    assert not table.holds_images("file_name")


def test_empty_rows_are_none_and_the_header_is_the_first_that_is_not(tmp_path):
    rows = [[], [None, None], [None, " file_name ", "title\n"], [], [None, "a.png", "one"], ["", "  ", ""],
            [None, "b.png"], [], []]
    for name, content in (("list.xlsx", xlsx({"S": rows})), ("list.ods", ods({"S": rows}))):
        assert read(write(tmp_path, content, name)) == [
            {"file_name": "a.png", "title": "one"}, {"file_name": "b.png", "title": ""}]


def test_cells_beyond_the_header_leave_a_row_out(tmp_path):
    rows = [["file_name", "title"], ["a.png", "one", None, " "], ["b.png", "two", None, None, "three"],
            ["c.png", "four"]]
    for name, content in (("list.xlsx", xlsx({"S": rows})), ("list.ods", ods({"S": rows}))):
        assert read(write(tmp_path, content, name)) == [
            {"file_name": "a.png", "title": "one"},
            SkippedRow(name, None, "has 5 cells, but the header 2"), {"file_name": "c.png", "title": "four"}]


def test_numbers_truths_and_dates(tmp_path):
    cells = (f'<c r="A2"><v>7</v></c><c r="B2"><v>12345678901234567890</v></c><c r="C2" t="b"><v>0</v></c>'
             f'<c r="D2" s="{DATE}"><v>45418</v></c><c r="E2" s="{DATE_TIME}"><v>45418.5</v></c>'
             f'<c r="F2" s="{DURATION}"><v>1.25</v></c><c r="G2" t="inlineStr"><is><t>007</t></is></c>'
             '<c r="H2"><v>-3</v></c><c r="I2"/>')
    header = "".join(f'<c r="{letter}1" t="inlineStr"><is><t>{letter}</t></is></c>' for letter in "ABCDEFGHI")
    [row] = read(write(tmp_path, xlsx({"S": f'<row r="1">{header}</row><row r="2">{cells}</row>'})))
    assert row == {"A": 7, "B": 12345678901234567890.0, "C": False, "D": "2024-05-06", "E": "2024-05-06T12:00:00",
                   "F": "30:00:00", "G": "007", "H": -3, "I": ""}
    assert [type(row[column]) for column in "ABCH"] == [int, float, bool, int]


def test_texts_of_any_script_and_length(tmp_path):
    texts = ["Ünïcödé 目録 🙂", " spaces  kept ", "two\nlines", "x" * 40_000]
    rows = [["file_name", "title"], *([f"{number}.png", text] for number, text in enumerate(texts))]
    assert [row["title"] for row in read(write(tmp_path, xlsx({"S": rows})))] == texts


def test_names_that_repeat_or_are_missing(tmp_path):
    rows = [["file_name", "title", None, "title"], ["a.png", "one", None, "uno"], ["b.png", "two", "?", "dos"]]
    table = SpreadsheetTable(write(tmp_path, xlsx({"S": rows})))
    assert list(table.rows(unreported)) == [
        {"file_name": "a.png", "title": "one", "title (2)": "uno"},
        {"file_name": "b.png", "title": "two", "": "?", "title (2)": "dos"}]
    assert remarks(table) == [("read_as", "it has several columns called title: the later ones got a number")]


def test_the_first_sheet_that_holds_anything_and_the_names_of_the_others(tmp_path):
    sheets = {"blank": [], "hidden": [["x"], ["y"]], "data": ROWS, "notes": [["n"]], "spaces": [[None]]}
    table = SpreadsheetTable(write(tmp_path, xlsx(sheets, hidden=["hidden"])))
    assert table.other_sheets == ("notes", "hidden")
    assert remarks(table) == [("not_read", "its sheet 'notes' was not read"),
                              ("not_read", "its sheet 'hidden' was not read")]
    assert list(table.rows(unreported)) == READ
    table = SpreadsheetTable(write(tmp_path, ods({"blank": [], "data": ROWS, "notes": [["n"]]}), "list.ods"))
    assert table.other_sheets == ("notes",)
    assert read(write(tmp_path, xlsx({"hidden": ROWS}, hidden=["hidden"]))) == READ


def test_lost_results_are_counted(tmp_path):
    cells = ('<row r="1"><c r="A1" t="inlineStr"><is><t>file_name</t></is></c></row>'
             '<row r="2"><c r="A2" t="str"><f>"a"&amp;".png"</f><v>a.png</v></c></row>'
             '<row r="3"><c r="A3"><f>B1</f></c></row><row r="4"><c r="A4"><f>B1</f><v></v></c></row>'
             '<row r="5"><c r="A5" t="e"><v>#N/A</v></c></row>')
    table = SpreadsheetTable(write(tmp_path, xlsx({"S": cells})))
    assert list(table.rows(unreported)) == [{"file_name": "a.png"}]
    [(kind, what)] = remarks(table)
    assert kind == "row_mended"
    assert what.startswith("3 of its cells hold an error or a formula without a result, and were read as empty: open")
    assert remarks(SpreadsheetTable(write(tmp_path, xlsx({"S": ROWS})))) == []


def test_lost_results_are_counted_wherever_a_part_of_the_file_ends(tmp_path, monkeypatch):
    cells = "".join(f'<row r="{row}"><c r="A{row}" t="e"><v>#N/A</v></c><c r="B{row}"><f>A1</f><v/></c></row>'
                    for row in range(2, 60))
    path = write(tmp_path, xlsx({"S": f'<row r="1"><c r="A1"><v>1</v></c></row>{cells}'}))
    for size in (64, 100, 1000, 10_000):
        monkeypatch.setattr(workbook, "_CHUNK", size)
        assert workbook.look_into(path) == 2 * 58


def test_progress_reaches_the_end(tmp_path):
    path = write(tmp_path, xlsx({"S": [["file_name"], *([f"{number}.png"] for number in range(1000))]}))
    told = []
    rows = SpreadsheetTable(path).rows(lambda *state: told.append(state))
    assert len(list(rows)) == 1000
    size = path.stat().st_size
    assert told == sorted(told)
    assert told[-1] == (size, size)
    assert len(told) > 3


def test_a_pass_that_is_left_early_leaves_no_process(tmp_path, monkeypatch):
    started = []
    start = subprocess.Popen

    def watched(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[-1]

    path = write(tmp_path, xlsx({"S": [["file_name"], *([f"{number}.png"] for number in range(20_000))]}))
    monkeypatch.setattr(subprocess, "Popen", watched)
    rows = SpreadsheetTable(path).rows(unreported)
    next(rows)
    rows.close()
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


def test_a_folder_with_a_spreadsheet_is_a_data_set(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(encoded(NOISE))
    write(tmp_path, xlsx({"S": ROWS}), "metadata.xlsx")
    data = load_dataset(tmp_path)
    assert [(example.id, example.texts) for example in data] == [("a.png", ["one"]), ("b.png", ["two & <three>"])]
    assert [example.metadata["views"] for example in data] == [1, 2.5]
