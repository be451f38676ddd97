"""Filters give what a plain loop over the rows gives, whatever stands in a value or a column's name."""

import math
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vector_universe import UserError
from vector_universe.index.search.filters import AnyOf, Compare, HasLabel, Not, OneOf, filterable, to_sql
from vector_universe.index.table.written_numbers import written_number

NASTY = ["", "'", "''", '"', "\\", "\\'", "%", "_", "a'b", "' OR 1=1 --", "'; DROP TABLE items; --", "NULL", "`",
         "日本", "고양이", "😀", "new\nline", "tab\t", "nul\0", "/* x */", "$1", "?", "{}", " ", "É", "É", "SELECT",
         "select", "e\u0301", "STRASSE", "straße"]
WEIRD = ["a b", "SELECT", "q'uote", 'd"q', "back\\slash", "per%cent", "日本", "new\nline", "title", "Title", "a-b"]


def rows() -> list[dict]:
    found = []
    for number, text in enumerate(NASTY):
        missing = number % 5 == 4
        found.append({"id": f"{number}", "title": None if missing else text,
                      "labels": None if number % 7 == 6 else NASTY[number % 3:number:3],
                      "year": None if missing else number - 5, "small": None if missing else number,
                      "share": None if missing else math.nan if number % 5 == 3 else number / 10,
                      "rough": None if missing else number / 10, "good": None if missing else number % 2 == 0})
    return found


SCHEMA = pa.schema([
    ("id", pa.string()), ("title", pa.string()), ("labels", pa.list_(pa.string())), ("year", pa.int64()),
    ("small", pa.int32()), ("share", pa.float64()), ("rough", pa.float32()), ("good", pa.bool_())])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory):
    import lancedb

    database = lancedb.connect(tmp_path_factory.mktemp("filters"))
    return database.create_table("items", pa.Table.from_pylist(rows(), SCHEMA))


def caseless(text: str) -> str:
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


class Loop:
    """What the rows hold, by plain loops over them."""

    def spellings(self, label: str) -> list[str]:
        return [one for row in rows() for one in row["labels"] or [] if caseless(one) == caseless(label)]

    def no_numbers(self, column: str) -> list[str]:
        return [row[column] for row in rows() if row[column] and written_number(row[column]) is None][:3]


def found(table, *filters) -> list[str]:
    where = to_sql(filters, table.schema, Loop())
    return sorted(table.search().where(where, prefilter=True).select(["id"]).limit(1000).to_arrow()["id"].to_pylist())


def keeps(filter, row: dict) -> bool:
    """The reference: one row, plain Python."""
    match filter:
        case Compare(column, "!=", value):
            return not keeps(Compare(column, "=", value), row)
        case Compare(column, operator, value):
            ours = row[column]
            if ours is None or (isinstance(ours, float) and math.isnan(ours)):
                return False
            return {"=": ours == value, "<": ours < value, "<=": ours <= value, ">": ours > value,
                    ">=": ours >= value}[operator]
        case OneOf(column, values):
            return any(keeps(Compare(column, "=", value), row) for value in values)
        case HasLabel(label):
            return any(caseless(one) == caseless(label) for one in row["labels"] or [])
        case Not(inner):
            return not keeps(inner, row)
        case AnyOf(filters):
            return any(keeps(one, row) for one in filters)
    raise AssertionError


def expected(*filters) -> list[str]:
    return sorted(row["id"] for row in rows() if all(keeps(filter, row) for filter in filters))


texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=12), st.builds("{}{}".format, st.sampled_from(NASTY),
                                                                          st.sampled_from(NASTY)))
ordered = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
leaves = st.one_of(
    st.builds(Compare, st.just("title"), ordered, texts.filter(lambda text: written_number(text) is None)),
    st.builds(HasLabel, texts),
    st.builds(OneOf, st.just("title"), st.lists(texts, min_size=1, max_size=4).map(tuple)),
    st.builds(Compare, st.just("year"), ordered, st.integers(-2**63, 2**63 - 1) | st.integers(-6, 30)),
    st.builds(Compare, st.just("share"), ordered, st.floats(allow_nan=False, allow_infinity=False)
              | st.integers(0, 30).map(lambda tenth: tenth / 10)),
    st.builds(OneOf, st.just("share"), st.lists(st.integers(0, 30).map(lambda tenth: tenth / 10), min_size=1,
                                                max_size=3).map(tuple)),
    st.builds(Compare, st.just("good"), st.sampled_from(["=", "!="]), st.booleans()))
trees = st.recursive(leaves, lambda inner: st.builds(Not, inner)
                     | st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)), max_leaves=5)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(trees, min_size=1, max_size=3))
def test_filters_keep_what_a_loop_over_the_rows_keeps(table, filters) -> None:
    assert found(table, *filters) == expected(*filters)


@pytest.mark.parametrize("text", NASTY)
def test_no_text_is_more_than_a_text(table, text: str) -> None:
    for filter in (HasLabel(text), Compare("title", "=", text), Compare("title", "!=", text), OneOf("title", (text,))):
        assert found(table, filter) == expected(filter)


def test_any_column_name_is_only_a_name(tmp_path) -> None:
    import lancedb

    values = {name: [number, None] for number, name in enumerate(WEIRD)}
    table = lancedb.connect(tmp_path).create_table("items", pa.table({"id": ["one", "two"], **values}))
    for number, name in enumerate(WEIRD):
        assert found(table, Compare(name, "=", number)) == ["one"]
        assert found(table, Compare(name, "!=", number)) == ["two"]


def test_indexed_columns_give_the_same(tmp_path) -> None:
    import lancedb
    from lancedb.index import Bitmap, BTree, LabelList

    table = lancedb.connect(tmp_path).create_table("items", pa.Table.from_pylist(rows(), SCHEMA))
    for column, kind in (("title", Bitmap()), ("labels", LabelList()), ("year", BTree()), ("share", BTree())):
        table.create_index(column, config=kind)
    for filter in (HasLabel("'"), Not(HasLabel("'")), HasLabel("SeLeCt"), Not(HasLabel("é")),
                   Compare("title", "!=", ""), Compare("share", ">", 0.5),
                   Compare("share", "!=", 0.5), Not(Compare("year", "<", 3)), OneOf("title", ("%", "\\'"))):
        assert found(table, filter) == expected(filter)


def test_no_filter_is_none() -> None:
    assert to_sql([], SCHEMA) is None


def test_a_text_that_reads_as_the_columns_type_will_do(table) -> None:
    assert found(table, Compare("year", ">=", " 7 ")) == expected(Compare("year", ">=", 7))
    assert found(table, Compare("share", "<", "1e0")) == expected(Compare("share", "<", 1.0))
    assert found(table, Compare("year", ">=", "0.007K")) == expected(Compare("year", ">=", 7))
    assert found(table, Compare("year", "<", "5,000")) == expected(Compare("year", "<", 5000))
    assert found(table, OneOf("year", ("7", "8.0", "1.2M"))) == expected(OneOf("year", (7, 8)))
    assert found(table, Compare("share", ">", "-1 000.5")) == expected(Compare("share", ">", -1000.5))
    assert found(table, Compare("good", "=", "True")) == expected(Compare("good", "=", True))
    assert found(table, Compare("rough", "=", "0.2")) == ["2"]  # in the column's own precision


def test_a_label_is_found_in_any_case_and_form_of_unicode(table) -> None:
    spelled = {"select": "SELECT", "É": "e\u0301", "Strasse": "STRAßE", "': drop": "': DROP"}
    for one, other in spelled.items():
        assert found(table, HasLabel(one)) == found(table, HasLabel(other)) == expected(HasLabel(one))
    assert len(found(table, HasLabel("select"))) > len([row for row in rows() if "select" in (row["labels"] or [])]) > 0


def test_without_knowing_the_table_a_label_is_what_was_asked_for() -> None:
    assert to_sql([HasLabel("Cat")], SCHEMA) == "(array_has(`labels`, 'Cat'))"


@pytest.mark.parametrize("value", ["2020-01", "2020-01-05", "007", "1e5", "N", "v1.2", ""])
def test_texts_are_ordered_by_what_is_no_number(table, value: str) -> None:
    for operator in ("<", "<=", ">", ">="):
        assert found(table, Compare("title", operator, value)) == expected(Compare("title", operator, value))


@pytest.mark.parametrize("value", ["5000", "5,000", "1.2M", "3b", "-1", "0.5", " 7 ", 5, 0.5])
@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
def test_texts_are_not_ordered_by_a_number(value, operator: str) -> None:
    schema = SCHEMA.append(pa.field("views", pa.string()))
    ways = [(None, "clean the values that are no numbers and index into a new folder, or compare with = or !="),
            (Values("many", "few"), r"clean the values that are no numbers \('many', 'few'\) and index into a new"),
            (Values(), "all its values read as numbers, so index the data into a new folder, or compare with =")]
    for held, way in ways:
        with pytest.raises(UserError, match=way) as refused:
            to_sql([Not(Compare("views", operator, value))], schema, held)
        assert str(refused.value).startswith("column 'views' holds texts, which compare letter by letter ('900' comes "
                                             "after '5400')")
        assert "\n" not in str(refused.value)
    if isinstance(value, str):
        assert to_sql([Compare("views", "=", value), OneOf("views", (value,))], schema)


class Values:
    """A column that holds these and numbers."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def spellings(self, label: str) -> tuple[str, ...]:
        return ()

    def no_numbers(self, column: str) -> tuple[str, ...]:
        return self.values


def test_titles_are_not_to_be_cleaned_and_years_need_a_month() -> None:
    with pytest.raises(UserError, match=r"number '2020': write a date with its month, such as 2020-01, or compare"):
        to_sql([Compare("title", ">", "2020")], SCHEMA)
    with pytest.raises(UserError, match=r"number '5': compare with = or !=$"):
        to_sql([Compare("title", ">", "5")], SCHEMA)


def test_hashes_and_vectors_are_not_filtered_by() -> None:
    schema = pa.schema([("id", pa.string()), ("look", pa.uint64()), ("thumbnail", pa.binary()), ("a`b", pa.int64()),
                        ("image", pa.list_(pa.float16(), 4)), ("words", pa.string()),
                        ("said_sum", pa.uint64())])
    assert filterable(schema) == ["id"]


def nested(depth: int):
    filter = HasLabel("a")
    for _ in range(depth):
        filter = Not(filter)
    return filter


@pytest.mark.parametrize(("filter", "says"), [
    (Compare("nope", "=", 1), "'nope' is not there: choose among id, title, year, small, share, rough, good"),
    (Compare("a`; --", "=", 1), "is not there"),
    (Compare("labels", "=", "cat"), "HasLabel"),
    (Compare("year", "=", "last"), "holds whole numbers: 'last' is none"),
    (Compare("year", "=", 1.5), "1.5 is none"),
    (Compare("year", "=", True), "True is none"),
    (Compare("year", "=", 2**63), "beyond"),
    (Compare("small", "=", 2**31), "beyond"),
    (Compare("share", "<", math.nan), "finite"),
    (Compare("share", "<", "inf"), "finite"),
    (Compare("share", "<", 10**400), "is none"),
    (Compare("good", "<", True), "= or !="),
    (Compare("good", "=", "maybe"), "neither"),
    (Compare("title", "=", 5), "holds texts"),
    (Compare("title", "=", "\ud800"), "no valid text"),
    (Compare("title", "LIKE", "a"), "no comparison"),
    (HasLabel(5), "no text"),
    (OneOf("title", ()), "at least one"),
    (AnyOf(()), "at least one"),
    (OneOf("year", tuple(range(10_001))), "10,001 parts"),
    (nested(20), "nested"),
    ("id = 1", "is no filter"),
])
def test_what_makes_no_sense_is_said(filter, says: str) -> None:
    with pytest.raises(UserError, match=says):
        to_sql([filter], SCHEMA)
