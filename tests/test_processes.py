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

pytestmark = pytest.mark.slow  # `losses/test_sharded.py` holds the losses themselves in quick tests
NAMES = list(CONFIGS)
COMMANDS = {"1": [sys.executable, "-m"],
            "2": [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
                  "--rdzv-endpoint", "localhost:0", "-m"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Called with a name: the folders of its runs by one process and by two; all are trained at once."""
    place = tmp_path_factory.mktemp("processes")
    write_shapes(place / "shapes")

    def runs(name):
        if not (place / "1" / name).exists():
            for size, command in COMMANDS.items():
                done = subprocess.run([*command, "tests.train_in_processes", str(place / "shapes"), str(place / size),
                                       *CONFIGS], capture_output=True, text=True, timeout=400, check=False)
                assert done.returncode == 0, done.stderr[-3000:]
        return [place / size / name for size in COMMANDS]

    return runs


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_are_one(trained, name):
    one, two = (load_file(run / "model" / "model.safetensors") for run in trained(name))
    assert one.keys() == two.keys()
    for key, weights in one.items():
        assert weights.dtype in (torch.float64, torch.int64)
        assert (weights - two[key]).abs().max() < 1e-9, key


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_of_the_whole_batch(trained, name):
    """Losses, and the geometry that is gathered from all processes, are those of one process."""
    lines = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in trained(name)]
    losses = [[line["loss"] for line in several if "loss" in line] for several in lines]
    assert len(losses[0]) == 20
    assert losses[1] == pytest.approx(losses[0], abs=1e-9)
    ranks = [[line["geometry"]["image_effective_rank"] for line in several if "geometry" in line] for several in lines]
    assert bool(ranks[0]) == (name != "captioner")  # which embeds no texts
    assert ranks[1] == pytest.approx(ranks[0], rel=1e-6)
