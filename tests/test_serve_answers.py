"""What the API answers, against the universe itself."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from tests.universe_api import ODD_ID, asked, examples, form, read_map, write_universe
from tests.universes import WIDTH, FakeModel, data_set, png
from vector_universe.data.example import Example
from vector_universe.index import Compare, HasLabel, Not, Part, Query, Universe
from vector_universe.models.calibration import Calibration

WHOLE = [[-2, -2], [2, -2], [2, 2], [-2, 2]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_universe(tmp_path_factory.mktemp("universes") / "u")


@pytest.fixture(scope="module")
def universe(folder):
    return Universe.open(folder, FakeModel())


@pytest.fixture(scope="module")
def client(folder):
    with asked(folder) as client:
        yield client


def ids_of(answer):
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["hits"]]


# ---- the universe ----

def test_facts(client):
    info = client.get("/api/info").json()
    assert (info["name"], info["attribution"]) == ("Test set", "drawn here")
    assert (info["count"], info["dimension"]) == (12, WIDTH)
    assert info["labels"] == client.get("/api/labels").json() == [
        {"name": "all", "count": 11}, {"name": "even", "count": 6}, {"name": "odd", "count": 5}]
    assert info["columns"] == [{"name": "year", "kind": "int"}, {"name": "note", "kind": "text"},
                               {"name": "split", "kind": "text"}]
    assert (info["vectors"], info["columns_of_vectors"]) == ("image", ["image", "text"])
    assert (info["calibrated"], info["recall"], info["remark"], info["other"]) == (False, None, None, None)
    assert info["version"] == client.get("/api/health").json()["version"]
    assert info["model"] == FakeModel().fingerprint()[:12]


def test_the_map(client, universe):
    answer = client.get("/api/map")
    header, columns = read_map(answer.content)
    points = universe.map_points()
    assert header["count"] == 12
    assert all(column["offset"] % 4 == 0 for column in header["columns"])
    np.testing.assert_array_equal(columns["x"], points.x)
    np.testing.assert_array_equal(columns["y"], points.y)
    names = [label["name"] for label in client.get("/api/labels").json()]
    starts = columns["label_start"].tolist()
    carried = [{names[number] for number in columns["labels"][start:end]}
               for start, end in pairwise(starts)]
    assert carried == [set(labels) for labels in points.labels]
    unchanged = client.get("/api/map", headers={"if-none-match": answer.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert client.get("/api/map", headers={"if-none-match": '"other"'}).status_code == 200


def test_labels_that_an_item_has_twice_or_not_at_all(tmp_path):
    labels = [["b", "a", "b"], [], ["b"], ["가", "a"]]
    Universe.build(FakeModel(), data_set([Example(f"i{n}", png(n), ["t"], one) for n, one in enumerate(labels)]),
                   tmp_path / "u")
    with asked(tmp_path / "u") as client:
        names = [label["name"] for label in client.get("/api/labels").json()]
        _, columns = read_map(client.get("/api/map").content)
    assert names == ["a", "b", "가"]
    assert columns["label_start"].tolist() == [0, 2, 2, 3, 5]
    assert [names[number] for number in columns["labels"]] == ["b", "a", "b", "가", "a"]


def test_items(client, universe):
    answer = client.get("/api/map/items?row=5&row=3&row=5").json()
    assert [(item["row"], item["id"], item["title"]) for item in answer["items"]] == [
        (5, "item-5", "picture 5"), (3, "item-3", "picture 3"), (5, "item-5", "picture 5")]
    item = client.get("/api/items/item-3").json()
    points = universe.map_points()
    assert (item["x"], item["y"]) == (pytest.approx(points.x[3]), pytest.approx(points.y[3]))
    assert (item["row"], item["labels"], item["metadata"]) == (3, ["odd", "all"], {"year": 2003, "note": "=1+1"})
    picture = client.get("/api/thumbnails/item-3")
    assert picture.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(picture.content)).size == (24, 16)
    for id in (quote(ODD_ID), quote(ODD_ID, safe="")):
        assert client.get(f"/api/items/{id}").json()["id"] == ODD_ID
        assert client.get(f"/api/thumbnails/{id}").content == universe.thumbnail(ODD_ID)


# ---- search ----

@pytest.mark.parametrize(("request_", "query"), [
    ({"like": [{"text": "a tree"}]}, Query.of("a tree")),
    ({"like": [{"item": "item-3", "weight": 2}, {"text": "a tree"}]},
     Query((Part(item="item-3", weight=2), Part(text="a tree")))),
    ({"like": [{"text": "a tree"}], "without": [{"item": "item-1", "weight": 0.5}]},
     Query((Part(text="a tree"),), (Part(item="item-1", weight=0.5),))),
    ({"like": [{"text": "a tree"}], "filters": [
        {"kind": "compare", "column": "year", "operator": ">", "value": 2003},
        {"kind": "not", "filter": {"kind": "has_label", "label": "odd"}}]},
     Query.of("a tree", filters=[Compare("year", ">", 2003), Not(HasLabel("odd"))])),
    ({"like": [{"text": "picture"}], "hybrid": True, "against": "text"},
     Query.of("picture", hybrid=True, against="text")),
    ({"like": [{"vector": [1.0] * WIDTH}], "distinct": True, "effort": "exact"},
     Query.of(vector=[1.0] * WIDTH, distinct=True, effort="exact")),
])
def test_search_is_the_universes(client, universe, request_, query):
    answer = client.post("/api/search", json={**request_, "k": 5}).json()
    expected = universe.search(Query(**{**query.__dict__, "k": 5}))
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in expected]
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx([hit.score for hit in expected], abs=1e-6)
    assert (answer["among"], answer["next_offset"]) == (expected.among, expected.next_offset)
    ids = universe.map_points().ids
    assert [ids[hit["row"]] for hit in answer["hits"]] == [hit["id"] for hit in answer["hits"]]


def test_search_by_uploads(client, universe):
    pictures = [png(3), png(7)]
    asked_for = {"like": [{"upload": 1}], "without": [{"upload": 0}], "k": 4}
    answer = client.post("/api/search", **form(asked_for, *pictures))
    expected = universe.search(Query((Part(image=pictures[1]),), (Part(image=pictures[0]),), k=4))
    assert ids_of(answer) == [hit.id for hit in expected]
    assert ids_of(client.post("/api/search", **form({"like": [{"upload": 0}]}, pictures[0])))[0] == "item-3"


def test_pages_join(client):
    whole = ids_of(client.post("/api/search", json={"like": [{"text": "a tree"}], "k": 12}))
    pages, offset = [], 0
    while offset is not None:
        answer = client.post("/api/search", json={"like": [{"text": "a tree"}], "k": 5, "offset": offset})
        pages, offset = pages + ids_of(answer), answer.json()["next_offset"]
    assert pages == whole
    assert len(set(whole)) == 12


def test_a_listing_has_no_scores(client):
    answer = client.post("/api/search", json={"filters": [{"kind": "has_label", "label": "odd"}]}).json()
    assert [hit["id"] for hit in answer["hits"]] == [f"item-{number}" for number in range(1, 11, 2)]
    assert answer["hits"][0]["score"] is None
    assert answer["position"] is None


def test_a_region_keeps_what_lies_in_it(client, universe):
    points = universe.map_points()
    right = [[0, -2], [2, -2], [2, 2], [0, 2]]
    there = {id for id, x in zip(points.ids, points.x, strict=True) if x > 0}
    assert set(ids_of(client.post("/api/search", json={"region": right}))) == there
    asked_for = {"like": [{"text": "a tree"}], "region": right,
                 "filters": [{"kind": "has_label", "label": "all"}]}
    answer = client.post("/api/search", json=asked_for)
    assert set(ids_of(answer)) == there - {ODD_ID}
    assert answer.json()["among"] == len(there - {ODD_ID})
    everywhere = client.post("/api/search", json={"like": [{"text": "a tree"}], "region": WHOLE})
    assert ids_of(everywhere) == ids_of(client.post("/api/search", json={"like": [{"text": "a tree"}]}))


def test_where_a_query_belongs(client, universe):
    points = universe.map_points()
    of_item = client.post("/api/search", json={"like": [{"item": "item-3"}]}).json()
    assert of_item["position"] == {"x": pytest.approx(points.x[3]), "y": pytest.approx(points.y[3])}
    assert "item-3" not in [hit["id"] for hit in of_item["hits"]]
    same = client.post("/api/search", **form({"like": [{"upload": 0}]}, png(4))).json()["position"]
    assert (same["x"], same["y"]) == pytest.approx((points.x[4], points.y[4]), abs=0.02)
    assert client.post("/api/search", json={"like": [{"text": "x"}], "k": 2, "offset": 4}).json()["position"] is None


def test_scores_of_all_items(client, universe):
    found = np.frombuffer(client.post("/api/scores", json={"like": [{"text": "a tree"}]}).content, "<f4")
    expected = {hit.id: hit.score for hit in universe.search("a tree", k=12)}
    assert found == pytest.approx([expected[id] for id in universe.map_points().ids], abs=1e-5)


def test_export(client):
    answer = client.post("/api/export", json={"filters": [{"kind": "has_label", "label": "odd"}]})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.content.startswith("\ufeff".encode())
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == [f"item-{number}" for number in range(1, 11, 2)]
    assert list(rows[0]) == ["id", "title", "labels", "predicted_label", "topic", "x", "y", "year", "note"]
    assert (rows[1]["labels"], rows[1]["note"], rows[1]["year"]) == ("odd; all", "'=1+1", "2003")
    everything = client.post("/api/export", json={}).content.decode("utf-8-sig")
    assert len(list(csv.reader(io.StringIO(everything)))) == 1 + len(examples())
    nothing = client.post("/api/export", json={"filters": [{"kind": "has_label", "label": "none"}]})
    assert len(nothing.content.decode().splitlines()) == 1


# ---- the model ----

def test_classify(client, folder):
    labels = ["cat", "dog", "한국 음식"]
    for request in ({"json": {"labels": labels, "part": {"item": "item-2"}}},
                    form({"labels": labels, "part": {"upload": 0}}, png(2))):
        found = client.post("/api/classify", **request).json()
        assert {label["name"] for label in found["labels"]} == set(labels)
        assert sum(label["probability"] for label in found["labels"]) == pytest.approx(1, abs=1e-5)
        assert [label["score"] for label in found["labels"]] == sorted(
            (label["score"] for label in found["labels"]), reverse=True)
        assert (found["labels"][0]["match"], found["doubt"]) == (None, None)


def test_classify_says_that_nothing_fits(folder):
    model = FakeModel()
    model.calibration = Calibration(12.0, -3.0, 100, 0.9, 50, "data", model.fingerprint())
    with asked(folder, model) as client:
        assert client.get("/api/info").json()["calibrated"] is True
        found = client.post("/api/classify", json={"labels": ["cat", "dog"], "part": {"item": "item-2"}}).json()
    best = found["labels"][0]
    assert best["match"] == pytest.approx(model.calibration.probability(best["score"], 2), abs=1e-5)
    assert found["doubt"].startswith(f"none of these fits: the likeliest is {best['name']!r}")


def test_embed(client):
    found = client.post("/api/embed", **form({"parts": [{"text": "a tree"}, {"upload": 0}, {"item": "item-2"}]},
                                             png(1))).json()
    assert found["dimension"] == WIDTH
    model = FakeModel()
    np.testing.assert_allclose(found["vectors"][0], model.embed_texts(["a tree"])[0], atol=1e-6)
    np.testing.assert_allclose(found["vectors"][1], model.embed_images([png(1)])[0], atol=1e-6)
    np.testing.assert_allclose(found["vectors"][2], model.embed_images([png(2)])[0], atol=1e-3)


def test_openapi_describes_requests_and_answers(client):
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert {"SearchRequest", "SearchAnswer", "ClassifyRequest", "EmbedRequest", "Part"} <= set(schemas)
    body = document["paths"]["/api/search"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    named = str(document).split("'$ref': '#/components/schemas/")[1:]
    assert {one.partition("'")[0] for one in named} <= set(schemas)
