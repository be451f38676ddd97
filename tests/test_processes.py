"""Two processes with half a batch each are one process with all of it, for every objective."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from tests.pictures import write_shapes
from tests.train_in_processes import CONFIGS


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of the runs of one process and of two."""
    place = tmp_path_factory.mktemp("processes")
    write_shapes(place / "shapes")
    commands = {1: [sys.executable, "-m"],
                2: [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0",
                    "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m"]}
    for size, command in commands.items():
        done = subprocess.run([*command, "tests.train_in_processes", str(place / "shapes"), str(place / str(size))],
                              capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    return place


@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_are_one(runs, name):
    one, two = (load_file(runs / size / name / "model" / "model.safetensors") for size in "12")
    assert one.keys() == two.keys()
    for key, weights in one.items():
        assert weights.dtype in (torch.float64, torch.int64)
        assert (weights - two[key]).abs().max() < 1e-9, key


@pytest.mark.parametrize("name", CONFIGS)
def test_figures_are_of_the_whole_batch(runs, name):
    """Losses, and the geometry that is gathered from all processes, are those of one process."""
    lines = [[json.loads(line) for line in (runs / size / name / "metrics.jsonl").read_text().splitlines()]
             for size in "12"]
    losses = [[line["loss"] for line in several if "loss" in line] for several in lines]
    assert len(losses[0]) == 20
    assert losses[1] == pytest.approx(losses[0], abs=1e-9)
    ranks = [[line["geometry"]["image_effective_rank"] for line in several if "geometry" in line] for several in lines]
    assert ranks[1] == pytest.approx(ranks[0], rel=1e-6)
