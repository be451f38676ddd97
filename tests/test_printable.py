"""What came from data never steers the terminal: by itself, and in what the real commands print."""

from __future__ import annotations

import json
import re
import warnings
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.universes import FakeModel, data_set, png
from vector_universe.cli import main
from vector_universe.data.example import Example
from vector_universe.index import Universe
from vector_universe.index.build import Given, IndexOptions, bring_up_to_date
from vector_universe.printable import printable, printable_json, printable_lines

DIRECTIONS = [chr(code) for code in (*range(0x202a, 0x202f), *range(0x2066, 0x206a))]
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7f, 0xa0))]
UNSAFE = re.compile(f"[{''.join(map(re.escape, {*CONTROLS, *DIRECTIONS} - {chr(10), chr(9)}))}\ud800-\udfff]")
WHOLE = ["👩‍👩‍👧‍👦", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "مرحبا بالعالم", "\u200fשלום\u200f עולם", "می‌خواهم", "é", "e\u0301", "\u00a0",
         "日本", "고양이", "\\x1b", "[red]bold[/red]", "", "a b"]


# ---- the helper ----

def test_what_a_terminal_obeys_is_shown():
    assert printable("a\x1b[2J\x1b]0;owned\x07b\0\x7f\x9b\x85") == r"a\x1b[2J\x1b]0;owned\x07b\x00\x7f\x9b\x85"
    assert printable("one\ntwo\tthree\r") == r"one\ntwo\tthree\r"
    assert printable("\u202egnp.exe\u2066\u2069\udcff") == r"\u202egnp.exe\u2066\u2069\udcff"
    assert printable_lines("one\ntwo\tthree\r\x1b") == "one\ntwo\tthree\\r\\x1b"


@pytest.mark.parametrize("text", WHOLE)
def test_what_is_written_stays_whole(text):
    assert printable(text) == printable_lines(text) == text
    assert printable_json(json.dumps(text, ensure_ascii=False)) == json.dumps(text, ensure_ascii=False)


@given(st.text() | st.text(st.sampled_from([*CONTROLS, *DIRECTIONS, "a", "é", "\udcff"])))
def test_nothing_unsafe_is_left_and_nothing_is_lost(text):
    text = text.replace("\\", "/")
    for shown, kept in ((printable(text), ""), (printable_lines(text), "\n\t")):
        assert not UNSAFE.search(shown)
        assert not {"\n", "\t"} & set(shown) - set(kept)
        assert re.sub(r"\\(x..|u....|[nrt])", lambda found: found[0].encode().decode("unicode_escape"), shown) == text


@given(st.recursive(st.none() | st.integers() | st.text() | st.text(st.sampled_from([*CONTROLS, *DIRECTIONS])),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_is_read_back_as_it_was(value):
    text = printable_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(text) == value
    assert not UNSAFE.search(text)


# ---- the commands ----

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\u2066\x7f"
SHOWN = r"\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\u2066\x7f"


class Model(FakeModel):
    """As the commands load one."""

    config = SimpleNamespace(image_exact=False)


@pytest.fixture(autouse=True)
def own_model(monkeypatch):
    monkeypatch.setattr("vector_universe.models.load_run_model", lambda folder: Model())


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A universe that was made before texts were cleaned: everything in it, its own name too, means harm."""
    path = tmp_path_factory.mktemp("hostile") / "u \u202e"  # Lance takes no path with control characters
    examples = [Example(f"{EVIL}{number}", png(number), [f"title {EVIL}\nsecond line"], [f"label {EVIL}"],
                        ocr=f"burnt in {EVIL}", metadata={f"column {EVIL}": f"value {EVIL}", "views": EVIL})
                for number in range(3)]
    bring_up_to_date(Model(), Given(data_set(examples, name=f"name {EVIL}")), path, IndexOptions())
    return path


def said(capfd, *arguments, code=0):
    """What a command prints, once it is seen that none of it is unsafe."""
    found = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        found = stop.code
    out, err = capfd.readouterr()
    assert found == code, err
    assert not UNSAFE.search(out), ascii(out)
    assert not UNSAFE.search(err), ascii(err)
    return out, err


def test_a_table_of_matches(path, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    out, err = said(capfd, "search", path, "x", "-k2")
    for cell in (f"title {SHOWN}", "second line", f"label {SHOWN}", f"burnt in {SHOWN}", f"{SHOWN}0"):
        assert cell in out
    assert "more: --offset 2" in err


def test_matches_as_json_are_what_is_stored(path, capfd):
    out, _ = said(capfd, "search", path, "x", "--json")
    universe = Universe.open(path, Model())
    assert [hit["id"] for hit in json.loads(out)] == [hit.id for hit in universe.search("x")]
    assert all(EVIL in hit["title"] and EVIL in hit["labels"][0] for hit in json.loads(out))


@pytest.mark.parametrize("arguments", [
    ["x", "--where", f"column {EVIL}", "=", "1"], ["x", "--where", EVIL, "=", "1"], ["x", "--where", "views", ">", "5"],
    ["x", "--where", "predicted_probability", "=", EVIL], [f"--like={EVIL}"], [f"--image={EVIL}"],
    ["--hybrid", "--like", f"{EVIL}0"], ["x", f"--picture=/dev/null/{EVIL}"]])
def test_errors_of_a_search(path, arguments, capfd):
    out, err = said(capfd, "search", path, *arguments, code=2)
    assert out == ""
    assert len(err.splitlines()) == 1


def test_remarks_of_a_search(path, capfd, tmp_path):
    picture = tmp_path / f"{EVIL}.png"
    _, err = said(capfd, "search", path, "x", f"--picture={picture}", "--offset", "7")
    assert err.splitlines()[0].startswith("the picture is in")
    assert r"\x1b[2J" in err


def test_labelling(path, capfd):
    out, err = said(capfd, "label", path, f"one {EVIL}", "two")
    assert r"one \x1b[2J" in out + err
    counts = json.loads(said(capfd, "label", path, f"one {EVIL}", "two", "--json")[0])
    assert set(counts) <= {f"one {EVIL}", "two"}
    assert sum(counts.values()) == 3
    out, _ = said(capfd, "search", path, "x", "--json")
    assert any(hit["predicted_label"] for hit in json.loads(out))


def test_indexing(tmp_path, capfd):
    folder = tmp_path / f"data {EVIL}"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(png(0))
    (folder / "images" / "b.png").write_bytes(b"no picture")
    (folder / "metadata.csv").write_text(f'file_name,title,"col {EVIL}",_score\na.png,t,v,1\nb.png,t,v,2\n', "utf-8")
    for out in (tmp_path / "u \u202e", tmp_path / "u"):
        _, err = said(capfd, "index", "M", "--data", folder, "--out", out, f"--source=source {EVIL}")
        assert r"source \x1b[2J" in err
        assert "the column _score is stored as metadata__score" in err
    _, err = said(capfd, "index", "M", "--data", folder, "--out", folder, code=2)
    assert len(err.splitlines()) == 1


def test_one_line_errors_and_warnings(path, capfd, tmp_path, monkeypatch):
    said(capfd, "search", tmp_path / EVIL, "x", code=2)
    said(capfd, "evaluate", tmp_path / EVIL, "--data", tmp_path / EVIL, code=2)

    def fail(self, query):
        raise OSError(2, f"no {EVIL}", f"file {EVIL}\nand more")

    monkeypatch.setattr(Universe, "search", fail)
    _, err = said(capfd, "search", path, "x", code=2)
    assert err == f"vu: no {SHOWN} (file {SHOWN}\\nand more)\n"
    assert warnings.formatwarning(f"no {EVIL}\nand more", UserWarning, "a file", 1) == f"vu: no {SHOWN}\\nand more\n"
