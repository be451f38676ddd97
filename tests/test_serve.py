"""The page in front of the API, and a real server that starts, answers and stops."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.universe_api import write_universe
from vector_universe.errors import UserError
from vector_universe.serve import create_app, serve
from vector_universe.serve.run import bind


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_universe(tmp_path_factory.mktemp("universes") / "u")


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
        assert client.get("/api/health").json()["status"] == "ok"
        for address in ("/../secret.txt", "/..%2Fsecret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt"):
            assert "secret" not in client.get(address).text.replace("secret.txt", "")


# ---- the server ----

def test_a_port_in_use(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use: choose another with --port"):
            serve(folder, port=port)


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
