"""A server that is told to stop, or killed, in the middle of a request; and what it says when it starts."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import httpx
import pytest

from tests.served import ServedModel, connected, in_process, search
from tests.universes import data_set, examples_of
from vector_universe.errors import UserError
from vector_universe.index import Universe
from vector_universe.serve import serve
from vector_universe.serve.run import bind, has_display

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("stopping") / "universe"
    Universe.build(ServedModel(), data_set(examples_of(6)), out)
    return out


class Asking(threading.Thread):
    """A search whose text takes the model a while."""

    def __init__(self, address):
        super().__init__()
        self.address = address
        self.answer = self.error = None
        self.start()
        time.sleep(0.4)  # until it is under way

    def run(self):
        try:
            self.answer = httpx.post(f"{self.address}/api/search", json=search("slow tree"), timeout=20)
        except httpx.TransportError as error:
            self.error = error

    def ended(self):
        self.join(20)
        return self


def content(folder):
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("told", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_a_request_in_flight_is_answered_before_the_end(folder, tmp_path, told):
    with in_process(folder, tmp_path / "out") as served, connected(served.address), \
            httpx.Client(base_url=served.address) as idle:
        idle.get("/api/health")  # two connections stay open
        asking = Asking(served.address)
        os.kill(served.process.pid, told)
        assert len(asking.ended().answer.json()["hits"]) == 3
        assert served.ended() == 0
        said = served.said()
    assert said.endswith("stopped\n")
    assert "Traceback" not in said
    assert "ERROR" not in said


@pytest.mark.slow
def test_a_request_that_takes_too_long_is_answered_503(folder, tmp_path):
    with in_process(folder, tmp_path / "out", model_seconds=30) as served:
        asking = Asking(served.address)
        started = time.monotonic()
        os.kill(served.process.pid, signal.SIGTERM)
        answer = asking.ended().answer
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "stops" in answer.json()["detail"]
        assert served.ended() == 0
        assert 4 < time.monotonic() - started < 10
        assert "Traceback" not in served.said()


@pytest.mark.slow
def test_the_second_ctrl_c_ends_at_once(folder, tmp_path):
    with in_process(folder, tmp_path / "out", model_seconds=30) as served:
        asking = Asking(served.address)
        started = time.monotonic()
        for _ in range(2):
            os.kill(served.process.pid, signal.SIGINT)
            time.sleep(0.3)
        assert served.ended() == 130
        assert time.monotonic() - started < 3
        assert asking.ended().error is not None


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_the_universe_as_it_was(folder, tmp_path):
    before = content(folder)
    with in_process(folder, tmp_path / "out") as served:
        asking = Asking(served.address)
        os.kill(served.process.pid, signal.SIGKILL)
        assert isinstance(asking.ended().error, httpx.TransportError)  # at once, not after a timeout
        assert served.ended() == -9
    assert content(folder) == before
    with in_process(folder, tmp_path / "out") as served:
        assert len(httpx.post(f"{served.address}/api/search", json=search("a tree")).json()["hits"]) == 3


def test_others_come_in_with_the_token_alone(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("VU_TOKEN", raising=False)
    with in_process(folder, tmp_path / "out", host="0.0.0.0") as served:
        said = served.said()
        token = said.partition("/?token=")[2].split()[0]
        assert httpx.get(f"{served.address}/api/info").status_code == 401
        assert httpx.get(f"{served.address}/api/info", headers={"authorization": f"Bearer {token}"}).status_code == 200
        assert httpx.get(f"{served.address}/?token={token}").status_code == 303
    assert "plain HTTP can be read on its way" in said


@pytest.mark.slow
def test_a_token_that_was_given_is_not_printed(folder, tmp_path):
    with in_process(folder, tmp_path / "out", token="correct-horse-battery") as served:
        bearer = {"authorization": "Bearer correct-horse-battery"}
        assert httpx.get(f"{served.address}/api/health").status_code == 401
        assert httpx.get(f"{served.address}/api/health", headers=bearer).status_code == 200
        for _ in range(100):
            if "ready" in served.said():
                break
            time.sleep(0.1)
        assert "horse" not in served.said()
        assert "the model is ready after" in served.said()
        assert "CPU" in served.said() or "GPU" in served.said()


# ---- before it starts ----

def test_a_port_in_use(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use: choose another with --port"):
            serve(folder, port=port)


@pytest.mark.parametrize(("host", "port", "words"), [
    ("127.0.0.1", -1, "65535"), ("127.0.0.1", 65536, "65535"), ("", 0, "--host is empty"),
    ("192.0.2.1", 0, "not an address of this machine"), ("no such host", 0, "no address"), ("x" * 300, 0, "no address"),
])
def test_impossible_places(host, port, words):
    with pytest.raises(UserError, match=words):
        bind(host, port)


def test_not_a_universe(tmp_path):
    with pytest.raises(UserError, match=r"is not a universe|does not exist"):
        serve(tmp_path, port=0)


def test_a_browser_is_opened_only_before_somebody(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for name in ("CI", "SSH_CONNECTION", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    assert has_display()
    monkeypatch.setenv("CI", "true")
    assert not has_display()
    monkeypatch.delenv("CI")
    monkeypatch.delenv("DISPLAY")
    assert not has_display()
    monkeypatch.setattr("sys.platform", "darwin")
    assert has_display()
    monkeypatch.setenv("SSH_CONNECTION", "1 2 3 4")
    assert not has_display()
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert not has_display()
