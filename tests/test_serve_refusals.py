"""What the API refuses: one clear line each, and nothing of it reaches the model."""

from __future__ import annotations

import json
import random
import time

import pytest

from tests.served import one_line
from tests.universe_api import asked, bomb, form, write_universe
from tests.universes import WIDTH, FakeModel, png
from vector_universe.serve.api.requests import MAX_TEXT
from vector_universe.serve.api.uploads import MAX_JSON, MAX_UPLOAD

JSON = {"content-type": "application/json"}
DEEP = '{"kind":"not","filter":' * 90 + '{"kind":"has_label","label":"odd"}' + "}" * 90


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with asked(write_universe(tmp_path_factory.mktemp("universes") / "u")) as client:
        yield client


@pytest.mark.parametrize("query", [{}, {"like": [{"text": ""}]}, {"like": [{"text": " \n\t"}]}, {"like": []}])
def test_an_empty_query(client, query):
    assert "nothing to search for" in one_line(client.post("/api/search", json=query), 400)


def test_an_empty_body_asks_for_nothing(client):
    assert "nothing to search for" in one_line(client.post("/api/search"), 400)
    one_line(client.post("/api/classify"), 422)
    one_line(client.post("/api/embed"), 422)


@pytest.mark.parametrize(("field", "value"), [
    ("k", 0), ("k", -1), ("k", 201), ("k", "5"), ("k", 1.5), ("k", True), ("k", None), ("k", 10**30),
    ("offset", -1), ("offset", 10**7), ("effort", "most"), ("against", "smell"), ("hybrid", "yes"), ("of", "both"),
    ("like", "a tree"), ("like", [1]), ("like", [{"text": 5}]), ("like", [{"words": "x"}]), ("limit", 5),
    ("like", [{"text": "x"}] * 17), ("like", [{"text": "x", "weight": 0}]), ("like", [{"text": "x", "weight": -1}]),
    ("like", [{"text": "x", "weight": "heavy"}]), ("like", [{"upload": 8}]), ("like", [{"upload": -1}]),
    ("filters", [{"kind": "near", "label": "x"}]), ("filters", [{"label": "x"}]), ("filters", [{"kind": "has_label"}]),
    ("filters", [{"kind": "compare", "column": "year", "operator": "~", "value": 1}]),
    ("filters", [{"kind": "compare", "column": "year", "operator": "=", "value": [1]}]),
    ("region", [[0, 0], [1]]), ("region", [[0, 0, 0]] * 3), ("region", [["a", "b"]] * 3), ("region", [[0, 0]] * 201),
])
def test_a_field_that_makes_no_sense(client, field, value):
    detail = one_line(client.post("/api/search", json={"like": [{"text": "x"}], field: value}), 422)
    assert detail.startswith(field)


@pytest.mark.parametrize(("query", "words"), [
    ({"like": [{"text": "x", "item": "item-1"}]}, "text and item"),
    ({"like": [{}]}, "none of them"),
    ({"without": [{"text": "x"}]}, "say what to look for"),
    ({"like": [{"item": "nope"}]}, "no item 'nope'"),
    ({"like": [{"item": "../../etc/passwd"}]}, "no item"),
    ({"like": [{"item": "\0"}]}, "no item"),
    ({"like": [{"upload": 0}]}, "upload 0 was not sent"),
    ({"like": [{"vector": [1.0] * (WIDTH + 1)}]}, f"this universe has {WIDTH} dimensions"),
    ({"like": [{"vector": [0.0] * WIDTH}]}, "zero"),
    ({"like": [{"vector": []}]}, f"this universe has {WIDTH} dimensions"),
    ({"region": [[0, 0], [1, 1]]}, "3 to 200"),
    ({"filters": [{"kind": "compare", "column": "nope", "operator": "=", "value": 1}]}, "is not there"),
    ({"filters": [{"kind": "compare", "column": "year", "operator": "=", "value": "1 OR 1=1"}]}, "whole numbers"),
    ({"filters": [{"kind": "compare", "column": "year` = 1 OR `year", "operator": "=", "value": 1}]}, "is not there"),
    ({"filters": [{"kind": "one_of", "column": "year", "values": []}]}, "no value"),
    ({"filters": [{"kind": "any_of", "filters": []}]}, "at least one"),
    ({"burnt_in": "word"}, "no item of this universe has burnt-in text"),
    ({"like": [{"item": "item-1"}], "hybrid": True}, "looks for words"),
    ({"like": [{"text": "x"}], "against": "fused"}, "no item of this universe has fused vectors"),
    ({"like": [{"text": "x"}], "of": "other"}, "--compare"),
])
def test_a_query_without_an_answer(client, query, words):
    for address in ("/api/search", "/api/scores"):
        if address == "/api/scores" and not query.get("like"):
            continue
        if address == "/api/search" or "hybrid" not in query:
            assert words in one_line(client.post(address, json=query), 400)


@pytest.mark.parametrize("body", [
    b"{", b"[]", b"null", b'"text"', b"{'like': 1}", b"\xff\xfe", b'{"like": [{"text": "\xed\xa0\x80"}]}',
    b'{"k": NaN}', b'{"k": Infinity}', b'{"region": [[NaN, 0], [1, 0], [1, 1]]}',
    b'{"like": [{"vector": [NaN]}]}', b'{"like": [{"vector": [1e999]}]}', b'{"like": [{"text": "x", "weight": 1e999}]}',
    b"[" * 100_000, b'{"a":' * 5000, f'{{"filters": [{DEEP}]}}'.encode()])
def test_json_that_is_none_or_means_harm(client, body):
    one_line(client.post("/api/search", content=body, headers=JSON), 400, 422)


def test_half_a_character(client):
    for query in ('{"like": [{"text": "\\ud800"}]}', '{"like": [{"item": "\\ud800"}]}',
                  '{"filters": [{"kind": "has_label", "label": "\\ud800"}]}'):
        one_line(client.post("/api/search", content=query, headers=JSON), 400, 422)


def test_too_much_text(client):
    assert client.post("/api/search", json={"like": [{"text": "x" * MAX_TEXT}]}).status_code == 200
    one_line(client.post("/api/search", json={"like": [{"text": "x" * (MAX_TEXT + 1)}]}), 422)
    one_line(client.post("/api/search", json={"like": [{"text": "x" * 1_000_000}]}), 422)
    one_line(client.post("/api/search", content=b" " * (MAX_JSON + 1), headers=JSON), 413)
    one_line(client.post("/api/search", **form(" " * (MAX_JSON + 1), png(1))), 400, 413)


# ---- pictures ----

@pytest.mark.parametrize(("image", "status", "words"), [
    (bomb(), 413, "too large (225,000,000 pixels"),
    (png(1, (400, 300))[:700], 400, "truncated"),
    (b"<html>hello</html>", 415, "not an image"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not an image"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", 415, "not an image"),
    (b"", 415, "empty file"),
    (random.Random(0).randbytes(5000), 415, "not an image"),
])
def test_bad_pictures(client, image, status, words):
    began = time.monotonic()
    requests = {"/api/search": {"like": [{"upload": 0}]}, "/api/embed": {"parts": [{"upload": 0}]},
                "/api/classify": {"labels": ["cat", "dog"], "part": {"upload": 0}}}
    for address, query in requests.items():
        assert words in one_line(client.post(address, **form(query, image)), status)
    assert time.monotonic() - began < 2


def test_too_large_and_too_many_pictures(client):
    query = {"like": [{"upload": 0}]}
    assert "larger than 10 MB" in one_line(client.post("/api/search", **form(query, bytes(MAX_UPLOAD + 1))), 413)
    one_line(client.post("/api/search", **form(query, *[png(1)] * 9)), 400)
    assert client.post("/api/search", **form(query, *[png(1)] * 8)).status_code == 200


def test_forms_of_something_else(client):
    multipart = {"content-type": "multipart/form-data; boundary=b"}
    for body in (b"nonsense", b"--b\r\nnothing", b'--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n'):
        one_line(client.post("/api/search", content=body, headers=multipart), 400, 422)
    one_line(client.post("/api/search", content=b"x", headers={"content-type": "multipart/form-data"}), 400)
    one_line(client.post("/api/search", data={"like": "x"}), 415)
    one_line(client.post("/api/search", content=b"x", headers={"content-type": "text/plain"}), 415)
    one_line(client.post("/api/search", files={"query": ("q.json", b"{}")}), 422)
    one_line(client.post("/api/search", data={"other": "1"}, files={"image": ("a", png(1))}), 422)
    one_line(client.post("/api/search", data={"query": ["{}", "{}"]}, files={"image": ("a", png(1))}), 400, 422)
    one_line(client.post("/api/search", **form("not JSON", png(1))), 422)


# ---- items and labels ----

@pytest.mark.parametrize("id", ["nope", "../universe.json", "..%2F..%2Funiverse.json", "%2e%2e/%2e%2e/etc/passwd",
                                "item-1'%20OR%20'1'='1", "%00", "x" * 5000, "%ff%fe", "item-1/neighbours"])
def test_unknown_items(client, id):
    one_line(client.get(f"/api/items/{id}"), 404)
    one_line(client.get(f"/api/thumbnails/{id}"), 404)


@pytest.mark.parametrize(("rows", "status"), [
    ("", 422), ("row=a", 422), ("row=1.5", 422), ("row=-1", 404), ("row=12", 404), ("row=" + "9" * 30, 404),
    ("&".join(["row=1"] * 201), 422)])
def test_rows_that_are_not_there(client, rows, status):
    one_line(client.get(f"/api/map/items?{rows}"), status)


@pytest.mark.parametrize(("labels", "status"), [
    ([], 422), (["a"] * 2, 400), (["cat", "Cat "], 400), (["cat", " "], 400), (["x" * 201], 422), ("cat", 422),
    ([f"l{number}" for number in range(201)], 422), ([1, 2], 422)])
def test_labels_that_say_nothing(client, labels, status):
    one_line(client.post("/api/classify", json={"labels": labels, "part": {"item": "item-1"}}), status)


def test_nothing_to_classify_or_embed(client):
    one_line(client.post("/api/classify", json={"labels": ["a", "b"]}), 422)
    one_line(client.post("/api/classify", json={"labels": ["a", "b"], "part": {"text": " "}}), 400)
    one_line(client.post("/api/embed", json={"parts": []}), 422)
    one_line(client.post("/api/embed", json={"parts": [{"text": " "}]}), 400)
    one_line(client.post("/api/embed", json={"parts": [{"text": "x"}] * 65}), 422)


def test_unknown_addresses_and_methods(client):
    one_line(client.get("/api/nothing"), 404)
    one_line(client.get("/api/search"), 404, 405)
    one_line(client.delete("/api/info"), 405)
    one_line(client.get("/api/map?of=both"), 422)
    one_line(client.get("/api/map?of=other"), 400)


def test_an_unexpected_error_is_one_line_too(tmp_path):
    class Failing(FakeModel):
        def embed_texts(self, texts, batch_size=64):
            if texts == ["x"]:
                raise RuntimeError("secret")
            return super().embed_texts(texts)

    with asked(write_universe(tmp_path / "u"), Failing()) as client:
        response = client.post("/api/search", json={"like": [{"text": "x"}]})
        assert "secret" not in one_line(response, 500)
        assert "content-security-policy" in response.headers
        assert client.post("/api/search", json={"like": [{"text": "y"}]}).status_code == 200


def test_every_shape_of_a_request_in_the_document_is_one_that_is_taken(client):
    example = {"like": [{"text": "x"}], "without": [], "filters": [], "region": [], "burnt_in": None, "hybrid": False,
               "against": None, "distinct": False, "k": 24, "offset": 0, "effort": "balanced", "of": "this"}
    fields = client.get("/openapi.json").json()["components"]["schemas"]["SearchRequest"]["properties"]
    assert list(fields) == list(example)
    assert client.post("/api/search", content=json.dumps(example), headers=JSON).status_code == 200
