"""Words in burnt-in text: what counts as one, and how they narrow a search down."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.universes import FakeModel, data_set, png
from vector_universe import Universe, UserError
from vector_universe.cli import main
from vector_universe.data.example import Example
from vector_universe.index.search.burnt_in import BurntInText

TEXTS = ["React in 100 seconds", "", "REACT: react vs Vue", "chain reaction", "vue.js 3", "세종대왕은 누구인가",
         "C++ と日本語の本", "Ｒｅａｃｔ　ＮＡＴＩＶＥ", "STRASSE 5 ユーザー名", "a'; DROP TABLE items; --"]


@pytest.mark.parametrize(("words", "rows"), [
    ("react", [2, 0, 7]), ("REACT", [2, 0, 7]), ("vue react", [2]), ("react react", [2, 0, 7]),
    ("reac", []), ("reaction", [3]), ("100", [0]), ("10", []), ("vue.js", [4]), ("js", [4]), ("native", [7]),
    ("세종대왕", [5]), ("ユーザー", [8]), ("日本", [6]), ("c++", [6]), ("straße", [8]), ("'; drop", [9]),
    (".*", []), ("5", [8])])
def test_words_are_found_whole_whatever_their_case(words, rows):
    assert BurntInText(TEXTS).rows(words) == rows


def test_nothing_to_look_for_or_to_look_in():
    with pytest.raises(UserError, match="no word to look for"):
        BurntInText(TEXTS).rows(" \n")
    with pytest.raises(UserError, match=r"no item .* burnt-in text: read it off the pictures with `vu index … --ocr"):
        BurntInText(["", ""]).rows("react")


@pytest.fixture(scope="module")
def examples():
    return [Example(f"item-{n}", png(n), [f"picture {n}"], [], ocr=f"Sign {'react ' * (n % 3)}{n}") for n in range(60)]


@pytest.fixture(scope="module")
def universe(examples, tmp_path_factory):
    return Universe.build(FakeModel(), data_set(examples), tmp_path_factory.mktemp("u") / "u")


@pytest.mark.parametrize("k", [1, 9, 40, 100])
def test_a_filter_never_starves(universe, examples, k):
    """Among the items with the words, the k nearest: as of the whole list, filtered afterwards."""
    for query in ({"query": "a red balloon"}, {"image": examples[4].image}, {"query": "x", "image": examples[4].image}):
        expected = tuple(hit for hit in universe.search(**query, k=60) if "react" in hit.ocr)[:k]
        assert universe.search(**query, k=k, burnt_in="REACT").hits == expected
        assert len(expected) == min(k, 40)
    assert [hit.id for hit in universe.search("far away", k=9, burnt_in="sign 59")] == ["item-59"]
    assert not universe.search("x", burnt_in="nowhere")


def test_alone_those_come_first_in_which_the_words_stand_most_often(universe):
    hits = universe.search(burnt_in="react", k=30)
    assert [hit.id for hit in hits] == [f"item-{n}" for n in [*range(2, 60, 3), *range(1, 30, 3)]]
    assert {hit.score for hit in hits} == {None}
    assert hits[0].ocr == "Sign react react 2"
    assert universe.search(" ", burnt_in="sign", k=2) == universe.search(burnt_in="sign", k=2)
    with pytest.raises(UserError, match="at least 1"):
        universe.search(burnt_in="react", k=0)


def test_hits_carry_the_text_and_it_comes_back_after_opening(universe, examples):
    again = Universe.open(universe.place.uri, FakeModel())
    for hit in [*again.search("x", k=60), *again.neighbours("item-3")]:
        assert hit.ocr == examples[int(hit.id[5:])].ocr


def test_without_burnt_in_text_the_way_out_is_named(tmp_path):
    universe = Universe.build(FakeModel(), data_set([Example("a", png(1), ["a"], [])]), tmp_path / "u")
    for query in ({}, {"query": "x"}):
        with pytest.raises(UserError, match="vu index … --ocr"):
            universe.search(**query, burnt_in="react")
    assert universe.search("x")[0].ocr == ""


def test_the_command_line(universe, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vector_universe.models.load_run_model", lambda folder: FakeModel())
    path = universe.place.uri
    main(["search", path, "balloon", "--burnt-in", "react", "--json", "-k", "3"])
    found = json.loads(capsys.readouterr().out)
    assert [set(hit) for hit in found] == [{"id", "title", "labels", "score", "probability", "ocr"}] * 3
    assert all("react" in hit["ocr"] and hit["score"] <= 1 for hit in found)
    main(["search", path, "--burnt-in", "react", "-k", "3", "--picture", str(tmp_path / "m.png")])
    shown = capsys.readouterr().out
    assert "burnt-in text" in shown
    assert "react react 2" in shown
    assert "score" not in shown
    assert (tmp_path / "m.png").stat().st_size > 1000
    main(["search", path, "--burnt-in", "react", "--json", "-k", "1"])
    assert json.loads(capsys.readouterr().out)[0]["score"] is None
    main(["search", path, "--burnt-in", "nowhere"])
    assert "nothing passes the filters" in capsys.readouterr().err


def test_many_items_are_looked_through_at_once():
    draw = np.random.default_rng(0)
    texts = [" ".join(f"word{number}" for number in draw.integers(0, 500, 12)) for _ in range(5000)]
    rows = BurntInText(texts).rows("word7 word9")
    assert sorted(rows) == [row for row, text in enumerate(texts) if {"word7", "word9"} <= set(text.split())]
