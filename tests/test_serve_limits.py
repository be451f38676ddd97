"""Clients that send too much, too slowly or nonsense: a clear refusal, and the others never notice."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time

import httpx
import pytest

from tests.broken_pictures import BOMB, JPEG, PNG
from tests.served import ServedModel, connected, heard, in_thread, one_line, search
from tests.universes import data_set, examples_of, png
from vector_universe.data.example import Example
from vector_universe.index import Universe
from vector_universe.serve import create_app
from vector_universe.serve.guard.connections import Patience

PATIENCE = Patience(body_seconds=0.8, header_seconds=0.6, read_seconds=0.5, connections=60)
SCRIPT = "<script>alert(1)</script>"
POST = b"POST /api/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "universe"
    odd = Example("set/가 'x'; DROP?.png", png(99), [SCRIPT], [SCRIPT])
    Universe.build(ServedModel(), data_set([*examples_of(12), odd]), folder)
    return create_app(Universe.open(folder, ServedModel()), body_seconds=PATIENCE.body_seconds)


@pytest.fixture(scope="module")
def server(app):
    with in_thread(app, PATIENCE) as address:
        yield address


@pytest.fixture(autouse=True)
def others_are_served(server):
    """Whatever a test does, the next client is answered at once, and no place before the model stays taken."""
    yield
    assert len(httpx.post(f"{server}/api/search", json=search("a tree"), timeout=5).json()["hits"]) == 3
    counted = httpx.get(f"{server}/metrics").text
    assert "vector_universe_model_requests_in_flight 0.0" in counted
    assert "vector_universe_requests_in_flight 1.0" in counted


def post_picture(server, picture, name="q.png", kind="image/png"):
    return httpx.post(f"{server}/api/search", data={"query": json.dumps({"like": [{"upload": 0}], "k": 3})},
                      files={"image": (name, picture, kind)}, timeout=10)


# ---- pictures ----

def test_pictures_that_mean_harm_are_refused(server):
    for picture, words, statuses in [
        (BOMB, "too large", (413,)),
        (PNG[:len(PNG) // 2], "cannot be read", (400, 415)),
        (JPEG[:len(JPEG) // 2], "cannot be read", (400, 415)),
        (b"", "", (415,)),
        (b"<html>not found</html>", "not an image", (415,)),
        (b"%PDF-1.7\n" + bytes(100), "not an image", (415,)),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='http://example.com/a'/></svg>", "not an image", (415,)),
        (bytes(10_000_001), "larger than 10 MB", (413,)),
    ]:
        started = time.monotonic()
        detail = one_line(post_picture(server, picture), *statuses)
        assert words in detail or "truncated" in detail
        assert time.monotonic() - started < 5


def test_a_picture_under_another_name_is_told_by_its_bytes(server):
    assert len(post_picture(server, JPEG, "q.png", "image/png").json()["hits"]) == 3
    assert len(post_picture(server, PNG, "../../etc/passwd", "text/html").json()["hits"]) == 3


# ---- too much ----

def test_ten_announced_gigabytes_are_refused_before_they_come(server):
    with connected(server) as connection:
        connection.sendall(POST + b"Content-Length: 10000000000\r\n\r\n")
        started = time.monotonic()
        answer = heard(connection)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"larger than 40 MB" in answer
    assert b"connection: close" in answer.lower()
    assert time.monotonic() - started < 5


def test_an_announcement_beyond_all_numbers(server):
    for length in (b"9" * 20, b"9" * 5000, b"-1", b"1e9", b"0x10"):
        with connected(server) as connection:
            connection.sendall(POST + b"Content-Length: " + length + b"\r\n\r\n")
            assert heard(connection).split()[1] in (b"400", b"413")


def test_an_endless_upload_is_cut_off(server):
    chunk = b"%x\r\n%s\r\n" % (1_000_000, bytes(1_000_000))
    with connected(server) as connection:
        connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        started = time.monotonic()
        with contextlib.suppress(OSError):  # reset or broken pipe, by chance
            while time.monotonic() - started < 8:
                connection.sendall(chunk)
        assert heard(connection)[:12] in (b"HTTP/1.1 413", b"")
    assert time.monotonic() - started < 5


def test_an_endless_upload_to_nowhere_is_cut_off_too(server):
    chunk = b"%x\r\n%s\r\n" % (1_000_000, bytes(1_000_000))
    with connected(server) as connection:
        connection.sendall(POST.replace(b"search", b"nowhere") + b"Transfer-Encoding: chunked\r\n\r\n")
        started = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 8:
                connection.sendall(chunk)
    assert time.monotonic() - started < 5


def test_a_megabyte_of_text(server):
    assert "10000" in one_line(httpx.post(f"{server}/api/search", json=search("x" * 1_000_000)), 422)
    assert "larger than 2 MB" in one_line(httpx.post(f"{server}/api/search", json=search("x" * 3_000_000)), 413)


def test_headers_and_addresses_without_end(server):
    assert httpx.get(f"{server}/api/items/{'x' * 60_000}").status_code == 404
    for line in (b"GET /", b"GET / HTTP/1.1\r\nX: "):
        with connected(server) as connection, contextlib.suppress(OSError):
            connection.sendall(line + b"x" * 2_000_000)
            assert heard(connection)[:12] in (b"HTTP/1.1 400", b"")


# ---- too slow ----

def test_a_body_that_does_not_come(server):
    with connected(server) as connection:
        connection.sendall(POST + b"Content-Length: 100\r\n\r\n{")
        started = time.monotonic()
        for _ in range(3):
            assert httpx.get(f"{server}/api/health").elapsed.total_seconds() < 2
            with contextlib.suppress(OSError):
                connection.sendall(b" ")
            time.sleep(0.1)
        answer = heard(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not arrive within 0.8 s" in answer
    assert 0.7 < time.monotonic() - started < 5


def test_headers_byte_by_byte_from_many_clients(server):
    with contextlib.ExitStack() as opened:
        slow = [opened.enter_context(connected(server)) for _ in range(40)]
        started = time.monotonic()
        while time.monotonic() - started < 0.4:
            for connection in slow:
                connection.sendall(b"G" if time.monotonic() - started < 0.05 else b"")
            assert httpx.get(f"{server}/api/health").elapsed.total_seconds() < 2
        assert [heard(connection) for connection in slow] == [b""] * 40  # closed, and nothing said
        assert time.monotonic() - started < 5


def test_connections_beyond_the_most_are_closed(server):
    with contextlib.ExitStack() as opened:
        taken = [opened.enter_context(connected(server)) for _ in range(PATIENCE.connections)]
        time.sleep(0.1)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{server}/api/health")
        assert [heard(connection) for connection in taken[:2]] == [b"", b""]  # until their headers are due
    time.sleep(0.1)
    assert httpx.get(f"{server}/api/health").status_code == 200


def test_a_client_that_does_not_read_is_dropped_and_a_slow_one_is_not():
    async def large(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": bytes(30_000_000)})

    with in_thread(large, PATIENCE) as address:
        for pause, whole in ((2.0, False), (0.2, True)):
            with connected(address) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                time.sleep(pause)
                assert (len(heard(connection)) > 30_000_000) == whole


def test_clients_that_hang_up_in_the_middle(server):
    for sent in (b"", b"GET", POST, POST + b"Content-Length: 1000\r\n\r\n{", POST + b"Content-Length: 44\r\n\r\n"
                 + json.dumps(search("slow tree")).encode()):
        for is_reset in (False, True):
            with connected(server) as connection:
                if is_reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(sent)
                time.sleep(0.02)
    time.sleep(1.2)  # until the model is done with what nobody waits for


# ---- nonsense ----

@pytest.mark.parametrize("id", ["nope", "../universe.json", "..%2F..%2Funiverse.json", "%2e%2e/%2e%2e/etc/passwd",
                                "..%5c..%5cwindows", "item-1'%20OR%20'1'='1", "%00", "%0d%0aSet-Cookie:x", "%ff%fe",
                                "item-1%00.png", "%F0%9F%98"])
def test_tricks_in_ids(server, id):
    for address in ("api/items", "api/thumbnails"):
        answer = httpx.get(f"{server}/{address}/{id}")
        one_line(answer, 404)
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/../pyproject.toml", "/..%2f..%2fpyproject.toml", "/%2e%2e/%2e%2e/app.py",
                                  "//etc/passwd", "/assets/..%2f..%2fapp.py", "/%00", "/assets/%ff"])
def test_tricks_in_addresses_of_the_page(server, path):
    with connected(server) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = heard(connection)
    assert answer.split()[1] in (b"404", b"405", b"400")
    assert b"create_app" not in answer
    assert b"root:" not in answer


@pytest.mark.parametrize("body", [
    b"", b"[]", b"null", b"1", b'"text"', b"{", b"\xff\xfe", b'{"k": "3"}', b'{"k": 1e400}', b'{"k": NaN}',
    b'{"like": {}}', b'{"like": [1]}', b'{"like": [{"text": 3}]}', b'{"like": [{"text": "a", "item": "b"}]}',
    b'{"like": [{"text": "a", "weight": -1}]}', b'{"like": [{"vector": [1, 2]}]}', b'{"like": [{"upload": 0}]}',
    b'{"unknown": 1}', b'{"filters": [{"kind": "sql"}]}', b'{"region": [[0, 0], [1, 1]]}',
    b'{"filters": ' + b'[' * 5000 + b']' * 5000 + b'}', b'{"like": [{"text": "\\ud800"}]}',
    b'{"filters": [' + b'{"kind": "not", "filter": ' * 2000 + b'{"kind": "has_label", "label": "x"}' + b"}" * 2000
    + b"]}",
])
def test_wrong_types_in_a_search(server, body):
    one_line(httpx.post(f"{server}/api/search", content=body, headers={"content-type": "application/json"}), 400, 422)


def test_other_kinds_of_bodies(server):
    for kind in ("text/plain", "application/xml", "multipart/form-data", "multipart/form-data; boundary=b",
                 "application/x-www-form-urlencoded"):
        one_line(httpx.post(f"{server}/api/search", content=b"nonsense", headers={"content-type": kind}), 400, 415, 422)


def test_what_is_no_http(server):
    for sent in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                 b"GET / HTTP/1.1\r\n\r\n", POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
        with connected(server) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert heard(connection)[:10] in (b"HTTP/1.1 4", b"")


def test_script_in_titles_and_labels_is_text(server):
    answer = httpx.post(f"{server}/api/search", json={"filters": [{"kind": "has_label", "label": SCRIPT}]})
    assert answer.json()["hits"][0]["title"] == SCRIPT
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self';" in answer.headers["content-security-policy"]


def test_the_server_does_not_say_what_it_is_made_of(server):
    assert "server" not in httpx.get(f"{server}/api/health").headers
