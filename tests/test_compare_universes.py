"""Two universes of the same items by different models, served side by side."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from tests.universes import FakeModel, data_set, examples_of
from vector_universe.errors import UserError
from vector_universe.index import Query, Universe
from vector_universe.serve.app import create_app
from vector_universe.serve.served.compare import compare, put
from vector_universe.serve.served.snapshot import Served, Snapshot


class Turned(FakeModel):
    """Sees the same pictures otherwise: some directions count less."""

    def embed_images(self, images, batch_size=256):
        vectors = super().embed_images(images, batch_size) * np.geomspace(1, 0.05, 48, dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """40 items by one model; and 34 of these, two more, in another order, with other words, by another."""
    folder = tmp_path_factory.mktemp("compared")
    first = examples_of(40)
    other = [replace(example, texts=[f"other {example.id}"], labels=["other"])
             for example in [*reversed(first[:34]), *examples_of(42)[40:]]]
    Universe.build(FakeModel(), data_set(first, "Base"), folder / "base")
    Universe.build(Turned("two"), data_set(other, "Adapted"), folder / "adapted")
    return folder


@pytest.fixture(scope="module")
def universes(folders):
    return Universe.open(folders / "base", FakeModel()), Universe.open(folders / "adapted", Turned("two"))


@pytest.fixture(scope="module")
def compared(universes):
    return compare(*map(Snapshot.of, universes))


@pytest.fixture(scope="module")
def client(universes):
    with TestClient(create_app(universes[0], compare_with=universes[1])) as client:
        yield client


def map_of(client, side):
    content = client.get(f"/api/map?of={side}").content
    header = json.loads(content[4:4 + struct.unpack("<I", content[:4])[0]])
    types = {"x": "<f4", "y": "<f4", "topic": "<u2", "label_start": "<u4", "labels": "<u2"}
    return header["version"], {column["name"]: np.frombuffer(content, types[column["name"]], column["length"],
                                                             column["offset"]) for column in header["columns"]}


def test_the_other_map_lies_over_the_first_in_its_rows(client, universes):
    version, here = map_of(client, "this")
    other_version, there = map_of(client, "other")
    assert version == other_version == client.get("/api/health").json()["version"]
    missing = np.isnan(there["x"])
    assert missing.tolist() == [row >= 34 for row in range(40)]
    assert (np.abs(there["x"][:34]) <= 1).all()
    assert (there["labels"] == here["labels"]).all()
    # what turning, mirroring, scaling and shifting cannot change: who is how far from whom, up to one factor
    points = universes[1].map_points()
    own = {id: (x, y) for id, x, y in zip(points.ids, points.x, points.y, strict=True)}
    before = np.array([own[f"item-{row}"] for row in range(34)])
    after = np.stack([there["x"][:34], there["y"][:34]], axis=1)
    inside = (np.abs(after) < 1).all(axis=1)
    ratios = (np.linalg.norm(after[inside, None] - after[None, inside], axis=2)[np.triu_indices(inside.sum(), 1)]
              / np.linalg.norm(before[inside, None] - before[None, inside], axis=2)[np.triu_indices(inside.sum(), 1)])
    np.testing.assert_allclose(ratios, ratios.mean(), rtol=1e-3)


def test_the_page_is_told_of_the_other_universe(client, universes):
    other = client.get("/api/info").json()["other"]
    assert other["name"] == "Adapted"
    assert other["shared"] == 34
    assert 0 < other["kept"] < 1
    assert universes[1].generation.model_fingerprint[:12] in other["model"]
    if other["topics"] is not None:
        assert all(abs(topic["x"]) <= 1 for topic in other["topics"]["fine"])


def test_a_search_of_the_other_gives_its_scores_in_rows_and_words_of_the_first(client, universes):
    asked = {"like": [{"text": "a picture"}], "k": 40, "of": "other"}
    answer = client.post("/api/search", json=asked).json()
    wanted = [hit for hit in universes[1].search(Query.of("a picture", k=36)) if int(hit.id[5:]) < 34]
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in wanted]
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx([hit.score for hit in wanted], abs=1e-5)
    assert all(hit["row"] == int(hit["id"][5:]) for hit in answer["hits"])
    assert {hit["title"] for hit in answer["hits"]} == {f"picture {row}" for row in range(34)}
    assert answer["among"] == 34
    assert answer["position"] is not None


def test_pages_of_the_other_are_full_and_hold_everything_once(client):
    asked = {"like": [{"text": "a picture"}], "k": 10, "of": "other"}
    found, offset = [], 0
    while offset is not None:
        page = client.post("/api/search", json=asked | {"offset": offset}).json()
        found += [hit["row"] for hit in page["hits"]]
        offset = page["next_offset"]
    assert sorted(found) == list(range(34))


def test_filters_and_regions_are_those_of_the_first(client):
    asked = {"like": [{"text": "a picture"}], "k": 40, "of": "other",
             "filters": [{"kind": "has_label", "label": "odd"}]}
    answer = client.post("/api/search", json=asked).json()
    assert sorted(hit["row"] for hit in answer["hits"]) == list(range(1, 34, 2))
    assert answer["among"] == 17
    _, here = map_of(client, "this")
    left = float(np.median(here["x"]))
    region = [[-1, -1], [left, -1], [left, 1.001], [-1, 1.001]]
    answer = client.post("/api/search", json={"like": [{"text": "a picture"}], "k": 40, "of": "other",
                                              "region": region}).json()
    assert {hit["row"] for hit in answer["hits"]} <= set(np.flatnonzero(here["x"] <= left).tolist())
    assert answer["hits"]
    listing = client.post("/api/search", json=asked | {"like": []}).json()
    assert listing["hits"] == client.post("/api/search", json=asked | {"like": [], "of": "this"}).json()["hits"]


def test_scores_of_the_other_stand_in_rows_of_the_first(client):
    asked = {"like": [{"item": "item-3"}], "of": "other", "k": 40}
    scores = np.frombuffer(client.post("/api/scores", json=asked).content, "<f4")
    assert len(scores) == 40
    assert np.isnan(scores[34:]).all()
    hits = client.post("/api/search", json=asked).json()["hits"]
    assert [hit["score"] for hit in hits] == pytest.approx([scores[hit["row"]] for hit in hits], abs=1e-5)


def test_neighbours_that_stayed_are_counted(client, compared):
    answer = client.get("/api/compared/item-3?k=10").json()
    rows = [{hit["row"] for hit in answer[side]} for side in ("here", "there")]
    assert all(len(side) == 10 and max(side) < 34 and 3 not in side for side in rows)
    assert answer["shared"] == len(rows[0] & rows[1])
    shared = [client.get(f"/api/compared/item-{row}").json()["shared"] / 10 for row in range(34)]
    assert compared.other.kept == pytest.approx(np.mean(shared), abs=0.02)


def test_what_makes_no_sense_is_refused_in_one_line(client, universes):
    for path in ("item-39", "item-41", "nobody", "..%2f..", "item-3?k=0"):
        answer = client.get(f"/api/compared/{path}")
        assert answer.status_code in (400, 404, 422), path
        assert len(answer.json()["detail"].splitlines()) == 1
    missing = client.post("/api/search", json={"like": [{"item": "item-39"}], "of": "other"})
    only_there = client.post("/api/search", json={"like": [{"item": "item-41"}], "of": "other"})
    assert (missing.status_code, only_there.status_code) == (400, 400)
    with TestClient(create_app(universes[0])) as alone:
        for answer in (alone.get("/api/map?of=other"), alone.get("/api/compared/item-3"),
                       alone.post("/api/search", json={"like": [{"item": "item-3"}], "of": "other"})):
            assert (answer.status_code, "--compare" in answer.json()["detail"]) == (400, True)
        assert alone.get("/api/info").json()["other"] is None


def test_universes_of_other_items_are_not_compared(universes, tmp_path):
    strangers = [replace(example, id=f"else-{example.id}") for example in examples_of(5)]
    Universe.build(FakeModel(), data_set(strangers), tmp_path / "strangers")
    with pytest.raises(UserError, match="no item of"):
        create_app(universes[0], compare_with=Universe.open(tmp_path / "strangers", FakeModel()))


def test_a_universe_compared_with_itself_is_the_same(universes):
    same = compare(Snapshot.of(universes[0]), Snapshot.of(universes[0])).other
    assert (same.shared, same.kept) == (40, 1.0)
    np.testing.assert_allclose(same.x_N, same.here.x_N, atol=1e-5)


@pytest.mark.parametrize("side", ["this", "other"])
def test_either_side_can_be_replaced_while_it_is_served(universes, side):
    first, second = map(Snapshot.of, universes)
    served = Served(compare(first, second))
    before = served.current
    put(served, replace(first if side == "this" else second, version="new"), side)
    assert served.current.version != before.version
    assert served.current.version == ("new+" + second.version if side == "this" else first.version + "+new")
    assert served.current.other.shared == 34
    strangers = _renamed(first if side == "this" else second)
    with pytest.raises(UserError):
        put(served, strangers, side)
    assert served.current.other.shared == 34


def _renamed(snapshot):
    return replace(snapshot, ids=pa.array([f"else-{id}" for id in snapshot.ids.to_pylist()], pa.large_string()))
