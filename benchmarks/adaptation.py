"""What adaptation costs: trainable share, adapter size, step time and peak memory on a ViT-B/32 CLIP.

Weights are random: the figures do not depend on them. Each way runs in a process of its own, so that each peak is its
own. `--quick` takes 2 timed steps instead of 6.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from transformers import CLIPConfig, CLIPModel

from benchmarks.report import report
from vector_universe.models import Adaptation, DualEncoder, DualEncoderConfig, adapt, save_adapter
from vector_universe.models.adaptation import trainable_table
from vector_universe.models.pretrained import plain
from vector_universe.models.whole import WholeModel

BATCH, TOKENS = 32, 16
WAYS = {
    "lora": Adaptation(),
    "frozen image, lora text": Adaptation(image="frozen"),
    "last_k=2": Adaptation(image="last_k", text="last_k"),
    "full": Adaptation(image="full", text="full"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--steps", type=int, default=6, help="timed steps")
    arguments = parser.parse_args()
    steps = 2 if arguments.quick else arguments.steps
    for way in WAYS:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            for metric, value in pool.apply(measure, (way, steps)).items():
                report(way, metric, value)


def measure(way: str, steps: int) -> dict[str, float]:
    """Adapt, take one untimed step and then `steps` timed ones, save the adapter."""
    torch.manual_seed(0)
    clip = CLIPModel(CLIPConfig())
    config = DualEncoderConfig(pretrained_config=plain(clip.config), image_size=224, embedding_width=512)
    model = adapt(DualEncoder(config, WholeModel(clip)), WAYS[way]).train()
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], 1e-4)
    pixels, mask = torch.randn(BATCH, 3, 224, 224), torch.ones(BATCH, TOKENS, dtype=torch.long)
    ids = torch.randint(1, 1000, (BATCH, TOKENS))
    ids[:, -1] = clip.config.text_config.eos_token_id
    seconds = []
    for _ in range(1 + steps):
        started = time.perf_counter()
        images, texts = model(pixels, ids, mask)
        loss = F.cross_entropy(images @ texts.T * model.logit_scale.exp(), torch.arange(BATCH))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    # before the adapter is saved: copying it is no part of a step
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    with tempfile.TemporaryDirectory() as folder:
        save_adapter(model, folder)
        adapter = sum(path.stat().st_size for path in Path(folder).iterdir())
    everything = trainable_table(model)[-1]
    return {"trainable_millions": everything.trainable / 1e6, "trainable_percent": 100 * everything.share,
            "adapter_mb": adapter / 1e6, f"step_s (batch {BATCH}, fp32, {torch.get_num_threads()} threads)":
            median(seconds[1:]), "peak_gib": peak}


if __name__ == "__main__":
    main()
