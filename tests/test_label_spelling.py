"""A label is found in any case and Unicode form: in Python, on the command line, over HTTP, in universes of before."""

from __future__ import annotations

import json
import unicodedata

import pytest
from fastapi.testclient import TestClient

from tests.universe_folders import Folder, index
from tests.universes import FakeModel, data_set, png
from vector_universe.cli import main
from vector_universe.data.example import Example
from vector_universe.index import AnyOf, HasLabel, Not, Part, Query, Universe
from vector_universe.index.search.contents import folded
from vector_universe.serve import create_app
from vector_universe.serve.served.snapshot import open_to_stay

KOREAN, DECOMPOSED = "고양이", unicodedata.normalize("NFD", "고양이")
LABELS = {"a": ["Cat", "pet"], "b": ["CAT"], "c": ["cat", "Cat"], "d": ["cats"], "e": [KOREAN],
          "f": [DECOMPOSED, "dog"], "g": ["Straße"], "h": ["STRASSE"], "i": [], "j": ["it's 'quoted'"],
          "k": ["IT'S 'QUOTED'"], "l": ["Éclair"]}
FOUND = {"cat": "abc", "CAT": "abc", "Cat": "abc", "cats": "d", KOREAN: "ef", DECOMPOSED: "ef", "strasse": "gh",
         "STRAẞE": "gh", "IT's 'quoted'": "jk", "e\u0301clair": "l", "eclair": "", "c": "", "": "", "'": "", "bird": ""}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "u"
    Universe.build(FakeModel(), data_set([Example(id, png(number), [f"picture {id}"], labels)
                                          for number, (id, labels) in enumerate(LABELS.items())]), path)
    return path


@pytest.fixture(scope="module")
def universe(path):
    return Universe.open(path, FakeModel())


@pytest.fixture(autouse=True)
def own_model(monkeypatch):
    monkeypatch.setattr("vector_universe.models.load_run_model", lambda folder: FakeModel())


def others(ids):
    return "".join(sorted(set(LABELS) - set(ids)))


def ids(hits):
    return "".join(sorted(hits))


def test_the_labels_of_the_data_stand_as_they_were_written(universe):
    """Nothing is migrated: what is stored is what the data says, in each of its forms."""
    assert {id: universe.item(id).labels for id in LABELS} == LABELS


@pytest.mark.parametrize("label", FOUND)
def test_python(universe, label):
    for like in ((), (Part("picture"),)):
        assert ids(hit.id for hit in universe.search(Query(like, filters=(HasLabel(label),), k=20))) == FOUND[label]
        assert ids(hit.id for hit in universe.search(Query(like, filters=(Not(HasLabel(label)),), k=20))) == others(
            FOUND[label])
    either = universe.search(Query(filters=(AnyOf((HasLabel(label), HasLabel("PET"))),), k=20))
    assert ids(hit.id for hit in either) == ids({*FOUND[label], "a"})
    assert len(universe.kept(Query(filters=(HasLabel(label),)))) == len(FOUND[label])


@pytest.mark.parametrize("label", FOUND)
def test_the_command_line(path, label, capsys):
    for option, expected in (("--label", FOUND[label]), ("--not-label", others(FOUND[label]))):
        main(["search", str(path), "picture", f"{option}={label}", "--json", "-k", "20"])
        assert ids(hit["id"] for hit in json.loads(capsys.readouterr().out)) == expected


@pytest.mark.parametrize("opened", [Universe.open, open_to_stay])
def test_the_server(path, opened):
    with TestClient(create_app(opened(path, FakeModel()))) as client:
        for label, expected in FOUND.items():
            has = {"kind": "has_label", "label": label}
            for filter, found in ((has, expected), ({"kind": "not", "filter": has}, others(expected))):
                hits = client.post("/api/search", json={"filters": [filter], "k": 20}).json()["hits"]
                assert ids(hit["id"] for hit in hits) == found
            table = client.post("/api/export", json={"filters": [has]}).text
            assert len(table.splitlines()) == 1 + len(expected)


def test_labels_that_come_later_are_found(tmp_path):
    data, out = Folder(tmp_path / "data", range(4)), tmp_path / "u"
    index(data, out)
    before = Universe.open(out, FakeModel())
    assert len(before.search(Query(filters=(HasLabel("EVEN"),)))) == 2
    data.rows["001.png"]["labels"] = "Even"
    data.write()
    index(data, out)
    assert len(Universe.open(out, FakeModel()).search(Query(filters=(HasLabel("EVEN"),)))) == 3
    assert len(before.search(Query(filters=(HasLabel("EVEN"),)))) == 2  # it stays what it was


def test_folding_is_that_of_unicode():
    """Canonical caseless matching, definition D145, composed again."""
    for code in (*range(0x250), 0x1e9e, 0x130, 0x131, 0x345, 0x3a3, 0x3c2, 0xac00, 0x1f600):
        text = chr(code) + "\u0301"
        decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
        assert unicodedata.normalize("NFD", folded(text)) == decomposed
        assert folded(folded(text)) == folded(text)
