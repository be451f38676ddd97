"""A universe in a bucket: the same as one on disk, made, changed, moved to another model, killed and gone on with."""

from __future__ import annotations

import itertools
import logging

import pytest

from tests.index_in_processes import Run, finished, start
from tests.universe_folders import CountedModel, Folder, answers, content, counts, index
from tests.universes import png
from vector_universe import Universe
from vector_universe.errors import UserError
from vector_universe.index.ingest import finish as finishing
from vector_universe.index.label import label_universe
from vector_universe.index.search.filters import Compare
from vector_universe.index.search.query import Part, Query
from vector_universe.index.table import generation as generations
from vector_universe.index.table.place import Place

pytest.importorskip("moto", reason="the server of buckets comes with the extra 'dev'")
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def server():
    """Where a server of buckets listens."""
    import boto3
    from moto.server import ThreadedMotoServer
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", aws_access_key_id="test",
                 aws_secret_access_key="test").create_bucket(Bucket="pictures")
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def environment(server, monkeypatch, tmp_path):
    found = {"AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
             "AWS_REGION": "us-east-1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def out(environment):
    return f"s3://pictures/universe-{next(_NUMBERS)}"


@pytest.fixture
def data(tmp_path):
    return Folder(tmp_path / "data", range(14))


@pytest.fixture(autouse=True)
def plain_map(monkeypatch):
    monkeypatch.setattr(finishing, "project", lambda vectors_ND: vectors_ND[:, :2].copy())


def check_equal(out, other, model=None):
    """With a universe on disk."""
    mine = content(out, model)
    assert all(row["x"] is not None for row in mine.values())
    assert content(out, model, derived=False) == content(other, model, derived=False)
    assert answers(out, model) == answers(other, model)


def test_it_is_made_searched_and_brought_up_to_date_as_on_disk(data, out, tmp_path):
    for place in (out, tmp_path / "u"):
        assert counts(index(data, place)) == (14, 0, 0, 0, 14)
    assert content(out) == content(tmp_path / "u")
    check_equal(out, tmp_path / "u")
    there, here = (Universe.open(place, CountedModel()) for place in (out, tmp_path / "u"))
    assert there.thumbnail("003.png") == here.thumbnail("003.png")
    assert there.map_points().ids == here.map_points().ids
    for query in (Query(like=(Part(text="picture 3"),), filters=(Compare("id", "!=", "003.png"),), k=5),
                  Query(like=(Part(text="picture 3"),), hybrid=True, k=5),
                  Query(like=(Part(item="004.png"),), without=(Part(text="a"),), k=5)):
        assert there.search(query).hits == here.search(query).hits

    data.add(20)
    data.repaint("002.png", 102)
    data.rows["005.png"]["title"] = "retold"
    data.remove("007.png")
    data.write()
    for place in (out, tmp_path / "u"):
        assert counts(index(data, place)) == (1, 2, 1, 11, 2)
        assert counts(index(data, place)) == (0, 0, 0, 14, 0)
    check_equal(out, tmp_path / "u")
    assert Universe.open(out, CountedModel()).search(image=png(102), k=1)[0].id == "002.png"


def test_it_is_brought_to_another_model(data, out, tmp_path):
    index(data, out)
    with pytest.raises(UserError, match="--migrate"):
        index(data, out, CountedModel("three"))
    index(data, out, CountedModel("three"), migrate=True)
    index(data, tmp_path / "u", CountedModel("three"))
    check_equal(out, tmp_path / "u", CountedModel("three"))
    with pytest.raises(UserError, match="not by"):
        Universe.open(out, CountedModel())
    index(data, out, CountedModel("three"))
    assert generations.generations(Place(out)) == ["g0002"]


def test_its_items_are_labelled(data, out, monkeypatch):
    import vector_universe.models
    loaded = []
    monkeypatch.setattr(vector_universe.models, "load_run_model",
                        lambda folder: loaded.append(folder) or CountedModel())
    index(data, out)
    found = label_universe(out, ["picture 1", "picture 2"])
    assert sum(found.values()) == 14
    assert (loaded[0] / "config.json").read_text() == '{"name": "one"}'  # the copy of a copy
    data.add(20)
    data.write()
    index(data, out)
    assert content(out)["020.png"]["predicted_label"] in ("picture 1", "picture 2")


@pytest.mark.slow
@pytest.mark.parametrize("plant", [{"before": 2}, {"after": 3}])
def test_killed_while_it_is_made(plant, data, out, environment, tmp_path):
    assert finished(Run(data.path, out, environment=environment, **plant)) == -9
    with pytest.raises(UserError, match="not complete"):
        Universe.open(out)
    model = CountedModel()
    index(data, out, model)
    assert 0 < model.embedded < 14
    index(data, tmp_path / "u")
    check_equal(out, tmp_path / "u")


@pytest.mark.slow
def test_killed_in_a_migration(data, out, environment, tmp_path):
    index(data, out)
    before = answers(out)
    assert finished(Run(data.path, out, "three", {"migrate": True}, after=2, environment=environment)) == -9
    assert answers(out) == before
    model = CountedModel("three")
    index(data, out, model, migrate=True)
    assert model.embedded == 14 - 6
    index(data, tmp_path / "u", CountedModel("three"))
    check_equal(out, tmp_path / "u", CountedModel("three"))


@pytest.mark.slow
def test_two_writers_write_every_item_once(data, out, environment, tmp_path):
    errors = [tmp_path / "errors0", tmp_path / "errors1"]
    processes = [start(Run(data.path, out, environment=environment, errors=file)) for file in errors]
    for process in processes:
        process.join(120)
    said = [file.read_text() for file in errors if file.exists()]
    assert [process.exitcode for process in processes].count(0) >= 1, said
    assert all("same command again" in line for line in said)
    index(data, out)
    index(data, tmp_path / "u")
    check_equal(out, tmp_path / "u")


def test_overwriting_takes_the_old_away(data, out):
    index(data, out)
    Place(out).write("g0001/generation.json", "no")
    with pytest.raises(UserError, match=r"damaged.*--overwrite"):
        Universe.open(out)
    index(data, out, overwrite=True)
    assert len(content(out)) == 14
    assert Place(out).names() == ["g0002", "universe.json", "vector_universe.json"]


def test_what_cannot_be_reached_is_named_in_one_line(data, out, monkeypatch):
    for location in ("s3://no-such-bucket/u", "s3://pictures/nothing-here"):
        with pytest.raises(UserError) as refused:
            Universe.open(location)
        assert "\n" not in str(refused.value)
    with pytest.raises(UserError) as refused:
        index(data, "s3://no-such-bucket/u")
    assert "\n" not in str(refused.value)
    assert "no-such-bucket" in str(refused.value)
    with pytest.raises(UserError, match="names no bucket"):
        Universe.open("s3://")
    Place(out).write("photo.txt", "dear")
    with pytest.raises(UserError, match="something else than a universe"):
        index(data, out)
