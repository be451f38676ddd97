"""Numbers as tables write them: which cells are numbers, and what that makes of a column."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.universes import data_set, png
from vector_universe.data.example import Example
from vector_universe.index.table.metadata import cast, column_types, misfit
from vector_universe.index.table.written_numbers import is_blank, written_number

CASES = json.loads((Path(__file__).parent / "written_numbers.json").read_text("utf-8"))
BETWEEN = [",", "'", "’", " ", "\u00a0", "\u2009", "\u202f"]
BLANKS = ["", "nan", "NaN", "n/a", "N/A", "NA", "na", "null", "NULL", "none", "None", "-", "–", " n/a "]
INT, FLOAT, TEXT, BOOL = pa.int64(), pa.float64(), pa.string(), pa.bool_()


@pytest.mark.parametrize(("text", "number"), CASES)
def test_what_is_a_number(text, number):
    found = written_number(text)
    assert found == number
    assert type(found) is type(number)


@given(st.integers(-10**30, 10**30), st.sampled_from(["", *BETWEEN]), st.sampled_from(["", " ", "\u00a0"]))
def test_whole_numbers_are_read_as_they_were_written(number, between, around):
    assert written_number(f"{around}{number:,}{around}".replace(",", between)) == number


@given(st.decimals(-10**12, 10**12, places=3), st.sampled_from(["", *BETWEEN]))
def test_decimal_numbers_are_read_as_they_were_written(number, between):
    assert written_number(f"{number:,}".replace(",", between)) == float(number)


@given(st.integers(-10**9, 10**9), st.sampled_from([("K", 3), ("k", 3), ("M", 6), ("m", 6), ("B", 9), ("b", 9)]))
def test_suffixes_are_exact(thousandths, suffix):
    letter, zeros = suffix
    found = written_number(f"{'-' * (thousandths < 0)}{abs(thousandths) // 1000}.{abs(thousandths) % 1000:03}{letter}")
    assert found == thousandths * 10**(zeros - 3)
    assert isinstance(found, int)


@given(st.text())
def test_no_text_is_both_a_number_and_a_blank(text):
    assert written_number(text) is None or not is_blank(text)


def test_what_no_float_holds_is_no_number():
    assert written_number("9" * 5000) is None
    assert written_number("9" * 400 + ".5") is None
    assert written_number("9" * 270 + ".25B") == pytest.approx(1e279)


@pytest.mark.parametrize("blank", BLANKS)
def test_blanks(blank):
    assert is_blank(blank)


@pytest.mark.parametrize("text", ["no", "none of them", "--", "0", ".", "unknown", "na na", "?"])
def test_what_is_no_blank(text):
    assert not is_blank(text)


COLUMNS = {
    "the case that was lost": (["900", "5,400", "6,300", "12,600"], INT, [900, 5400, 6300, 12600]),
    "mixed and whole": (["5,400", "900", "1.2M"], INT, [5400, 900, 1200000]),
    "mixed and not whole": (["5,400", "900", "1.2345K"], FLOAT, [5400.0, 900.0, 1234.5]),
    "with a point": (["1.0", "2", "3"], FLOAT, [1.0, 2.0, 3.0]),
    "blanks among numbers": (["1,000", *BLANKS, None], INT, [1000, *[None] * (len(BLANKS) + 1)]),
    "blanks among texts": (["Dune", "None", "NA", "-", "nan", ""], TEXT, ["Dune", "None", "NA", "-", "nan", None]),
    "numbers among texts": (["5,400", "1.2M", "n/a", "many"], TEXT, ["5,400", "1.2M", "n/a", "many"]),
    "blanks alone": (["None", "-", "NA"], TEXT, ["None", "-", "NA"]),
    "codes": (["007", "008"], TEXT, ["007", "008"]),
    "a code among numbers": (["7", "007"], TEXT, ["7", "007"]),
    "powers": (["1e5", "5"], TEXT, ["1e5", "5"]),
    "numbers of JSON": ([1, 2.5, None], FLOAT, [1.0, 2.5, None]),
    "numbers of JSON and texts of them": ([1, "2,000"], INT, [1, 2000]),
    "NaN of JSON": ([1, float("nan")], INT, [1, None]),
    "true and false": ([True, False, None], BOOL, [True, False, None]),
    "true and a blank": ([True, "n/a"], TEXT, ["true", "n/a"]),
    "true and a number": ([True, 1], TEXT, ["true", "1"]),
    "lists": ([[1, 2], 3], TEXT, ["[1, 2]", "3"]),
    "beyond 64 bits": ([str(2**63), "1"], TEXT, [str(2**63), "1"]),
    "the largest": ([str(2**63 - 1), "1B"], INT, [2**63 - 1, 10**9]),
    "beyond 64 bits by a suffix": (["9,999,999,999B", "1"], TEXT, ["9,999,999,999B", "1"]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_what_a_column_is(name):
    values, type, stored = COLUMNS[name]
    picture = png(0)
    examples = [Example(str(number), picture, [], [], metadata={"column": value})
                for number, value in enumerate(values)]
    assert column_types(data_set(examples)) == {"column": type}
    assert [cast(value, type) for value in values] == stored


def test_a_column_of_nothing_is_none():
    assert column_types(data_set([Example("a", png(0), [], [], metadata={"column": "", "other": None})])) == {}


def test_what_comes_later_is_cast_to_the_column_that_is_there():
    assert [cast(value, INT) for value in ("5,400", "2,017.0", "1.5", "many", "-", 1e30, True)] == [
        5400, 2017, None, None, None, None, None]
    assert [cast(value, FLOAT) for value in ("5,400", "many", "NA")] == [5400.0, None, None]
    assert [cast(value, TEXT) for value in ("5,400", "NA", 5400)] == ["5,400", "NA", "5400"]


@pytest.mark.parametrize(("data", "column", "says"), [
    (INT, INT, ""), (INT, FLOAT, ""), (TEXT, TEXT, ""),
    (INT, TEXT, "holds texts in this universe, and whole numbers in the data: they stay texts"),
    (TEXT, INT, "holds whole numbers in this universe, and texts in the data: those that do not fit are left out"),
    (FLOAT, INT, "holds whole numbers in this universe, and numbers in the data: those that do not fit are left out"),
    (BOOL, FLOAT, "holds numbers in this universe, and true or false in the data: those that do not fit are left out"),
])
def test_a_column_that_is_something_else_already(data, column, says):
    assert misfit(data, column) == says.removeprefix("holds ")
