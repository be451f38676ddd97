"""Values that begin with a dash reach their option as they were typed, and options stay options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import tyro

from vector_universe.cli import main
from vector_universe.cli.dashes import guarded, options_of, unguarded
from vector_universe.cli.index import Index, Search
from vector_universe.cli.main import VERBS
from vector_universe.cli.serve import Serve
from vector_universe.data.options import LoadOptions
from vector_universe.errors import UserError


def parsed(verb, *arguments):
    return unguarded(tyro.cli(verb, args=guarded(verb, arguments)))


TYPED = {
    "an id of YouTube": (["--like", "-tiUDjn7-as.jpg"], {"like": ("-tiUDjn7-as.jpg",)}),
    "of two dashes": (["--like", "--1DlfXv0dM.jpg"], {"like": ("--1DlfXv0dM.jpg",)}),
    "two in a row": (["--like", "-a.jpg", "--like", "-b.jpg"], {"like": ("-a.jpg", "-b.jpg")}),
    "a dash alone": (["--label", "-"], {"label": ("-",)}),
    "dashes alone": (["--label", "---"], {"label": ("---",)}),
    "a number": (["--label", "-5"], {"label": ("-5",)}),
    "a text with spaces": (["--without", "-- not this"], {"without": ("-- not this",)}),
    "a line of its own": (["--without", "-a\n-b"], {"without": ("-a\n-b",)}),
    "with an equals sign": (["--like=-a", "--label=--json"], {"like": ("-a",), "label": ("--json",)}),
    "an equals sign in it": (["--like", "-a=b"], {"like": ("-a=b",)}),
    "a path": (["--image", "-a/b.png", "--picture", "-c.png"], {"image": (Path("-a/b.png"),),
                                                                 "picture": Path("-c.png")}),
    "labels": (["--not-label", "-x", "--not_label", "-y"], {"not_label": ("-x", "-y")}),
    "a condition": (["--where", "id", "=", "-a.jpg"], {"where": (("id", "=", "-a.jpg"),)}),
    "a column": (["--where", "-a", ">", "-0.5", "-k5"], {"where": (("-a", ">", "-0.5"),), "k": 5}),
    "then an option": (["--like", "-a", "-k", "5", "--json"], {"like": ("-a",), "k": 5, "json": True}),
    "like an option with more": (["--like", "-k5Dr3.jpg", "--like", "-kitten"], {"like": ("-k5Dr3.jpg", "-kitten")}),
    "then texts": (["--like", "-a", "circle"], {"like": ("-a",), "text": ("circle",)}),
    "after the end of options": (["--like", "-a", "--", "-k", "--json"], {"like": ("-a",), "text": ("-k", "--json")}),
    "numbers": (["x", "y", "--weights", "1", "-0.5", "--json", "-k", "5"], {"text": ("x", "y"), "weights": (1, -0.5),
                                                                            "json": True, "k": 5}),
    "short ones": (["-k=5"], {"k": 5}),
    "joined": (["-k5", "--no-json"], {"k": 5, "json": False}),
}


@pytest.mark.parametrize("name", TYPED)
def test_a_search_is_what_was_typed(name):
    arguments, expected = TYPED[name]
    search = parsed(Search, "U", *arguments)
    assert {field: getattr(search, field) for field in expected} == expected
    rest = Search("U")
    assert all(getattr(search, field) == getattr(rest, field) for field in vars(rest)
               if field not in expected and field != "universe")
    assert search.universe == "U"


def test_options_of_many_values_and_nested_settings():
    index = parsed(Index, "M", "--data", "-d", "--out", "-o", "--text-columns", "-a", "b", "-c", "--label-columns",
                   "-e", "--id-prefix", "-p/", "--workers", "2", "--group-duplicates")
    assert (index.model, index.data, index.out, index.id_prefix, index.workers) == ("M", "-d", "-o", "-p/", 2)
    assert index.load == LoadOptions(text_columns=("-a", "b", "-c"), label_columns=("-e",), group_duplicates=True)
    assert parsed(Serve, "U", "--token", "-secret", "--port", "1").token == "-secret"


@pytest.mark.parametrize(("words", "way_out"), [
    (["--like", "-k5"], "--like=-k5"), (["--like", "-k", "5"], "--like=-k"), (["--like", "--json"], "--like=--json"),
    (["--like", "--jsom"], "--like=--jsom"), (["--label", "-h"], "--label=-h"),
    (["--label", "-a", "--not-label", "--image=x"], "--not-label=--image=x")])
def test_where_it_cannot_be_told_the_way_out_is_said(words, way_out):
    with pytest.raises(UserError, match=f"needs a value, .* looks like an option: .* write {re.escape(way_out)}$"):
        guarded(Search, ["U", *words])
    option, _, value = way_out.partition("=")
    assert value in map(str, getattr(parsed(Search, "U", way_out), option[2:].replace("-", "_")))


@pytest.mark.parametrize("arguments", [
    ["U", "--jsom"], ["U", "-foo"], ["U", "--like", "-a", "-b"], ["U", "--json", "-foo"], ["U", "--like"],
    ["U", "-k", "-foo"], ["U", "--where", "a", "="], ["U", "--where", "a", "-x", "b"]])
def test_what_is_a_mistake_stays_one(arguments, capfd):
    with pytest.raises(SystemExit) as stop:
        main(["search", *arguments])
    assert stop.value.code == 2
    assert "\ufdd0" not in capfd.readouterr().err


def test_the_command_takes_it(capsys):
    for arguments, says in ((["search", "nowhere", "--like", "-a"], "nowhere does not exist"),
                            (["train", "--data", "x", "--out", "y", "--settings", "-run"], "vu: -run"),
                            (["train", "--data", "x", "--out", "y", "--recipe", "-r"], "vu: there is no recipe '-r'"),
                            (["search", "nowhere", "--like", "-k5"], "write --like=-k5")):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        assert says in capsys.readouterr().err


@dataclass(frozen=True)
class Subverb:
    """As `vu data`: one of several verbs of its own."""

    verb: tyro.conf.OmitSubcommandPrefixes[Search | Index]


def test_verbs_inside_of_a_verb():
    found = parsed(Subverb, "search", "U", "--like", "-a")
    assert found.verb == Search("U", like=("-a",))


@pytest.mark.parametrize("name", VERBS)
def test_options_are_those_that_the_help_shows(name, capsys):
    shown = {}
    for verb in [[name, inner] for inner in ("check", "import", "curate")] if name == "data" else [[name]]:
        with pytest.raises(SystemExit):
            main([*verb, "--help"])
        for line in capsys.readouterr().out.splitlines():
            head = re.split(r"\s{2,}", line.strip("│ "))[0]
            if head.startswith("-"):
                shown |= dict.fromkeys(re.findall(r"(?<!\S)--?[a-z][a-z-]*", head), head)
    options = options_of(VERBS[name])
    assert set(options) == set(shown)
    for option, head in shown.items():
        of_words = re.sub(r"\{[^}]*\}\|?|FLOAT|INT", "", head)
        assert any(options[option].texts) == bool(re.search(r"[A-Z]", of_words)), head
