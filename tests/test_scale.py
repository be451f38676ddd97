"""Beyond one process: Daft and Ray write what one process writes, go on after a kill, and add nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lancedb.index import FTS
from PIL import Image

from tests.pictures import write_table
from vector_universe import DualEncoder, load_dataset
from vector_universe.data.dataset import ImageTextDataset
from vector_universe.errors import UserError
from vector_universe.index.ingest.embed import Embedder
from vector_universe.index.ingest.update import update
from vector_universe.index.table import generation as generations
from vector_universe.index.table.column_names import column_names
from vector_universe.index.table.item_table import ItemTable
from vector_universe.index.table.metadata import column_types
from vector_universe.index.table.place import Place
from vector_universe.index.table.rows import schema_of
from vector_universe.models import DualEncoderConfig, load_run_model

pytest.importorskip("daft")
pytest.importorskip("lance")

from vector_universe.index.scale import append, parts
from vector_universe.index.scale import engine as scale
from vector_universe.index.scale.worker import PartWriter

PICTURES, BROKEN, PART = 300, (7, 200), 128


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """300 pictures with titles, two of them cut off in the middle."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    (folder / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(PICTURES):
        path = folder / "images" / f"{number:03}.png"
        Image.fromarray(random.integers(0, 256, (24, 32, 3), np.uint8)).save(path)
        if number in BROKEN:
            path.write_bytes(path.read_bytes()[:300])
    write_table(folder, [(f"{number:03}.png", f"picture {number}", ("even", "odd")[number % 2])
                         for number in range(PICTURES)])
    return folder


@pytest.fixture(scope="module")
def model():
    """A small model with random weights; workers load its copy."""
    config = DualEncoderConfig(embedding_width=16, image_size=64)
    return DualEncoder.from_scratch([f"picture {number}" for number in range(PICTURES)], config).eval()


def in_this_process(job, waves, workers, gpus):
    """In place of Daft's workers."""
    writer = PartWriter(job)
    for wave in waves:
        yield from map(writer.attempt, wave)


BY_DAFT = scale._outcomes


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts as large as what is embedded at once, so that batches are those of one process."""
    monkeypatch.setattr(scale, "PART_ROWS", PART)
    monkeypatch.setattr(scale, "_outcomes", in_this_process)  # to start another takes seconds


class Begun:
    """A generation that was begun in `root`, and its table."""

    def __init__(self, root, model, dataset):
        self.root, self.model, self.dataset = Place(root), model, dataset
        generations.claim(self.root)
        self.generation = generations.unfinished(self.root, None, model.fingerprint(), "image") \
            or generations.begin(self.root, model, "image", 16, None)
        self.place = self.root / self.generation.name
        types = column_types(dataset)
        self.columns = {found.name: found.column for found in column_names(types)}
        self.table = ItemTable.create(self.place, schema_of(16, {self.columns[key]: types[key] for key in types}))

    def scaled(self, positions, engine="daft", **options):
        return scale.embed_at_scale(self.place, self.generation, self.table, self.dataset, positions, source="s",
                                    columns=self.columns, engine=engine, **options)

    def update(self, engine=None, **options):
        embedder = Embedder(self.model, self.table.schema, "s", "image", self.columns)
        embed_new = engine and (lambda positions: self.scaled(positions, engine, **options))
        return update(self.table, embedder, self.dataset, embed_new=embed_new)

    def rows(self):
        self.table.refresh()
        return self.table.scan(self.table.schema.names).sort_by("id")


@pytest.fixture(scope="module")
def alone(folder, model, tmp_path_factory):
    """The table that one process writes, and what it said."""
    begun = Begun(tmp_path_factory.mktemp("alone"), model, load_dataset(folder))
    change = begun.update()
    return begun.rows(), change


@pytest.mark.slow
def test_daft_writes_what_one_process_writes(folder, model, alone, tmp_path, monkeypatch):
    monkeypatch.setattr(scale, "_outcomes", BY_DAFT)
    begun = Begun(tmp_path, model, load_dataset(folder))
    change = begun.update("daft", workers=2)
    rows, by_one = alone
    assert begun.rows().equals(rows)
    assert (change.new, change.embedded, change.skipped) == (by_one.new, by_one.embedded, by_one.skipped)
    assert [row.file for row in change.skipped] == [f"{number:03}.png" for number in BROKEN]
    assert not (begun.place / parts.FOLDER).names()
    assert begun.table.schema.field("id").metadata == {b"lance-schema:unenforced-primary-key": b"true"}
    again = begun.update("daft")
    assert (again.new, again.embedded, again.unchanged) == (0, 0, PICTURES - len(BROKEN))


def test_all_comes_in_one_commit_and_later_writes_go_on(folder, model, alone, tmp_path):
    dataset = load_dataset(folder)
    begun = Begun(tmp_path, model, dataset.select(range(20)))
    begun.update()
    begun.table.lance.create_index("title", config=FTS())
    begun.table.delete(["003.png"])
    before = begun.table.lance.version
    begun.dataset = dataset
    begun.scaled([3, *range(20, PICTURES)])
    assert begun.table.lance.version == before + 1
    assert begun.rows()["id"].equals(alone[0]["id"])
    for number in ("2", "3", "299"):  # before the index, taken away since, and after it
        hits = begun.table.lance.search(number, query_type="fts").select(["title"]).to_list()
        assert [hit["title"] for hit in hits] == [f"picture {number}"]
    begun.table.merge(alone[0])
    begun.table.optimize()
    assert begun.rows().equals(alone[0])


KILLED = """
import sys, time
from pathlib import Path
from tests.test_scale import Begun, PART, in_this_process
from vector_universe import load_dataset
from vector_universe.index.scale import engine as scale
from vector_universe.models import load_run_model

waves = scale._waves
def two_parts_and_no_more(dataset, todo):
    yield next(waves(dataset, todo))[:2]
    time.sleep(600)
scale.PART_ROWS, scale._waves, scale._outcomes = PART, two_parts_and_no_more, in_this_process
data, model, root = sys.argv[1:]
Begun(Path(root), load_run_model(model), load_dataset(data)).update("daft", workers=1)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_parts_that_are_missing(folder, model, alone, tmp_path):
    model.save_pretrained(tmp_path / "model")
    driver = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(tmp_path / "model"), str(tmp_path / "u")],
                              cwd=Path(__file__).parents[1], start_new_session=True, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("u/g0001/parts/*/*.json"))) < 2:
        assert driver.poll() is None, driver.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    driver.stderr.close()
    begun = Begun(tmp_path / "u", load_run_model(tmp_path / "model"), load_dataset(folder))
    assert begun.table.count() == 0
    change = begun.update("daft", workers=1)
    assert change.embedded == PICTURES - 2 * PART
    assert [row.file for row in change.skipped] == [row.file for row in alone[1].skipped]
    assert begun.rows().equals(alone[0])


def test_a_kill_between_the_commit_and_its_cleaning_up_adds_nothing_twice(folder, model, alone, tmp_path, monkeypatch):
    begun = Begun(tmp_path, model, load_dataset(folder))
    with monkeypatch.context() as patch:
        patch.setattr(Place, "remove", lambda place, name: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            begun.update("daft", workers=1)
    assert len(list(tmp_path.glob("g0001/parts/*/*.json"))) == 3
    change = begun.update("daft", workers=1)
    assert (change.new, change.embedded) == (0, 0)
    assert begun.rows().equals(alone[0])
    assert not (begun.place / parts.FOLDER).names()


def test_another_writer_between_looking_and_the_commit(folder, model, alone, tmp_path, monkeypatch):
    """Its items stay as they are, its neighbours in the same part are embedded again, no id is there twice."""
    dataset = load_dataset(folder)
    begun, other = Begun(tmp_path, model, dataset), Begun(tmp_path, model, dataset.select(range(10, 20)))
    look, looked = append._there, []

    def look_and_be_late(table, wanted):
        there = look(table, wanted)
        if not looked:
            other.update()
        looked.append(len(there))
        return there

    monkeypatch.setattr(append, "_there", look_and_be_late)
    scaled = begun.scaled(range(PICTURES), workers=1)
    assert looked == [0, 10, 0]
    assert scaled.written == PICTURES - len(BROKEN) - 10
    assert len(scaled.skipped) == len(BROKEN)
    assert begun.rows()["id"].equals(alone[0]["id"])


def test_two_drivers_write_every_item_once(folder, model, alone, tmp_path):
    dataset = load_dataset(folder)
    first, second = (Begun(tmp_path, model, dataset) for _ in range(2))
    plan = range(PICTURES)  # made by both before either has committed
    assert first.scaled(plan, workers=1).written == PICTURES - len(BROKEN)
    assert second.scaled(plan, workers=1).written == 0
    assert second.rows().equals(alone[0])


def test_a_part_that_fails_leaves_the_others(folder, model, alone, tmp_path):
    found = load_dataset(folder)
    away = tmp_path / "away"
    examples = [replace(example, image=str(away / Path(example.image).name)) if place >= 2 * PART else example
                for place, example in enumerate(found)]
    begun = Begun(tmp_path / "u", model, ImageTextDataset.from_examples(examples, name="s", source="s"))
    line = r"1 of 3 parts of 128 pictures failed \(the first: none of 44 pictures is on this worker, .* 254 pictures"
    with pytest.raises(UserError, match=line):
        begun.update("daft", workers=1)
    assert begun.table.count() == 2 * PART - len(BROKEN)
    away.symlink_to(folder / "images")
    change = begun.update("daft", workers=1)
    assert (change.new, change.embedded) == (44, 44)
    assert begun.rows().equals(alone[0])


def test_changed_words_of_a_stopped_run_are_embedded_again(folder, model, tmp_path, monkeypatch):
    few = load_dataset(folder).select(range(5))
    begun = Begun(tmp_path, model, few)
    with monkeypatch.context() as patch:
        patch.setattr(scale, "_commit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            begun.update("daft")
    begun.dataset = ImageTextDataset.from_examples([replace(example, texts=["other"]) for example in few], name="s",
                                                   source="s")
    assert begun.update("daft").embedded == 5
    assert set(begun.rows()["title"].to_pylist()) == {"other"}


def test_pictures_inside_the_data_are_sent(folder, model, alone, tmp_path):
    examples = [replace(example, image=Path(example.image).read_bytes()) for example in load_dataset(folder)]
    begun = Begun(tmp_path, model, ImageTextDataset.from_examples(examples, name="s", source="s"))
    begun.update("daft", workers=1)
    assert begun.rows().equals(alone[0])


def test_what_is_missing_is_named(folder, model, tmp_path, monkeypatch):
    begun = Begun(tmp_path, model, load_dataset(folder))
    with pytest.raises(UserError, match="workers is 0: give at least 1"):
        begun.scaled([0], workers=0)
    monkeypatch.setitem(sys.modules, "lance", None)
    with pytest.raises(UserError, match=r'--engine daft needs lance: pip install "vector-universe\[scale\]"'):
        begun.scaled([0])


@pytest.mark.slow
def test_ray_writes_what_one_process_writes(folder, model, tmp_path):
    """In a process of its own: Daft keeps its engine for life."""
    ray = pytest.importorskip("ray")
    assert ray
    model.save_pretrained(tmp_path / "model")
    script = KILLED.split("waves =")[0] + """
import ray
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
scale.PART_ROWS = PART
data, model, root = sys.argv[1:]
change = Begun(Path(root), load_run_model(model), load_dataset(data)).update("ray", workers=2)
print(change.new, change.embedded, len(change.skipped))
"""
    done = subprocess.run([sys.executable, "-c", script, str(folder), str(tmp_path / "model"), str(tmp_path / "u")],
                          cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-3:] == [str(PICTURES - len(BROKEN)), str(PICTURES - len(BROKEN)), str(len(BROKEN))]
    begun = Begun(tmp_path / "u", load_run_model(tmp_path / "model"), load_dataset(folder))
    by_one = Begun(tmp_path / "one", load_run_model(tmp_path / "model"), load_dataset(folder))
    by_one.update()
    assert begun.rows().equals(by_one.rows())


@pytest.mark.slow
def test_a_bucket_holds_what_a_folder_holds(folder, model, alone, tmp_path, monkeypatch):
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    boto3 = pytest.importorskip("boto3")
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
                            "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{host}:{port}",
                            "XDG_CACHE_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"}.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="bucket")
        begun = Begun("s3://bucket/universe", model, load_dataset(folder))
        change = begun.update("daft", workers=1)
        assert change.embedded == PICTURES - len(BROKEN)
        assert begun.rows().equals(alone[0])
        assert begun.update("daft").new == 0
    finally:
        server.stop()
