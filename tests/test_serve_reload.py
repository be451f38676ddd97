"""A universe that changes while it is served."""

from __future__ import annotations

import shutil
import threading

import pytest
from fastapi.testclient import TestClient

from tests.served import ServedModel, one_line, search
from tests.universes import data_set, examples_of
from vector_universe import models
from vector_universe.index import Universe
from vector_universe.index.table.place import Place
from vector_universe.serve import create_app
from vector_universe.serve.served.reload import Reloader, index_state


class Watched:
    """A universe that is served, with a `Reloader` that looks when told to."""

    def __init__(self, folder, model, universe=None):
        state = index_state(Place(folder))
        self.app = create_app(Universe.open(folder, model))
        self.client = TestClient(self.app, raise_server_exceptions=False)
        self.said = []
        self.reloader = Reloader(self.app.state.served, str(folder), state, self.said.append)

    def settled(self):
        """Whether another index is served after two looks."""
        return [self.reloader.look(), self.reloader.look()][-1]

    def ids(self, **more):
        answer = self.client.post("/api/search", json=search("a tree", **more | {"k": 200}))
        return sorted(hit["id"] for hit in answer.json()["hits"])

    def version(self):
        return self.client.get("/api/health").json()["version"]


def build(folder, count, model=None, start=0, **options):
    examples = examples_of(start + count)[start:]
    return Universe.build(model or ServedModel(), data_set(examples), folder, **options)


@pytest.fixture
def folder(tmp_path):
    build(tmp_path / "universe", 6)
    return tmp_path / "universe"


@pytest.fixture
def watched(folder):
    return Watched(folder, ServedModel())


def test_nothing_is_read_anew_where_nothing_changed(watched):
    before = watched.app.state.served.current
    assert not any(watched.reloader.look() for _ in range(3))
    assert watched.app.state.served.current is before
    assert watched.said == []


def test_an_index_that_grows(watched, folder):
    version, tag = watched.version(), watched.client.get("/api/map").headers["etag"]
    model = watched.app.state.served.current.universe.model
    held = watched.app.state.served.current  # a request in flight
    build(folder, 9)
    assert not watched.reloader.look()  # it may still be written to
    assert watched.reloader.look()
    assert watched.ids() == [f"item-{n}" for n in range(9)]
    assert watched.version() != version
    assert watched.client.get("/api/map", headers={"if-none-match": tag}).status_code == 200
    assert watched.said == ["the index has changed: 9 items are served now"]
    assert watched.app.state.served.current.universe.model is model
    assert len(held) == len(held.universe.search("a tree", k=200)) == 6
    assert not watched.settled()


def test_an_index_that_is_written_to_all_the_time_is_read_in_the_end(watched, folder, monkeypatch):
    monkeypatch.setattr("vector_universe.serve.served.reload._SETTLED_WITHIN", 0.0)
    build(folder, 7)
    assert watched.reloader.look()


def test_a_migration_to_another_model(watched, folder, monkeypatch):
    loaded = []
    monkeypatch.setattr(models, "load_run_model", lambda path: loaded.append(path) or ServedModel("two"))
    build(folder, 6, ServedModel("two"), migrate=True)
    assert watched.settled()
    assert len(loaded) == 1  # before it was put in place
    assert watched.app.state.served.current.universe.generation.name == "g0002"
    assert len(watched.ids()) == 6


def test_an_overwritten_universe_shows_its_own_pictures(watched, folder):
    before = {n: watched.client.get(f"/api/thumbnails/item-{n}").content for n in range(6)}
    version = watched.version()
    shutil.rmtree(folder)
    build(folder, 6, start=3)
    assert watched.settled()
    for n in range(3, 9):
        picture = watched.client.get(f"/api/thumbnails/item-{n}")
        assert picture.status_code == 200
        assert n >= 6 or picture.content == before[n]
    one_line(watched.client.get("/api/thumbnails/item-0"), 404)
    assert watched.version() != version


def test_a_universe_overwritten_in_place(watched, folder, monkeypatch):
    monkeypatch.setattr(models, "load_run_model", lambda path: ServedModel("two"))
    build(folder, 5, ServedModel("two"), overwrite=True)
    assert watched.settled()
    assert watched.client.get("/api/thumbnails/item-4").status_code == 200
    assert len(watched.ids()) == 5


def test_a_universe_that_is_taken_away_and_comes_back(watched, folder, tmp_path):
    shutil.move(folder, tmp_path / "away")
    for _ in range(4):
        assert not watched.reloader.look()
    assert len(watched.said) == 1
    assert "what was opened before is served on" in watched.said[0]
    assert watched.client.get("/api/info").json()["count"] == 6
    assert watched.client.get("/api/map").status_code == 200
    shutil.move(tmp_path / "away", folder)
    assert watched.settled()
    assert len(watched.ids()) == 6


@pytest.mark.parametrize("damage", [
    lambda folder: (folder / "universe.json").write_text("{"),
    lambda folder: (folder / "universe.json").write_text('{"format": 99, "generation": "g0001"}'),
    lambda folder: [path.write_bytes(b"?") for path in (folder / "g0001/items.lance/_versions").iterdir()],
    lambda folder: shutil.rmtree(folder / "g0001"),
])
def test_a_universe_that_is_damaged(watched, folder, damage):
    damage(folder)
    for _ in range(4):
        assert not watched.reloader.look()
    assert len(watched.said) == 1
    assert "\n" not in watched.said[0]
    assert watched.client.get("/api/info").json()["count"] == 6
    answer = watched.client.post("/api/search", json=search("a tree"))
    assert answer.status_code == 200 or one_line(answer, 400, 503)


def test_requests_go_on_while_the_index_changes(watched, folder):
    refused, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            answer = watched.client.post("/api/search", json=search("a tree"))
            if answer.status_code != 200:
                refused.append(answer.text)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for count in (7, 8):
            build(folder, count)
            assert watched.settled()
    finally:
        stop.set()
        thread.join()
    assert refused == []


def test_in_a_thread_of_its_own(folder):
    watched = Watched(folder, ServedModel())
    reloader = Reloader(watched.app.state.served, str(folder), index_state(Place(folder)), watched.said.append,
                        seconds=0.05)
    reloader.start()
    build(folder, 7)
    for _ in range(100):
        if watched.said:
            break
        threading.Event().wait(0.05)
    reloader.stop()
    assert len(watched.ids()) == 7


@pytest.mark.slow
def test_a_universe_in_a_bucket(tmp_path, monkeypatch):
    moto = pytest.importorskip("moto.server", reason="the server of buckets comes with the extra 'dev'")
    import boto3

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test",
                        "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
                        "XDG_CACHE_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    try:
        boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1").create_bucket(Bucket="served")
        build("s3://served/u", 4)
        watched = Watched("s3://served/u", ServedModel())
        assert not watched.settled()
        build("s3://served/u", 5)
        assert watched.settled()
        assert len(watched.ids()) == 5
    finally:
        server.stop()
    assert not watched.reloader.look()
    assert "cannot be reached" in watched.said[-1]
    assert watched.client.get("/api/info").json()["count"] == 5
