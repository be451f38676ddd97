"""Training speed beside others: `python -m benchmarks.training [--quick] [--data FOLDER]`.

A full-size CLIP ViT-B/32 with random weights (speed does not depend on them) learns from JPEG files and titles by LoRA
of rank 16 on query, key, value and output of every attention of both towers: by our `train`, by the
`SentenceTransformerTrainer` of sentence-transformers, and by a script around the `Trainer` of transformers as people
write it. Each side lives in a process of its own, the sides take turns, figures are medians over steps after a first
one. Then come our runs that learn less, whose frozen part is read back from the second epoch on, and one step of a
large batch. sentence-transformers comes with the extra `bench`. Needs youtube-thumbnails-150 and CLIP's vocabulary in
the data folder.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from contextlib import redirect_stdout
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import datasets
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPModel, CLIPProcessor, Trainer, TrainerCallback, TrainingArguments
from transformers.utils.logging import disable_progress_bar

from benchmarks.embedding import MATMUL, read_data, save_clip, seconds
from benchmarks.report import report
from vector_universe.data import Example, ImageTextDataset
from vector_universe.data.frame_store import FrameStore
from vector_universe.models import DualEncoder
from vector_universe.models.precision import use_bf16
from vector_universe.training import train
from vector_universe.training.recipes import recipe

OURS, SENTENCE_TRANSFORMERS, HF_TRAINER = "vector_universe", "sentence_transformers", "hf_trainer"
RANK, ALPHA, TARGETS = 16, 64, ["q_proj", "k_proj", "v_proj", "out_proj"]
STEPS = 3  # timed in each turn, after an untimed one
CASES: dict[str, dict[str, Any]] = {
    "last_k_2": {"adapt_image": "last_k", "adapt_text": "last_k", "last_k": 2},
    "frozen_image": {"adapt_image": "frozen"},
    "heads_only": {"adapt_image": "last_k", "adapt_text": "last_k", "last_k": 0},
}
LARGE_MICRO_BATCH = 32  # by itself it would be what fits into half of the free memory: nothing to compare with 8 GiB

disable_progress_bar()  # in the processes of the sides too, which import this module

Pairs = list[tuple[str, str]]  # JPEG file and title


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="batches of 32, one turn, a large batch of 512")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    batch, turns, large = (32, 1, 512) if arguments.quick else (64, 3, 4096)
    pictures = arguments.data / "youtube-thumbnails-150"
    vocabulary = arguments.data / "clip-facts" / "bpe_simple_vocab_16e6.txt.gz"
    if not (pictures / "metadata.csv").is_file() or not vocabulary.is_file():
        sys.exit(f"{pictures / 'metadata.csv'} or {vocabulary} is not there: give their folder by --data")
    count = (2 + STEPS) * batch  # one batch more than is timed: the next one's data is a part of every timed step
    pairs: Pairs = list(zip(*read_data(pictures, count, count), strict=True))
    bf16 = use_bf16()
    note = f"batch {batch}, {'bf16' if bf16 else 'fp32'}"
    if not bf16:
        note += ": no bf16 hardware here, where most of the gain would be"
        print("no bf16 hardware here, which would take minutes a step: rows that end in _bf16 are left out",
              file=sys.stderr)
    peers = [HF_TRAINER]
    if importlib.util.find_spec("sentence_transformers") is None:
        print("sentence-transformers is not here, so its rows are left out: pip install 'vector-universe[bench]'",
              file=sys.stderr)
    else:
        peers.insert(0, SENTENCE_TRANSFORMERS)
    sides = [OURS, *peers, *(f"{peer}_bf16" for peer in peers if bf16)]

    with tempfile.TemporaryDirectory() as folder:
        save_clip(folder, vocabulary)
        context = multiprocessing.get_context("spawn")
        processes = {side: context.Pool(1) for side in sides}
        flops = processes[OURS].apply(flops_of_pair, (folder, pairs[:batch]))
        rates: dict[str, list[float]] = {name: [] for name in (*sides, *CASES)}
        peaks = []
        for _ in range(turns):
            rates[OURS] += processes[OURS].apply(ours, (folder, pairs, batch, {}))
            peaks.append(processes[OURS].apply(matmul_peak))
            for side in sides[1:]:
                rates[side] += processes[side].apply(PEERS[side.removesuffix("_bf16")], (
                    folder, pairs, batch, side.endswith("_bf16")))
            for case, settings in CASES.items():
                rates[case] += processes[OURS].apply(ours_read_back, (folder, pairs[:batch], batch, settings))
        decoding = processes[OURS].apply(seconds_of_decoding, (folder, pairs))
        for process in processes.values():
            process.terminate()

        per_second = {name: median(found) for name, found in rates.items()}
        case = "lora_all_layers"
        once = f"batch {batch}; ours decodes once, at the start, {len(pairs) / decoding:.0f} pictures/s: not counted"
        for side in sides:
            report(case, "per_second" if side == OURS else f"per_second_{side}", per_second[side], note)
        for side in sides[1:]:
            report(case, f"speedup_vs_{side}", per_second[OURS] / per_second[side], once)
        report(case, "share_of_matmul_peak", per_second[OURS] * flops / median(peaks),
               f"of {median(peaks) / 1e9:.0f} GFLOP/s measured; a pair takes {flops / 1e9:.1f} GFLOP")
        for case in CASES:
            later = f"batch {batch}, from the second epoch on"
            report(case, "per_second", per_second[case], later)
            report(case, "speedup_vs_lora_all_layers", per_second[case] / per_second[OURS], later)

        images, titles = read_data(pictures, large, large)
        with context.Pool(1) as pool:
            took, peak_gb = pool.apply(large_step, (folder, list(zip(images, titles, strict=True)), large))
        note = f"micro-batch {LARGE_MICRO_BATCH}" + (f", batch {large} by --quick" if arguments.quick else "")
        report("batch_4096", "peak_rss_gb", peak_gb, f"{note}; GiB, of the whole run; below 8 is asked")
        report("batch_4096", "per_second", large / took, note)


# ---- what runs in the processes of the sides ----

def ours(folder: str, pairs: Pairs, batch: int, settings: dict[str, Any]) -> list[float]:
    """Pairs a second of each timed step of one epoch of `train`."""
    records = metrics(folder, pairs, {"epochs": 1, "batch_size": batch, "micro_batch": batch} | settings)
    return [record["pairs_per_second"] for record in records][1:1 + STEPS]


def ours_read_back(folder: str, pairs: Pairs, batch: int, settings: dict[str, Any]) -> list[float]:
    """Likewise over one batch of pairs again and again: the first epoch fills what the others read back."""
    return ours(folder, pairs, batch, settings | {"epochs": 1 + STEPS})


def metrics(folder: str, pairs: Pairs, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """What a run of the recipe for LoRA logged of each step."""
    examples = [Example(str(row), file, [title], []) for row, (file, title) in enumerate(pairs)]
    dataset = ImageTextDataset.from_examples(examples, name="pairs", source="pairs")
    with tempfile.TemporaryDirectory() as run:
        train(dataset, replace(recipe("lora", folder), lora_rank=RANK, lora_alpha=ALPHA, **settings), run, quiet=True)
        records = map(json.loads, (Path(run) / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        return [record for record in records if "pairs_per_second" in record]


def flops_of_pair(folder: str, pairs: Pairs) -> float:
    """Floating-point operations of one step of `train` over these pairs, for each of them."""
    with FlopCounterMode(display=False) as counter:
        metrics(folder, pairs, {"epochs": 1, "batch_size": len(pairs), "micro_batch": len(pairs)})
    return counter.get_total_flops() / len(pairs)


def matmul_peak() -> float:
    """Operations a second of a large square product in the type of our steps."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    square = torch.randn(MATMUL, MATMUL, device=device, dtype=torch.bfloat16 if use_bf16() else torch.float32)
    return max(2 * MATMUL**3 / seconds(lambda: (square @ square)[0, 0].item()) for _ in range(5))


def seconds_of_decoding(folder: str, pairs: Pairs) -> float:
    """How long our runs decode before their first step."""
    examples = [Example(str(row), file, [title], []) for row, (file, title) in enumerate(pairs)]
    framing = DualEncoder.from_pretrained(folder).framing
    with tempfile.TemporaryDirectory() as frames:
        return seconds(lambda: FrameStore.build(examples, framing, Path(frames), 10**10).close())


def large_step(folder: str, pairs: Pairs, batch: int) -> tuple[float, float]:
    """Seconds of the one step of a run, and GiB that its process took at most."""
    step, = metrics(folder, pairs, {"epochs": 1, "batch_size": batch, "micro_batch": LARGE_MICRO_BATCH})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    return batch / step["pairs_per_second"], peak


def sentence_transformers(folder: str, pairs: Pairs, batch: int, bf16: bool) -> list[float]:
    """Pairs a second of each timed step of the peer's own trainer, at its defaults."""
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as Arguments
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    model = SentenceTransformer(folder)
    model.add_adapter(lora())
    files, titles = zip(*pairs, strict=True)
    columns = datasets.Dataset.from_dict({"image": files, "title": titles}).cast_column("image", datasets.Image())
    ends = StepEnds()
    with tempfile.TemporaryDirectory() as out, redirect_stdout(sys.stderr):
        SentenceTransformerTrainer(model, Arguments(**arguments_of(out, batch, bf16)), columns,
                                   loss=MultipleNegativesRankingLoss(model), callbacks=[ends]).train()
    return ends.per_second(batch)


def hf_trainer(folder: str, pairs: Pairs, batch: int, bf16: bool) -> list[float]:
    """Pairs a second of each timed step of `Trainer`: pictures opened and texts padded in full by the processor."""
    model = get_peft_model(CLIPModel.from_pretrained(folder), lora())
    processor = CLIPProcessor.from_pretrained(folder)

    def collate(rows: Pairs) -> dict[str, Any]:
        files, titles = zip(*rows, strict=True)
        return {**processor(images=[Image.open(file).convert("RGB") for file in files], text=list(titles),
                            padding="max_length", truncation=True, return_tensors="pt"), "return_loss": True}

    ends = StepEnds()
    with tempfile.TemporaryDirectory() as out, redirect_stdout(sys.stderr):
        Trainer(model, TrainingArguments(**arguments_of(out, batch, bf16), remove_unused_columns=False), collate,
                pairs, callbacks=[ends]).train()  # type: ignore[arg-type]
    return ends.per_second(batch)


PEERS = {SENTENCE_TRANSFORMERS: sentence_transformers, HF_TRAINER: hf_trainer}


def lora() -> LoraConfig:
    """The peers' LoRA, which is that of our recipe."""
    return LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS)


def arguments_of(out: str, batch: int, bf16: bool) -> dict[str, Any]:
    """What the peers are told: the rest is as they have it."""
    return {"output_dir": out, "per_device_train_batch_size": batch, "max_steps": 1 + STEPS, "bf16": bf16,
            "save_strategy": "no", "report_to": "none", "disable_tqdm": True}


class StepEnds(TrainerCallback):
    """Notes when each step of a peer ends: between two of them lies one whole step, with its data."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.times.append(time.perf_counter())

    def per_second(self, batch: int) -> list[float]:
        return [batch / (after - before) for before, after in pairwise(self.times)]


if __name__ == "__main__":
    main()
