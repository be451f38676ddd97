"""The HTTP API: every answer's shape, and what it does with input that means harm."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from vector_universe.data import ImageTextDataset
from vector_universe.data.example import Example
from vector_universe.data.framing import Framing
from vector_universe.errors import UserError
from vector_universe.index import Universe
from vector_universe.serve import create_app, serve
from vector_universe.serve.app import MAX_UPLOAD
from vector_universe.serve.run import bind

WIDTH = 16
ODD_ID = "set/가 'x'; DROP?.png"


class FakeModel:
    """Images by their 16 × 1 grey profile, texts by a hash."""

    fusion = calibration = None
    framing = Framing(64)

    def embed_images(self, images, batch_size=256):
        rows = [np.asarray(self.framing.decode(image).convert("L").resize((WIDTH, 1)), np.float32).ravel()
                for image in images]
        return _unit(np.stack(rows) - 120)

    def embed_texts(self, texts, batch_size=1024):
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") for text in texts]
        return _unit(np.stack([np.random.default_rng(seed).normal(size=WIDTH) for seed in seeds]))

    def fingerprint(self):
        return "f" * 64

    def save_pretrained(self, folder):
        Path(folder).mkdir(parents=True)


def _data_set():
    """Twelve noise pictures; the last has an awkward id and no label."""
    examples = [Example(f"item-{number}", _png(number), [f"picture {number}"],
                        ["even" if number % 2 == 0 else "odd", "all"]) for number in range(11)]
    return ImageTextDataset.from_examples([*examples, Example(ODD_ID, _png(11), [], [])], name="Test set",
                                          source="memory", attribution="drawn here")


def _unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _png(seed, width=WIDTH):
    encoded = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, width), dtype=np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


def _bomb(side=15_000):
    """A PNG of a few hundred bytes whose header promises side × side pixels."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(9999))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("universes") / "u"
    Universe.build(FakeModel(), _data_set(), out)
    return out


@pytest.fixture(scope="module")
def client(folder):
    with TestClient(create_app(Universe.open(folder, FakeModel()))) as client:
        yield client


def _one_line(response, *statuses):
    """The error's detail, after checking that it is one clear line with a status from the list."""
    assert response.status_code in statuses, response.text
    detail = response.json()["detail"]
    assert isinstance(detail, str)
    assert 0 < len(detail) < 300
    assert "\n" not in detail
    assert "Traceback" not in detail
    return detail


# ---- answers ----

def test_health_info_and_map(client):
    assert client.get("/api/health").json() == {"status": "ok"}
    info = client.get("/api/info").json()
    assert list(info) == ["name", "count", "dimension", "labels", "attribution", "version", "examples"]
    assert (info["name"], info["attribution"]) == ("Test set", "drawn here")
    assert (info["count"], info["dimension"]) == (12, WIDTH)
    assert info["labels"] == [{"name": "all", "count": 11}, {"name": "even", "count": 6}, {"name": "odd", "count": 5}]
    assert all(example.startswith("picture ") for example in info["examples"])
    points = client.get("/api/map").json()
    assert list(points) == ["ids", "titles", "x", "y", "label"]
    assert points["ids"] == [f"item-{number}" for number in range(11)] + [ODD_ID]
    assert points["label"] == [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, -1]
    assert all(-1 <= value <= 1 for value in points["x"] + points["y"])


def test_search_by_text_image_and_both(client, folder):
    universe = Universe.open(folder, FakeModel())
    image = _png(3)
    for text, encoded in (("a tree", None), (None, image), ("a tree", image)):
        data = {"k": "5"} if text is None else {"k": "5", "text": text}
        files = None if encoded is None else {"image": ("q.png", encoded, "image/png")}
        answer = client.post("/api/search", data=data, files=files).json()
        expected = universe.search(text, encoded, 5)
        assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in expected]
        assert [hit["score"] for hit in answer["hits"]] == pytest.approx([hit.score for hit in expected], abs=1e-5)
        assert list(answer["hits"][0]) == ["index", "id", "title", "labels", "score", "probability"]
        assert -1 <= answer["position"]["x"] <= 1
        assert -1 <= answer["position"]["y"] <= 1
    assert len(client.post("/api/search", data={"text": "a tree"}).json()["hits"]) == 12


def test_the_forms_empty_file_field_is_no_image(client):
    answer = client.post("/api/search", data={"text": "a tree", "k": 3}, files={"image": ("", b"")})
    assert len(answer.json()["hits"]) == 3


def test_neighbours_and_thumbnails(client):
    answer = client.get("/api/items/item-3/neighbours?k=4").json()
    points = client.get("/api/map").json()
    assert len(answer["hits"]) == 4
    assert "item-3" not in [hit["id"] for hit in answer["hits"]]
    assert answer["position"] == pytest.approx({"x": points["x"][3], "y": points["y"][3]}, abs=1e-4)
    assert len(client.get("/api/items/item-3/neighbours").json()["hits"]) == 11
    picture = client.get("/thumbnails/item-3")
    assert picture.headers["content-type"] == "image/webp"
    assert "max-age" in picture.headers["cache-control"]
    opened = Image.open(io.BytesIO(picture.content))
    assert (opened.format, opened.size) == ("WEBP", (WIDTH, 8))


def test_an_awkward_id_works_in_addresses(client):
    for id in (quote(ODD_ID), quote(ODD_ID, safe="")):
        assert client.get(f"/thumbnails/{id}").status_code == 200
        assert len(client.get(f"/api/items/{id}/neighbours?k=2").json()["hits"]) == 2


def test_openapi_describes_the_answers(client):
    schema = client.get("/openapi.json").json()
    assert "/api/search" in schema["paths"]
    assert "SearchAnswer" in schema["components"]["schemas"]


# ---- refusals ----

@pytest.mark.parametrize("text", [None, "", "   ", "\n\t"])
def test_empty_query(client, text):
    data = {} if text is None else {"text": text}
    assert "nothing to search for" in _one_line(client.post("/api/search", data=data), 400, 422)


@pytest.mark.parametrize("k", ["0", "-1", "201", "many", "1e9", "NaN"])
def test_bad_k(client, k):
    assert _one_line(client.post("/api/search", data={"text": "x", "k": k}), 422).startswith("k: ")
    assert _one_line(client.get("/api/items/item-1/neighbours", params={"k": k}), 422).startswith("k: ")


@pytest.mark.parametrize(("image", "status", "words"), [
    (_bomb(), 413, "too large (225,000,000 pixels"),
    (_png(1, 400)[:700], 400, "truncated"),
    (b"<html>hello</html>", 415, "not an image"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not an image"),
    (b"", 415, "empty file"),
    (os.urandom(5000), 415, "not an image"),
])
def test_bad_images(client, image, status, words):
    started = time.monotonic()
    response = client.post("/api/search", files={"image": ("q.png", image, "image/png")})
    assert words in _one_line(response, status)
    assert time.monotonic() - started < 2


def test_an_image_over_the_cap(client):
    just_over = client.post("/api/search", files={"image": ("q.png", bytes(MAX_UPLOAD + 1), "image/png")})
    assert "larger than 10 MB" in _one_line(just_over, 413)
    announced = client.post("/api/search", files={"image": ("q.png", bytes(2 * MAX_UPLOAD), "image/png")})
    assert "larger than 10 MB" in _one_line(announced, 413)


def test_an_endless_upload_is_cut_off_while_it_arrives(client):
    sent = 0

    def endless():
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="q.png"\r\n\r\n'
        for _ in range(30):
            sent += 1
            yield bytes(1_000_000)
        yield b"\r\n--b--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=b"}  # no Content-Length: chunked
    assert "larger than 10 MB" in _one_line(client.post("/api/search", content=endless(), headers=headers), 413)


def test_huge_text(client):
    assert client.post("/api/search", data={"text": "x" * 10_000}).status_code == 200
    _one_line(client.post("/api/search", data={"text": "x" * 10_001}), 413, 422)
    _one_line(client.post("/api/search", data={"text": "x" * 2_000_000}), 400, 413, 422)
    in_form = client.post("/api/search", data={"text": "x" * 2_000_000}, files={"other": ("a", b"a")})
    _one_line(in_form, 400, 413, 422)


def test_malformed_forms(client):
    headers = {"content-type": "multipart/form-data; boundary=b"}
    for body in (b"", b"nonsense", b"--b\r\nnothing", b'--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n'):
        _one_line(client.post("/api/search", content=body, headers=headers), 400, 422)
    _one_line(client.post("/api/search", content=b"x", headers={"content-type": "multipart/form-data"}), 400, 422)
    _one_line(client.post("/api/search", json={"text": "x"}), 400, 422)
    _one_line(client.post("/api/search", data={"image": "a text"}), 400, 422)
    assert _one_line(client.post("/api/search", files={"text": ("t", b"x")}), 422)


@pytest.mark.parametrize("id", ["nope", "../universe.json", "..%2F..%2Funiverse.json", "%2e%2e/%2e%2e/etc/passwd",
                                "item-1'%20OR%20'1'='1", "%00", "x" * 5000, "%ff%fe"])
def test_unknown_ids(client, id):
    _one_line(client.get(f"/thumbnails/{id}"), 404)
    _one_line(client.get(f"/api/items/{id}/neighbours"), 404)


def test_unknown_addresses_and_methods(client):
    _one_line(client.get("/api/nothing"), 404)
    _one_line(client.get("/api/search"), 404, 405)
    _one_line(client.delete("/api/info"), 405)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", ""])
def test_a_foreign_host_is_refused(client, host):
    response = client.get("/api/info", headers={"host": host})
    assert response.status_code == 400
    assert "Test set" not in response.text


@pytest.mark.parametrize("host", ["localhost", "localhost:8765", "127.0.0.1:1", "[::1]:8765"])
def test_this_machines_names_are_accepted(client, host):
    assert client.get("/api/health", headers={"host": host}).status_code == 200


def test_security_headers_are_on_every_answer(client):
    answers = [client.get("/"), client.get("/api/info"), client.get("/thumbnails/item-1"), client.get("/nope"),
               client.get("/api/info", headers={"host": "evil.example", "origin": "http://evil.example"}),
               client.post("/api/search", content=bytes(2 * MAX_UPLOAD))]
    for answer in answers:
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers


def test_an_unexpected_error_is_one_line_too(folder):
    class Failing(FakeModel):
        def embed_texts(self, texts, batch_size=1024):
            raise RuntimeError("secret")

    with TestClient(create_app(Universe.open(folder, Failing())), raise_server_exceptions=False) as client:
        response = client.post("/api/search", data={"text": "x"})
    assert "secret" not in _one_line(response, 500)
    assert "content-security-policy" in response.headers


# ---- the page ----

def test_without_a_built_page_there_is_a_note(folder, tmp_path):
    with TestClient(create_app(folder, static=tmp_path)) as client:
        note = client.get("/")
        assert note.headers["content-type"].startswith("text/html")
        assert "make page" in note.text
        assert client.get("/api/info").status_code == 200


def test_the_built_page_is_served(folder, tmp_path):
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html>hello")
    (static / "assets" / "page.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    with TestClient(create_app(folder, static=static)) as client:
        assert "hello" in client.get("/").text
        assert "javascript" in client.get("/assets/page.js").headers["content-type"]
        assert client.get("/api/health").json() == {"status": "ok"}
        for address in ("/../secret.txt", "/..%2Fsecret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt"):
            assert "secret" not in client.get(address).text.replace("secret.txt", "")


# ---- the server ----

def test_a_port_in_use(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use: choose another with --port"):
            serve(folder, port=port)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "example.com", ""])
def test_other_hosts_are_refused(folder, host):
    with pytest.raises(UserError, match="no log-in yet"):
        serve(folder, host=host)


@pytest.mark.parametrize("port", [-1, 65536])
def test_impossible_ports(port):
    with pytest.raises(UserError, match="65535"):
        bind("127.0.0.1", port)


def test_not_a_universe(tmp_path):
    with pytest.raises(UserError):
        serve(tmp_path, port=0)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_a_real_server_answers_and_stops_on_ctrl_c(folder):
    code = "import sys; from vector_universe.serve import serve; serve(sys.argv[1], port=0)"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        address = line.split(" at ")[1].split()[0]
        assert httpx.get(f"{address}/api/info", timeout=20).json()["count"] == 12
        # 40 MB in chunks that announce no length
        parts = (bytes(1_000_000) for _ in range(40))
        headers = {"content-type": "multipart/form-data; boundary=b"}
        with contextlib.suppress(httpx.NetworkError):  # cut off before it could read the answer
            answer = httpx.post(f"{address}/api/search", content=parts, headers=headers, timeout=20)
            assert answer.status_code in (400, 413)
        assert httpx.get(f"{address}/api/health", timeout=20).status_code == 200
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "stopped" in output
    assert "Traceback" not in errors


def test_map_is_plain_json(client):
    assert "NaN" not in client.get("/api/map").text
    json.loads(client.get("/api/map").text)
