"""Embedding speed beside sentence-transformers: `python -m benchmarks.embedding [--quick] [--data FOLDER]`.

A full-size CLIP ViT-B/32 with random weights (speed does not depend on them) turns JPEG files and titles into vectors.
Each side lives in a process of its own; the sides take turns, figures are medians. The peer comes with the extra
`bench`. Needs youtube-thumbnails-150 and CLIP's vocabulary in the data folder.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.util
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from benchmarks.report import report
from vector_universe import DualEncoder
from vector_universe.models.precision import use_bf16

OURS, PEER, PEER_BF16 = "vector_universe", "sentence_transformers", "sentence_transformers_bf16"
MATMUL = 2048  # side of the square product whose rate is the peak
EMULATED_SHARE = 15  # of the pictures, this part is enough for a side that emulates bf16, 20 times slower


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="60 pictures and 300 texts, one turn")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    image_count, text_count, turns = (60, 300, 1) if arguments.quick else (450, 3000, 3)
    pictures = arguments.data / "youtube-thumbnails-150"
    vocabulary = arguments.data / "clip-facts" / "bpe_simple_vocab_16e6.txt.gz"
    if not (pictures / "metadata.csv").is_file() or not vocabulary.is_file():
        sys.exit(f"{pictures / 'metadata.csv'} or {vocabulary} is not there: give their folder by --data")
    images, titles = read_data(pictures, image_count, text_count)
    bf16 = use_bf16()
    arithmetic = "bf16" if bf16 else "fp32: no bf16 hardware here, where most of the gain would be"
    sides = [OURS, PEER, PEER_BF16]
    if importlib.util.find_spec("sentence_transformers") is None:
        print("sentence-transformers is not here, so only our own rows: pip install 'vector-universe[bench]'",
              file=sys.stderr)
        sides = [OURS]

    with tempfile.TemporaryDirectory() as folder:
        save_clip(folder, vocabulary)
        context = multiprocessing.get_context("spawn")
        processes = {side: context.Pool(1) for side in sides}

        def ask(side: str, function: Callable, *inputs: Any) -> Any:
            return processes[side].apply(function, (side, folder, *inputs))

        agreement: dict[str, np.ndarray] = {}
        if PEER in sides:
            for kind, items in (("prepared", images), ("images", images), ("texts", titles)):
                agreement[kind] = cosines(*(ask(side, vectors, kind, items[:16]) for side in (OURS, PEER)))
            assert min(agreement["prepared"].min(), agreement["texts"].min()) > 0.999, agreement
        emulated = [] if bf16 else [PEER_BF16]
        rates: dict[str, dict[str, list[float]]] = {kind: {side: [] for side in sides} for kind in ("images", "texts")}
        for _ in range(turns):
            for side in sides:
                few = images[:len(images) // EMULATED_SHARE] if side in emulated else images
                rates["images"][side].append(ask(side, rate, "images", few))
                if side != PEER_BF16:
                    rates["texts"][side].append(ask(side, rate, "texts", titles))
        share = median(ask(OURS, share_of_matmul_peak, images[:64]) for _ in range(turns))
        for process in processes.values():
            process.terminate()

    middle = {kind: {side: median(found) for side, found in of_sides.items() if found}
              for kind, of_sides in rates.items()}
    for kind, items in (("images", images), ("texts", titles)):
        case, note = f"embed_{kind}", f"{len(items)} {kind}, {arithmetic}"
        for side, per_second in middle[kind].items():
            report(case, "per_second" if side == OURS else f"per_second_{side}", per_second, note)
        if PEER in sides:
            report(case, f"speedup_vs_{PEER}", middle[kind][OURS] / middle[kind][PEER], note)
            report(case, f"cosine_with_{PEER}", float(agreement[kind].mean()), "mean of 16")
    if PEER_BF16 in sides:
        report("embed_images", f"speedup_vs_{PEER_BF16}", middle["images"][OURS] / middle["images"][PEER_BF16],
               "" if bf16 else "says little: ours is fp32, theirs emulates bf16")
    report("embed_images", "share_of_matmul_peak", share,
           "encoder alone, of the measured rate in " + ("bf16" if bf16 else "fp32, as no bf16 hardware is here"))


def read_data(folder: Path, image_count: int, text_count: int) -> tuple[list[str], list[str]]:
    """JPEG files and titles, repeated to these numbers."""
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    files = [str(folder / "images" / row["file_name"]) for row in rows]
    return list(islice(cycle(files), image_count)), list(islice(cycle(row["title"] for row in rows), text_count))


def save_clip(folder: str, vocabulary: Path) -> None:
    """CLIP ViT-B/32 with random weights and the published vocabulary, as people find it on the hub."""
    with gzip.open(vocabulary, "rt", encoding="utf-8") as file:
        merges = [tuple(line.split()) for line in file.read().split("\n")[1:49152 - 256 - 2 + 1]]
    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges),
              "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=merges,
                              model_max_length=77)
    torch.manual_seed(0)
    text_config = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": tokenizer.bos_token_id}
    CLIPModel(CLIPConfig(text_config=text_config)).save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def cosines(ours_ND: np.ndarray, theirs_ND: np.ndarray) -> np.ndarray:
    """Cosine (N,) of our vector of each input with theirs, from the mean: random weights give all a like direction."""
    ours_ND, theirs_ND = (rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True) for rows_ND in (ours_ND, theirs_ND))
    ours_ND, theirs_ND = ours_ND - ours_ND.mean(0), theirs_ND - theirs_ND.mean(0)
    return (ours_ND * theirs_ND).sum(1) / np.linalg.norm(ours_ND, axis=1) / np.linalg.norm(theirs_ND, axis=1)


# ---- what runs in the processes of the sides ----

@cache
def load(side: str, folder: str) -> Any:
    """Our model, or the peer at its defaults but for the type of its weights."""
    if side == OURS:
        return DualEncoder.from_pretrained(folder)
    from sentence_transformers import SentenceTransformer
    return SentenceTransformer(folder, model_kwargs={"dtype": torch.bfloat16} if side == PEER_BF16 else {})


def vectors(side: str, folder: str, kind: str, inputs: list[str]) -> np.ndarray:
    """Embed titles ("texts"), files ("images"), or squares that need no more preparation ("prepared")."""
    model = load(side, folder)
    items: list[Any] = inputs
    if kind == "prepared":
        framing = load(OURS, folder).framing
        items = [Image.fromarray(framing.pixels(file)) for file in inputs]
    if side == OURS:
        return model.embed_texts(items) if kind == "texts" else model.embed_images(items)
    return model.encode(items, show_progress_bar=False)


def rate(side: str, folder: str, kind: str, inputs: list[str]) -> float:
    """Inputs a second, from files or texts to vectors, after a warm-up."""
    vectors(side, folder, kind, inputs[:4])
    started = time.perf_counter()
    vectors(side, folder, kind, inputs)
    return len(inputs) / (time.perf_counter() - started)


def share_of_matmul_peak(side: str, folder: str, files: list[str]) -> float:
    """Operations a second of the image encoder, as a share of those of a large square product of the same type."""
    model = load(side, folder)
    pixels = np.stack([model.framing.pixels(file) for file in files])
    with FlopCounterMode(display=False) as counter:
        model.embed_pixels(pixels[:1])
    square = torch.randn(MATMUL, MATMUL, device=model.device,
                         dtype=torch.bfloat16 if use_bf16("auto", model.device) else torch.float32)
    peak = max(2 * MATMUL**3 / seconds(lambda: (square @ square)[0, 0].item()) for _ in range(5))
    return counter.get_total_flops() * len(pixels) / seconds(lambda: model.embed_pixels(pixels)) / peak


def seconds(step: Callable) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
