"""Trackers: figures arrive under flat names, a continued run stays one, and what cannot be reached says so soon."""

from __future__ import annotations

import json
import sys
import threading
import time
import types
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

import pytest

from vector_universe import UserError
from vector_universe.training import trackers
from vector_universe.training.trackers import open_tracker

CONFIG = {"batch_size": 128, "learning_rate": None, "model": "a/b"}


@pytest.fixture
def wandb(monkeypatch, tmp_path):
    """A stand-in for the package that records how it is called."""
    module = types.ModuleType("wandb")
    module.__spec__ = ModuleSpec("wandb", None, origin="wandb.py")
    module.runs, module.mode, module.error = [], "offline", None

    class Run:
        def __init__(self, arguments):
            self.arguments, self.rows, self.metrics, self.finished = arguments, [], [], False

        def log(self, values, step=None):
            assert step is None
            self.rows.append(values)

        def define_metric(self, name, step_metric=None):
            self.metrics.append((name, step_metric))

        def finish(self):
            self.finished = True

    def init(**arguments):
        if module.error:
            raise module.error
        module.runs.append(Run(arguments))
        return module.runs[-1]

    module.init = init
    module.Settings = lambda **settings: settings
    module.setup = lambda: types.SimpleNamespace(
        settings=types.SimpleNamespace(mode=module.mode, base_url="https://wandb.invalid"))
    monkeypatch.setitem(sys.modules, "wandb", module)
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_PROJECT", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return module


def test_none_records_nothing(tmp_path):
    tracker = open_tracker("none", tmp_path, CONFIG)
    tracker.log({"loss": 1.0}, 0)
    tracker.close()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match="choose one of none, tensorboard, wandb"):
        open_tracker("mlflow", tmp_path, CONFIG)


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
@pytest.mark.parametrize("found", [None, ModuleSpec("wandb", None)])  # the latter: a folder of that name
def test_a_missing_package_names_the_extra(kind, found, tmp_path, monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda name: found)
    with pytest.raises(UserError, match=r"vector-universe\[track\]"):
        open_tracker(kind, tmp_path, CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_wandb_gets_figures_settings_and_one_id(wandb, tmp_path):
    for step in (0, 5):  # the second is a continued run
        tracker = open_tracker("wandb", tmp_path, CONFIG, first_step=step)
        tracker.log({"loss": 2.0, "geometry/effective_rank": 3.0}, step)
        tracker.close()
    first, second = wandb.runs
    assert first.arguments["project"] == "vector-universe"
    assert first.arguments["config"] == CONFIG
    assert first.arguments["dir"] == str(tmp_path)
    assert first.arguments["resume"] == "allow"
    assert first.arguments["id"] == second.arguments["id"] == json.loads((tmp_path / "tracker.json").read_text())["id"]
    assert first.metrics == [("step", None), ("*", "step")]
    assert first.rows == [{"loss": 2.0, "geometry/effective_rank": 3.0, "step": 0}]
    assert second.rows[0]["step"] == 5
    assert first.finished


def test_two_runs_have_two_ids(wandb, tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        open_tracker("wandb", tmp_path / name, CONFIG)
    assert wandb.runs[0].arguments["id"] != wandb.runs[1].arguments["id"]


def test_wandb_without_a_key_says_so(wandb, tmp_path):
    wandb.mode = "online"
    with pytest.raises(UserError, match=r"no key for W&B .*WANDB_MODE=offline"):
        open_tracker("wandb", tmp_path, CONFIG)
    assert wandb.runs == []
    assert list(tmp_path.iterdir()) == []


def test_wandb_that_cannot_be_reached_says_so_soon(wandb, tmp_path, monkeypatch):
    wandb.mode = "online"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".netrc").write_text("machine wandb.invalid login user password none\n")
    monkeypatch.setattr(trackers, "PROBE_SECONDS", 0.2)
    started = time.monotonic()
    with pytest.raises(UserError, match=r"cannot be reached \(wandb.invalid\).*WANDB_MODE=offline"):
        open_tracker("wandb", tmp_path, CONFIG)
    hangs = threading.Event()  # a name server that does not answer

    def hang(*_, **__):
        hangs.wait(10)
        raise OSError

    monkeypatch.setattr("urllib.request.urlopen", hang)
    with pytest.raises(UserError, match="cannot be reached"):
        open_tracker("wandb", tmp_path, CONFIG)
    hangs.set()
    assert time.monotonic() - started < 5
    assert wandb.runs == []


def test_wandb_online_starts_when_it_answers(wandb, tmp_path, monkeypatch):
    wandb.mode = "online"
    monkeypatch.setenv("WANDB_API_KEY", "a key of the test")
    monkeypatch.setattr(trackers, "_answers", lambda url: True)
    open_tracker("wandb", tmp_path, CONFIG)
    assert wandb.runs[0].arguments["settings"]["init_timeout"] == trackers.START_SECONDS
    wandb.error = RuntimeError("permission denied\nand many lines more")
    with pytest.raises(UserError, match=r"does not start \(permission denied\): set WANDB_MODE=offline"):
        open_tracker("wandb", tmp_path, CONFIG)


def _figures(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(str(folder)).Reload()
    return {name: [(event.step, round(event.value, 6)) for event in events.Scalars(name)]
            for name in events.Tags()["scalars"]}


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_continues_after_a_kill(tmp_path):
    tracker = open_tracker("tensorboard", tmp_path, CONFIG)
    for step in range(6):
        tracker.log({"loss": float(step), "geometry/effective_rank": 2.0}, step)
    tracker.close()
    tracker = open_tracker("tensorboard", tmp_path, CONFIG, first_step=4)
    tracker.log({"loss": 40.0}, 4)
    tracker.close()
    figures = _figures(tmp_path / "tensorboard")
    assert figures["loss"] == [(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0), (4, 40.0)]
    assert [step for step, _ in figures["geometry/effective_rank"]] == [0, 1, 2, 3]


@pytest.mark.skipif(find_spec("wandb") is None or find_spec("wandb").origin is None,
                    reason="wandb is not installed")
def test_real_wandb_works_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    for step in (0, 1):
        tracker = open_tracker("wandb", tmp_path, CONFIG, first_step=step)
        tracker.log({"loss": 1.0, "geometry/effective_rank": 2.0}, step)
        tracker.close()
    run_id = json.loads((tmp_path / "tracker.json").read_text())["id"]
    assert list((tmp_path / "wandb").glob(f"offline-run-*-{run_id}"))
