"""Several processes with a share of the batch each give the loss and the gradients of one with all of it."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
import torch

from tests.losses.references import unit_rows
from tests.losses.shard import VOCABULARY, losses

CASES = ["info_nce", "info_nce_opposite", "info_nce_options", "info_nce_weights", "sigmoid", "sigmoid_groups", "mean",
         "log_sum_exp", "spectral"]
ROWS = 24


def whole_batch():
    draw = random.Random(0)
    names = ("images", "texts", "more_images", "more_texts")
    batch = {name: unit_rows(ROWS, 16, seed).detach() for seed, name in enumerate(names)}
    groups = [draw.randrange(10) for _ in range(ROWS)]
    pairs = [(draw.randrange(ROWS), draw.randrange(ROWS)) for _ in range(40)]
    batch["weights"] = torch.tensor([draw.choice([0.05, 0.5, 1.0, 3.0]) for _ in range(ROWS)])
    return batch | {"opposites": -batch["images"][:1].expand(ROWS, -1), "groups": torch.tensor(groups),
                    "labels": [draw.sample(range(VOCABULARY), draw.randint(0, 3)) for _ in range(ROWS)],
                    "false_negatives": torch.tensor([(i, j) for i, j in pairs if groups[i] != groups[j]])}


@pytest.fixture(scope="module", params=[2, 4])
def answers(request, tmp_path_factory):
    """The answers of each process, and those of one alone."""
    folder, batch = tmp_path_factory.mktemp("shards"), whole_batch()
    torch.save(batch, folder / "batch.pt")
    processes = [subprocess.Popen([sys.executable, "-m", "tests.losses.shard", str(rank), str(request.param),
                                   str(folder)], stderr=subprocess.PIPE, text=True) for rank in range(request.param)]
    for process in processes:
        _, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors
    shards = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(request.param)]
    return shards, losses(batch, None, slice(None))


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_equal_those_of_one_process(answers, case):
    shards, (value, gradients) = answers[0], answers[1][case]
    for shard in shards:
        assert shard["answers"][case][0].item() == pytest.approx(value.item(), rel=1e-6, abs=1e-6)
    for place, whole in enumerate(gradients):
        parts = [shard["answers"][case][1][place] for shard in shards]
        # Rows: each process holds its own. Scalars: each holds its summand.
        together = torch.cat(parts) if whole.ndim else sum(parts)
        assert (together - whole).norm() <= 1e-6 * max(whole.norm().item(), 1.0)


def test_an_uneven_split_is_refused_in_every_process(answers):
    assert all("the number of images must be the same in every process" in shard["uneven"] for shard in answers[0])
