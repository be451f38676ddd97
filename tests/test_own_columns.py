"""Columns of the data in a universe: numbers are numbers, no name is refused, and nothing is lost in silence."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import pytest

from tests.universe_api import asked
from tests.universe_folders import CountedModel, Folder, content, index
from tests.universes import FakeModel, data_set, png
from vector_universe.cli import main
from vector_universe.data.example import Example
from vector_universe.errors import UserError
from vector_universe.index import Compare, Part, Query, Universe
from vector_universe.index.build import Given, IndexOptions, bring_up_to_date
from vector_universe.index.ingest.update import Change
from vector_universe.index.table.column_names import column_names

VIEWS = {"a.png": "900", "c.png": "5,400", "d.png": "6,300", "e.png": "12,600", "f.png": "1.2M", "g.png": "n/a"}


class Model(FakeModel):
    """As `vu index` loads one."""

    config = SimpleNamespace(image_exact=False)


@pytest.fixture(autouse=True)
def own_model(monkeypatch):
    monkeypatch.setattr("vector_universe.models.load_run_model", lambda folder: Model())


def write_data(folder, **columns):
    """A folder with a picture for each value of its columns."""
    (folder / "images").mkdir(parents=True)
    rows = list(zip(*columns.values(), strict=True))
    names = [f"{chr(97 + number)}.png" for number in range(len(rows))]
    for number, name in enumerate(names):
        (folder / "images" / name).write_bytes(png(number))
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", *columns])
        table.writerows([name, *row] for name, row in zip(names, rows, strict=True))
    return folder


def build(out, rows, **options):
    """A universe of items with this metadata, by id, and what `vu index` says of its columns."""
    examples = [Example(id, png(number), [f"picture {number}"], [], metadata=metadata)
                for number, (id, metadata) in enumerate(rows.items())]
    return bring_up_to_date(Model(), Given(data_set(examples)), out, IndexOptions(**options))


def ids(universe, *filters):
    return sorted(hit.id for hit in universe.search(Query(filters=filters, k=50)))


# ---- numbers ----

@pytest.fixture(scope="module")
def views(tmp_path_factory):
    """A universe with a column of numbers as people write them, one of texts, and one of dates."""
    path = tmp_path_factory.mktemp("views") / "u"
    build(path, {id: {"views": views, "told": "many" if id == "g.png" else views, "day": f"2020-0{1 + number}-05"}
                 for number, (id, views) in enumerate(VIEWS.items())})
    return path


def test_numbers_with_separators_are_compared_as_numbers(views):
    universe = Universe.open(views, Model())
    assert [hit.metadata.get("views") for hit in universe.search(Query(filters=(Compare("day", ">", ""),)))] == [
        900, 5400, 6300, 12600, 1200000, None]
    over = ["c.png", "d.png", "e.png", "f.png"]
    for value in (5000, "5000", "5,000", "5K", "5 000", "0.005M"):
        assert ids(universe, Compare("views", ">", value)) == over
    assert ids(universe, Compare("views", "<", "1,000")) == ["a.png"]
    for value in ("1.2M", "1,200,000"):
        assert ids(universe, Compare("views", "=", value)) == ["f.png"]


def test_the_command_finds_what_has_more_views(tmp_path, capsys):
    data = write_data(tmp_path / "data", title=["red", "green", "blue", "yellow"],
                      view_count=["900", "5,400", "6,300", "12,600"])
    main(["index", "M", "--data", str(data), "--out", str(tmp_path / "u")])
    capsys.readouterr()
    main(["search", str(tmp_path / "u"), "red", "--where", "view_count", ">", "5000", "--json"])
    found = {hit["id"]: hit["metadata"]["view_count"] for hit in json.loads(capsys.readouterr().out)}
    assert found == {"b.png": 5400, "c.png": 6300, "d.png": 12600}


def test_texts_are_not_ordered_by_a_number(views, capsys):
    universe = Universe.open(views, Model())
    says = (r"column 'told' holds texts, which compare letter by letter \('900' comes after '5400'\) and not with the "
            r"number '5,000': clean the values that are no numbers \('many'\) and index into a new folder, or compare")
    for query in (Query(filters=(Compare("told", ">", "5,000"),)), Query((Part("x"),), filters=(
            Compare("told", "<=", "5,000"),))):
        with pytest.raises(UserError, match=says):
            universe.search(query)
    assert ids(universe, Compare("told", "=", "5,400")) == ["c.png"]
    assert ids(universe, Compare("day", ">=", "2020-03")) == ["d.png", "e.png", "f.png", "g.png"]
    with pytest.raises(UserError, match=r"\('2020-01-05', '2020-02-05', '2020-03-05'\) and .* with its month, such as"):
        universe.search(Query(filters=(Compare("day", ">=", "2020"),)))
    with pytest.raises(SystemExit) as stop:
        main(["search", str(views), "x", "--where", "told", ">", "5000"])
    out, err = capsys.readouterr()
    assert (stop.value.code, out, len(err.splitlines())) == (2, "", 1)
    assert "compare letter by letter" in err


def test_the_server_refuses_in_the_same_words(views):
    with asked(views) as client:
        for path in ("/api/search", "/api/export"):
            for value in ("5,000", 5000, 0.5):
                answer = client.post(path, json={"filters": [
                    {"kind": "compare", "column": "told", "operator": ">", "value": value}]})
                assert answer.status_code == 400
                assert "which compare letter by letter" in answer.json()["detail"]
        answer = client.post("/api/search", json={"filters": [
            {"kind": "compare", "column": "views", "operator": ">", "value": "5,000"}]})
        assert [hit["id"] for hit in answer.json()["hits"]] == ["c.png", "d.png", "e.png", "f.png"]


def test_values_that_became_clean_are_all_numbers(tmp_path):
    """As a column of texts is, in a universe that was made when "5,400" was no number."""
    build(tmp_path / "u", {"a": {"n": "5,400"}, "b": {"n": "soon"}})
    change = build(tmp_path / "u", {"a": {"n": "5,400"}, "b": {"n": "n/a"}})
    assert change.remarks == ["the column n holds texts in this universe, and whole numbers in the data: they stay "
                              "texts; give --out a new folder to make the column anew"]
    with pytest.raises(UserError, match="all its values read as numbers, so index the data into a new folder"):
        Universe.open(tmp_path / "u", Model()).search(Query(filters=(Compare("n", ">", 5),)))


def test_values_that_do_not_fit_any_more_are_said(tmp_path):
    rows = {"a": {"n": 1, "f": 0.5, "b": True}, "b": {"n": 2, "f": 1.5, "b": False}}
    assert build(tmp_path / "u", rows).remarks == []
    change = build(tmp_path / "u", {"a": {"n": "soon", "f": 3, "b": "yes"}, "b": {"n": "2,000", "f": 4, "b": "no"}})
    left_out = "those that do not fit are left out; give --out a new folder to make the column anew"
    assert change.remarks == [
        f"the column n holds whole numbers in this universe, and texts in the data: {left_out}",
        f"the column b holds true or false in this universe, and texts in the data: {left_out}"]
    found = content(tmp_path / "u", Model())
    assert [(row["n"], row["f"], row["b"]) for row in found.values()] == [(None, 3.0, None), (2000, 4.0, None)]


# ---- names ----

RESERVED = ["_rowid", "_rowaddr", "_rowoffset", "_row_created_at_version", "_row_last_updated_at_version", "_distance",
            "_score", "_relevance_score", "__action", "__merge_source_sentinel", "*"]
ODD = {"a.b": "a_b", "a`b": "metadata_a_b", "": "unnamed", "new\nline": "new_line", "nul\0": "nul_",
       "\x1b[2J": "_[2J", "\u202eright": "_right", "x" * 300: "x" * 200, "x" * 301: "metadata_" + "x" * 200,
       "tab\t": "tab_"}
TAKEN = {"id": "metadata_id", "title": "metadata_title", "x": "metadata_x", "Y": "metadata_Y",
         "image": "metadata_image", "said_sum": "metadata_said_sum", "metadata_id": "metadata_metadata_id"}


@pytest.mark.parametrize("names", [dict(zip(RESERVED, [f"metadata_{name}" for name in RESERVED], strict=True)), ODD,
                                   TAKEN], ids=["reserved", "odd", "taken"])
def test_every_name_finds_a_column_that_works(names, tmp_path):
    rows = {f"item-{number}": {name: number * 100 + place for place, name in enumerate(names)} for number in range(3)}
    change = build(tmp_path / "u", rows)
    assert len(change.remarks) == len(names)
    universe = Universe.open(tmp_path / "u", Model())
    for place, (name, column) in enumerate(names.items()):
        assert ids(universe, Compare(column, ">=", 100 + place)) == ["item-1", "item-2"], name
    universe.search(Query.of("picture 1", hybrid=True, filters=(Compare(column, ">", 0),)))
    assert universe.item("item-1").metadata == {column: 100 + place for place, column in enumerate(names.values())}
    assert universe.sources["Test set"].columns == names

    rows["item-1"] = dict.fromkeys(names, -1)  # written again, and beside new columns
    rows["item-3"] = {**dict.fromkeys(reversed(names), 7), "another": 1}
    assert len(build(tmp_path / "u", rows).remarks) == len(names)
    universe = Universe.open(tmp_path / "u", Model())
    assert universe.item("item-1").metadata == dict.fromkeys(names.values(), -1)
    assert universe.item("item-3").metadata == dict.fromkeys(names.values(), 7) | {"another": 1}
    assert universe.item("item-2").metadata == {column: 200 + place for place, column in enumerate(names.values())}


def test_the_command_says_under_which_name_a_column_is_stored(tmp_path, capsys):
    data = write_data(tmp_path / "data", title=["red", "green"], _rowid=["1", "2"], id=["7", "8"], x=["1", "2"],
                      **{"a.b": ["1", "2"], "A_B": ["3", "4"], "y" * 500: ["5", "6"]})
    for extra in ([], ["--overwrite"]):
        main(["index", "M", "--data", str(data), "--out", str(tmp_path / "u"), *extra])
        lines = capsys.readouterr().err.splitlines()
        assert [line for line in lines if "is stored as" in line] == [
            "the column _rowid is stored as metadata__rowid: the table keeps that name for itself",
            "the column id is stored as metadata_id: every universe has a column of that name",
            "the column x is stored as metadata_x: every universe has a column of that name",
            "the column a.b is stored as a_b: dots, back-ticks and control characters cannot be part of a name",
            "the column A_B is stored as metadata_A_B: another column has that name",
            f"the column {'y' * 60}… is stored as {'y' * 60}…: a name has at most 200 characters"]
    main(["search", str(tmp_path / "u"), "red", "--where", "metadata__rowid", "=", "2", "--json"])
    assert [hit["id"] for hit in json.loads(capsys.readouterr().out)] == ["b.png"]


def test_names_that_need_no_other_are_said_nothing_of(tmp_path):
    change = build(tmp_path / "u", {"a": {"year": 1, "a b": 2, "日本": 3, "x" * 200: 4, "_": 5, "per%cent": 6}})
    assert change.remarks == []
    assert Universe.open(tmp_path / "u", Model()).sources["Test set"].columns == {}


def test_columns_stay_where_they_are_whatever_their_order(tmp_path):
    build(tmp_path / "u", {"one": {"a.b": 1, "a_b": 2}, "two": {"a.b": 3, "a_b": 4}})
    build(tmp_path / "u", {"one": {"a_b": 2, "a.b": 1}, "two": {"a_b": 40, "a.b": 30}})
    found = content(tmp_path / "u", Model())
    assert {id: (row["a_b"], row["metadata_a_b"]) for id, row in found.items()} == {"one": (1, 2), "two": (30, 40)}


def test_a_universe_of_before_keeps_its_columns(tmp_path):
    """Names that were allowed once are columns already, and sources had no note of them."""
    there = ["new\nline", "_hidden", "x" * 300, "_relevance_score"]
    assert [(found.column, found.why) for found in column_names(there, there)] == [(name, "") for name in there]
    build(tmp_path / "u", {"a": {"a.b": 1}})
    for note in (tmp_path / "u" / "g0001" / "notes" / "sources").iterdir():
        said = json.loads(note.read_text())
        assert said.pop("columns") == {"a.b": "a_b"}
        note.write_text(json.dumps(said))
    assert Universe.open(tmp_path / "u", Model()).sources["Test set"].columns == {}
    build(tmp_path / "u", {"a": {"a.b": 2}})
    universe = Universe.open(tmp_path / "u", Model())
    assert universe.item("a").metadata == {"a_b": 2}
    assert universe.sources["Test set"].columns == {"a.b": "a_b"}


def test_two_sources_and_a_migration_keep_the_names(tmp_path):
    out = tmp_path / "u"
    index(Folder(tmp_path / "one", range(3), _score=1), out)
    change = index(Folder(tmp_path / "two", range(3, 6), _score="2,000"), out)
    assert change.remarks == ["the column _score is stored as metadata__score: the table keeps that name for itself"]
    assert {row["metadata__score"] for row in content(out).values()} == {1, 2000}
    remarks = index(tmp_path / "one", out, CountedModel("three"), migrate=True).remarks
    assert remarks == change.remarks * 2
    assert {row["metadata__score"] for row in content(out, CountedModel("three")).values()} == {1, 2000}


def test_remarks_of_several_sources_add_up():
    assert (Change(remarks=["a"]) + Change(remarks=["b"])).remarks == ["a", "b"]
