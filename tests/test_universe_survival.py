"""A universe survives kill -9, a second writer and a full disk: nothing acknowledged is lost, the next run goes on."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.index_in_processes import Run, acknowledged, digests, finished, start
from tests.universe_folders import CountedModel, Folder, answers, content, index, rows_of
from vector_universe import Universe
from vector_universe.index.ingest import finish as finishing
from vector_universe.index.search import neighbours
from vector_universe.index.table import generation as generations
from vector_universe.index.table.item_table import ItemTable
from vector_universe.index.table.place import Place

MANY = 300  # enough for a vector index, where so few are allowed


@pytest.fixture(autouse=True)
def plain_map(monkeypatch):
    """As in the other processes."""
    monkeypatch.setattr(finishing, "project", lambda vectors_ND: vectors_ND[:, :2].copy())


@pytest.fixture
def data(tmp_path) -> Folder:
    return Folder(tmp_path / "data", range(14))


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "u"


def change(data: Folder) -> None:
    """Some of all: new, repainted, retold."""
    for number in range(20, 25):
        data.add(number)
    for number in range(5):
        data.repaint(f"{number:03}.png", 100 + number)
        data.rows[f"{number + 5:03}.png"]["title"] = f"retold {number}"
    data.write()


def check_state(out: Path, log: Path, final: dict[str, list[str]], before: set[str]) -> None:
    """Every row is whole, and what was acknowledged is as it was.

    Args:
        final: digests by id once all is done.
        before: ids that were there at the start.
    """
    root = Place(out)
    tables = {name: ItemTable.open(root / name) for name in generations.generations(root)
              if (out / name / "items.lance").exists()}
    for table in tables.values():
        rows_of(table)
    for line in acknowledged(log)[-1:]:
        if line["generation"] not in tables:
            continue
        now = digests(tables[line["generation"]])
        done = {id: found for id, found in line["items"].items() if final.get(id) == found}
        assert done.items() <= now.items()
        assert not (before - line["items"].keys()) & now.keys(), "a deleted item has come back"


def check_equal(out: Path, other: Path, model: CountedModel | None = None) -> None:
    mine = content(out, model)
    assert all(row[name] is not None for row in mine.values() for name in ("x", "y", "topic"))
    assert content(out, model, derived=False) == content(other, model, derived=False)
    assert answers(out, model) == answers(other, model)


# ---- kill -9 at a planted point ----


@pytest.mark.parametrize("plant", [{"before": 2}, {"after": 3}])
def test_killed_while_it_is_made(plant, data, out, tmp_path):
    log = tmp_path / "log"
    assert finished(Run(data.path, str(out), log=log, **plant)) == -9
    assert len(acknowledged(log)) == plant.get("before", 4) - 1
    index(data, tmp_path / "undisturbed")
    check_state(out, log, digests(Universe.open(tmp_path / "undisturbed").table), set())
    model = CountedModel()
    index(data, out, model)
    assert model.embedded == 14 - 3 * len(acknowledged(log))  # what was committed is not done again
    check_equal(out, tmp_path / "undisturbed")


def test_killed_in_an_update(data, out, tmp_path):
    index(data, out)
    reading, before = Universe.open(out, CountedModel()), answers(out)
    change(data)
    log = tmp_path / "log"
    assert finished(Run(data.path, str(out), log=log, after=3)) == -9  # new items and a part of the repainted ones
    assert [hit.id for hit in reading.search("picture 3", k=20)] == [row[0] for row in before[0]]
    index(data, tmp_path / "undisturbed")
    check_state(out, log, digests(Universe.open(tmp_path / "undisturbed").table), set())
    assert len(Universe.open(out)) == 19  # half brought up to date, and every answer is right for what is there
    model = CountedModel()
    index(data, out, model)
    assert 0 < model.embedded < 5
    check_equal(out, tmp_path / "undisturbed")


@pytest.mark.parametrize("plant", [{"before": 1}, {"after": 1}])
def test_killed_in_a_delete(plant, data, out, tmp_path):
    index(data, out)
    for number in range(3):
        data.remove(f"{number:03}.png")
    data.write()
    assert finished(Run(data.path, str(out), **plant)) == -9
    assert len(Universe.open(out)) == (14 if "before" in plant else 11)
    answers(out)
    index(data, out)
    index(data, tmp_path / "undisturbed")
    check_equal(out, tmp_path / "undisturbed")


@pytest.mark.slow
def test_killed_while_the_vector_index_is_built(out, tmp_path, monkeypatch):
    data = Folder(tmp_path / "data", range(MANY))
    assert finished(Run(data.path, str(tmp_path / "undisturbed"), exact_up_to=100)) == 0
    assert finished(Run(data.path, str(out), exact_up_to=100, in_index=True)) == -9
    assert generations.current(Place(out)) is None
    assert finished(Run(data.path, str(out), exact_up_to=100)) == 0
    for module in (finishing, neighbours):
        monkeypatch.setattr(module, "EXACT_UP_TO", 100)
    assert Universe.open(out, CountedModel()).search("picture 3").recall is not None
    assert content(out, derived=False) == content(tmp_path / "undisturbed", derived=False)
    monkeypatch.undo()
    check_equal(out, tmp_path / "undisturbed")


def test_killed_in_a_migration(data, out, tmp_path):
    index(data, out)
    before = answers(out)
    assert finished(Run(data.path, str(out), "three", {"migrate": True}, after=2)) == -9
    assert answers(out) == before
    model = CountedModel("three")
    index(data, out, model, migrate=True)
    assert model.embedded == 14 - 6
    index(data, tmp_path / "undisturbed", CountedModel("three"))
    check_equal(out, tmp_path / "undisturbed", CountedModel("three"))


# ---- kill -9 at any moment ----


@pytest.mark.slow
def test_twenty_kills_at_random_moments_lose_nothing(tmp_path, monkeypatch):
    choices, out, log = random.Random(3), tmp_path / "u", tmp_path / "log"
    monkeypatch.setattr(finishing, "EXACT_UP_TO", 100)
    data = Folder(tmp_path / "data", range(MANY))

    def removing() -> None:
        for number in range(50, 80):
            data.remove(f"{number:03}.png")
        data.write()

    def moving() -> None:
        for name in list(data.rows)[100:]:
            data.rows[name]["title"] += " again"
        data.write()

    kills = 0
    for stage, model, options in ((lambda: None, "one", {}), (lambda: change(data), "one", {}), (removing, "one", {}),
                                  (moving, "one", {}), (lambda: None, "three", {"migrate": True})):
        # A migration fills a table of its own, in which nothing was before.
        before = set(digests(Universe.open(out).table)) if out.exists() and not options else set()
        stage()
        log.unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "undisturbed", ignore_errors=True)
        began = time.monotonic()
        assert finished(Run(data.path, str(tmp_path / "undisturbed"), model, exact_up_to=100)) == 0
        lasts = time.monotonic() - began
        final = digests(Universe.open(tmp_path / "undisturbed").table)
        run = Run(data.path, str(out), model, options, exact_up_to=100, log=log)
        for _ in range(4):
            process = start(run)
            process.join(choices.uniform(0.02, 0.45) * lasts)
            kills += process.exitcode is None
            process.kill()
            process.join()
            if out.exists():
                check_state(out, log, final, before)
        assert finished(run) == 0
        check_equal(out, tmp_path / "undisturbed", CountedModel(model))
    assert kills >= 12  # the others came too late


# ---- two writers ----


@pytest.mark.parametrize("apart", [0.0, 0.3])
def test_two_writers_of_the_same_data_write_every_item_once(apart, data, out, tmp_path):
    runs = [Run(data.path, str(out), errors=tmp_path / f"errors{number}") for number in range(2)]
    statuses = _both(runs, apart)
    said = [run.errors.read_text() for run in runs if run.errors.exists()]
    assert statuses.count(0) >= 1, said
    assert all("same command again" in line for line in said)
    index(data, out)
    index(data, tmp_path / "undisturbed")
    check_equal(out, tmp_path / "undisturbed")


def test_two_writers_of_two_sources_both_get_through(data, out, tmp_path):
    more = Folder(tmp_path / "more", range(60, 74))
    index(Folder(tmp_path / "first", range(80, 82)), out)
    assert _both([Run(data.path, str(out)), Run(more.path, str(out))], 0) == [0, 0]
    rows = content(out)
    assert len(rows) == 30
    assert all(row["x"] is not None for row in rows.values())


def test_an_update_during_a_migration_says_run_again(data, out, tmp_path, monkeypatch):
    from vector_universe.errors import UserError
    index(data, out)
    change(data)
    merge = ItemTable.merge

    def slow(table, rows):
        if generations.current(Place(out)) == "g0001":
            monkeypatch.setattr(ItemTable, "merge", merge)
            index(data, out, CountedModel("three"), migrate=True)
        merge(table, rows)

    monkeypatch.setattr(ItemTable, "merge", slow)
    with pytest.raises(UserError, match="brought to another model meanwhile: run the same command again"):
        index(data, out)
    assert len(Universe.open(out, CountedModel("three"))) == 19


def _both(runs: list[Run], apart: float) -> list[int]:
    processes = []
    for run in runs:
        processes.append(start(run))
        time.sleep(apart)
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


# ---- no room ----


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)],
                                                       capture_output=True).returncode:
        pytest.skip("a disk of one's own takes rights to mount it")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_named_and_the_old_version_stays(small_disk, data, tmp_path):
    out, errors, filler = small_disk / "u", tmp_path / "errors", small_disk / "filler"
    index(data, out)
    before = answers(out)
    free = shutil.disk_usage(small_disk).free
    filler.write_bytes(bytes(free - 20_000))
    change(data)
    assert finished(Run(data.path, str(out), errors=errors)) == 2
    assert "disk is full; what was committed before is kept" in errors.read_text()
    assert "\n" not in errors.read_text()
    assert {row[0] for row in answers(out)[0]} >= {row[0] for row in before[0]}
    filler.unlink()
    index(data, out)
    index(data, tmp_path / "undisturbed")
    check_equal(out, tmp_path / "undisturbed")


def test_a_disk_that_is_full_from_the_start(small_disk, data, tmp_path):
    filler, errors = small_disk / "filler", tmp_path / "errors"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 4096))
    assert finished(Run(data.path, str(small_disk / "u"), errors=errors)) == 2
    assert errors.read_text() == "No space left on device"
    filler.unlink()
    index(data, small_disk / "u")
    assert len(Universe.open(small_disk / "u")) == 14


def test_files_that_may_not_grow_are_a_full_disk(data, out, tmp_path):
    index(data, out)
    before = answers(out)
    change(data)
    errors = tmp_path / "errors"
    assert finished(Run(data.path, str(out), errors=errors, file_bytes=3000)) == 2
    assert "full" in errors.read_text()
    assert answers(out) == before
    index(data, out)
    index(data, tmp_path / "undisturbed")
    check_equal(out, tmp_path / "undisturbed")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_closed_to_writing_is_named(data, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    errors = tmp_path / "errors"
    assert finished(Run(data.path, str(tmp_path / "locked" / "u"), errors=errors)) == 2
    assert "cannot be written" in errors.read_text()
