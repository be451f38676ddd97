"""A run survives what happens to runs: kill -9, Ctrl-C, SIGTERM, a full disk; and ends the same, bit for bit."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.pictures import write_shapes
from vector_universe import TrainConfig, load_dataset, train

CONFIG = {"embedding_width": 32, "epochs": 4, "batch_size": 8, "micro_batch": 3, "ema": 0.9, "keep": "best",
          "encoder_dropout": 0.1, "precision": "fp32"}
CAPTIONER = {"objective": "captioner", "decoder_dropout": 0.1} | {
    name: value for name, value in CONFIG.items() if name not in ("embedding_width", "encoder_dropout")}
# Saves after every step, and takes its time over each, so that a kill meets it at any point.
PROGRAM = """
import sys, time, torch
torch.set_num_threads(1)
from vector_universe import TrainConfig, UserError, load_dataset, train
from tests.conftest import empty_curves
from vector_universe.training import loop, publish
publish.write_curves = empty_curves
loop.CHECKPOINT_SECONDS, loop.CHECKPOINT_SHARE = 0.0, 1e9
watch, slow = loop._Loop._note, float(sys.argv[3])
loop._Loop._note = lambda self, *figures: (time.sleep(slow), watch(self, *figures), time.sleep(slow))
try:
    train(load_dataset(sys.argv[1]), TrainConfig(**{config}), sys.argv[2], quiet=True)
except (UserError, OSError) as error:
    sys.exit(f"{{type(error).__name__}}: {{error}}")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "shapes"
    write_shapes(path)
    lines = (path / "metadata.csv").read_text().splitlines()
    (path / "metadata.csv").write_text("\n".join(lines[:41]) + "\n")
    return path


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    train(load_dataset(folder), TrainConfig(**CONFIG), out, quiet=True)
    return out


@pytest.fixture(scope="module")
def undisturbed_captioner(folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "captioner"
    train(load_dataset(folder), TrainConfig(**CAPTIONER), out, quiet=True)
    return out


def started(folder, out, slow=0.0, config=CONFIG, **settings):
    return subprocess.Popen([sys.executable, "-c", PROGRAM.format(config=config), str(folder), str(out), str(slow)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings)


def finished(folder, out, config=CONFIG):
    process = started(folder, out, config=config)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors


def lines(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def check_equal(out, undisturbed):
    ours, theirs = (load_file(run / "model" / "model.safetensors") for run in (out, undisturbed))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    timeless = [[{key: value for key, value in line.items() if key not in ("pairs_per_second", "waiting")}
                 for line in lines(run)] for run in (out, undisturbed)]
    assert timeless[0] == timeless[1]
    steps = [line["step"] for line in lines(out) if "loss" in line]
    assert steps == list(range(len(steps)))
    assert not (out / "cache").exists()


def wait_for_step(process, out, step):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if f'"step": {step},' in (out / "metrics.jsonl").read_text():
                return
        except OSError:
            pass
        time.sleep(0.01)
    raise AssertionError(f"step {step} never came: {process.communicate()}")


@pytest.mark.slow
@pytest.mark.parametrize(("config", "whole"), [(CONFIG, "undisturbed"), (CAPTIONER, "undisturbed_captioner")])
def test_kill_9_in_mid_run_changes_nothing(folder, tmp_path, request, config, whole):
    out = tmp_path / "run"
    process = started(folder, out, slow=0.05, config=config)
    wait_for_step(process, out, 5)
    process.kill()
    process.wait()
    assert not (out / "model").exists()
    finished(folder, out, config)
    check_equal(out, request.getfixturevalue(whole))


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_nothing(folder, undisturbed, tmp_path):
    choices, out = random.Random(5), tmp_path / "run"
    for _ in range(10):
        process = started(folder, out, slow=0.3)
        try:
            process.wait(timeout=choices.uniform(3, 12))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    finished(folder, out)
    check_equal(out, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_finishes_the_step_saves_and_leaves(folder, undisturbed, tmp_path, number):
    out = tmp_path / "run"
    process = started(folder, out, slow=0.1)
    wait_for_step(process, out, 3)
    process.send_signal(number)
    process.wait(timeout=60)
    assert process.returncode != 0
    seen = [line["step"] for line in lines(out) if "loss" in line]
    assert (out / "checkpoint.safetensors").is_file()
    finished(folder, out)
    assert [line["step"] for line in lines(out) if "loss" in line][:len(seen)] == seen
    check_equal(out, undisturbed)


@pytest.mark.slow
def test_a_full_disk_is_named_and_the_last_checkpoint_stays(folder, undisturbed, tmp_path):
    """The system refuses to let a file grow past a size, which to a program looks like a disk without room."""
    out = tmp_path / "run"
    process = started(folder, out, slow=0.1)
    wait_for_step(process, out, 4)
    process.kill()
    process.wait()
    before = (out / "checkpoint.safetensors").read_bytes()

    def no_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))

    process = started(folder, out, preexec_fn=no_room)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "OSError" in errors.splitlines()[-1]
    assert "intact" in errors
    assert (out / "checkpoint.safetensors").read_bytes() == before
    assert not list(out.glob("*.partial"))
    finished(folder, out)
    check_equal(out, undisturbed)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(folder, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    process = started(folder, tmp_path / "locked" / "run")
    _, errors = process.communicate(timeout=60)
    assert "cannot be written" in errors
