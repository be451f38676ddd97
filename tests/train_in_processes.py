"""Train objectives: `torchrun --nproc-per-node 2 -m tests.train_in_processes DATA OUT NAME…`, or with one process.

All in float64: Adam divides a gradient by its own size, so where one is zero but for rounding, float32's noise moves a
weight by as much as a real gradient would, and runs that add in another order drift apart.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from tests.conftest import empty_curves
from vector_universe import TrainConfig, load_dataset, train
from vector_universe.training import publish
from vector_universe.training.processes import take_leave

# 20 steps each, with dropout and parts of 4 of a batch of 16, so that both ways of splitting a batch meet.
BASE = TrainConfig(embedding_width=16, epochs=10, batch_size=16, micro_batch=4, learning_rate=1e-3, precision="fp32",
                   encoder_dropout=0.1, monitor_every=5)
CONFIGS = {
    "info_nce": BASE,
    "soft": replace(BASE, soft_labels=0.3),
    "left_out": replace(BASE, leave_out="same_labels", batches="apart"),
    "sigmoid": replace(BASE, objective="sigmoid"),
    "mean": replace(BASE, objective="alignment", anisotropy="mean"),
    "log_sum_exp": replace(BASE, objective="alignment"),
    "spectral": replace(BASE, objective="alignment", anisotropy="spectral"),
    "fusion": replace(BASE, objective="fusion"),
    "captioner": replace(BASE, objective="captioner", embedding_width=256, encoder_dropout=0.0, decoder_dropout=0.1),
}


def main() -> None:
    """Train them one after the other."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    publish.write_curves = empty_curves
    dataset = load_dataset(sys.argv[1]).split("train").select(range(32))
    for name in sys.argv[3:]:
        train(dataset, CONFIGS[name], Path(sys.argv[2]) / name, quiet=True)
    take_leave()


if __name__ == "__main__":
    main()
