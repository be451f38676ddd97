"""Label ranking from image, title and burnt-in text, alone and fused, on pictures that nothing was trained on.

    python -m benchmarks.fusion [--quick] [--data ../shared/data] [--cache FOLDER]

Pictures are split by the digest of their bytes, so that no copy of one crosses the split. For each seed a `DualEncoder`
is trained from scratch on the train split (a picture's texts: its title, and its labels), then for each combination of
inputs a kernel head, with or without a fusion head, on the frozen embeddings; measured are the test pictures. Labels
that no training picture has are left out. Rows are means over the seeds, with the deviation beside them. `label
frequency` ranks by the train split's counts alone; `mean of both` is the unlearned fusion. OCR text is read where the
extra `ocr` is installed: the first time 3,000 posters take the better part of an hour, then they are in the user's
cache. `--quick`: one seed, 2 epochs, 600 posters, no reading.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch

from benchmarks.report import report
from vector_universe import DualEncoder, TrainConfig, UserError, load_dataset, train
from vector_universe.data import ImageTextDataset, read_ocr, read_pixels
from vector_universe.data.duplicates import image_digest
from vector_universe.evaluation.label_ranking import LabelRanking, label_ranking
from vector_universe.losses import LabelSets
from vector_universe.training.fusion import FusionConfig, train_fusion

SETS = ("youtube-thumbnails-150", "movie-posters-3000")
TRAIN_SHARE = 70  # percent; 150 thumbnails leave few to measure
INPUT_SETS = {"image": (True, False, False), "title": (False, True, False), "ocr": (False, False, True),
              "image+title": (True, True, False), "image+title+ocr": (True, True, True)}
EPOCHS = {"movie-posters-3000": 6, "youtube-thumbnails-150": 40}
METRICS = ("average_precision", "macro_average_precision", "recall_at_1", "recall_at_3", "recall_at_5")
CHANCE = ("chance_average_precision", "chance_macro", "chance_at_1", "chance_at_3", "chance_at_5")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, help="folder that keeps trained towers for the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in SETS:
            measure(name, options.data / name, options.cache or Path(folder), options.quick)


def measure(name: str, folder: Path, cache: Path, quick: bool) -> None:
    """Report every figure of one data set."""
    dataset = split_by_picture(load_dataset(folder))
    if quick:
        dataset = dataset.select(range(min(600, len(dataset))))
    has_ocr = not quick
    if has_ocr:
        try:
            dataset = read_ocr(dataset)
        except UserError as error:
            print(f"without OCR: {error}", file=sys.stderr)
            has_ocr = False
    case = f"{name}{'_quick' if quick else ''}"
    shared_titles = {e.title.lower() for e in dataset.split("test")} & {e.title.lower() for e in dataset.split("train")}
    for split in ("train", "test"):
        report(case, f"{split} pictures", len(dataset.split(split)))
    report(case, "test titles that also occur in train", len(shared_titles))
    figures: dict[str, list[LabelRanking]] = defaultdict(list)
    for seed in range(1 if quick else 3):
        for row, ranking in one_seed(dataset, name, cache, seed, has_ocr, quick).items():
            figures[row].append(ranking)
    for metric, chance in zip(METRICS, CHANCE, strict=True):
        report(case, f"{metric}: chance", getattr(figures["label frequency"][0], chance))
        for row, rankings in figures.items():
            values = [getattr(ranking, metric) for ranking in rankings]
            report(case, f"{metric}: {row}", mean(values))
            if len(values) > 1:
                report(case, f"{metric} deviation: {row}", stdev(values))


def split_by_picture(dataset: ImageTextDataset) -> ImageTextDataset:
    """The same examples, split into train and test by the digest of the encoded picture alone."""
    buckets = [int(image_digest(example.image)[:8], 16) % 100 for example in dataset]
    examples = [replace(example, split="train" if bucket < TRAIN_SHARE else "test")
                for example, bucket in zip(dataset, buckets, strict=True)]
    return ImageTextDataset.from_examples(examples, name=dataset.name, source=dataset.source, skipped=dataset.skipped)


def one_seed(dataset: ImageTextDataset, name: str, cache: Path, seed: int, has_ocr: bool,
             quick: bool) -> dict[str, LabelRanking]:
    """Label ranking of the test split by every combination of inputs."""
    model = towers(dataset, cache / f"{name}-{'quick' if quick else 'full'}-{seed}",
                   TrainConfig(epochs=2 if quick else EPOCHS[name], seed=seed))
    pixels = read_pixels(dataset, model.config.image_size)
    examples = pixels.examples
    vocabulary = sorted({label for example in examples if example.split == "train" for label in example.labels})
    place = {label: number for number, label in enumerate(vocabulary)}
    vectors = [model.embed_pixels(pixels.array),
               embed_or_zeros(model, [e.texts[0] if e.texts else "" for e in examples]),
               embed_or_zeros(model, [e.ocr for e in examples])]
    rows = {split: [i for i, e in enumerate(examples) if e.split == split] for split in ("train", "test")}
    labels = {split: LabelSets.from_lists([[place[label] for label in examples[i].labels if label in place]
                                           for i in members], len(vocabulary)) for split, members in rows.items()}
    vocabulary_LD = model.embed_texts(vocabulary)

    def ranking(inputs: Sequence[np.ndarray | None], config: FusionConfig) -> LabelRanking:
        some = [np.zeros_like(vectors[0]) if array is None else array for array in inputs]
        usable = {split: [i for i in members if any(array[i].any() for array in some)]
                  for split, members in rows.items()}
        picked = {split: [array[members] for array in some] for split, members in usable.items()}
        kept = {split: labels[split] if len(usable[split]) == len(rows[split]) else LabelSets.from_lists(
            [[place[label] for label in examples[i].labels if label in place] for i in usable[split]],
            len(vocabulary)) for split in rows}
        head, objective = train_fusion(*picked["train"], kept["train"], vocabulary_LD, config)
        scores_BL = np.zeros((len(rows["test"]), len(vocabulary)), np.float32)  # a row without input: all labels equal
        fused = torch.from_numpy(head.fuse(*picked["test"]))
        with torch.no_grad():
            scores_BL[np.searchsorted(rows["test"], usable["test"])] = objective.distribution(
                fused, torch.from_numpy(vocabulary_LD)).numpy()
        found = label_ranking(scores_BL, labels["test"])
        assert found
        return found

    frequency_L = labels["train"].counts_per_label().numpy().astype(np.float32)
    by_frequency = label_ranking(np.tile(frequency_L, (len(rows["test"]), 1)), labels["test"])
    assert by_frequency
    results = {"label frequency": by_frequency}
    both = vectors[0] + vectors[1]
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    for row, used in INPUT_SETS.items():
        if used[2] and not has_ocr:
            continue
        inputs = [array if use else None for array, use in zip(vectors, used, strict=True)]
        if sum(used) == 1:
            results[f"{row} only"] = ranking(inputs, FusionConfig(seed=seed))
            continue
        if row == "image+title":
            results["mean of both"] = ranking([both, None, None], FusionConfig(seed=seed))
        for kind in ("concat", "gated", "bilinear"):
            results[f"{row} {kind}"] = ranking(inputs, FusionConfig(kind=kind, seed=seed))
    return results


def towers(dataset: ImageTextDataset, run: Path, config: TrainConfig) -> DualEncoder:
    """Train on title and labels of the train split; the other splits are not looked at."""
    examples = [replace(e, texts=[*e.texts, ", ".join(e.labels)] if e.labels else e.texts)
                for e in dataset if e.split == "train"]
    return train(ImageTextDataset.from_examples(examples, name=dataset.name, source=dataset.source), config, run,
                 quiet=True)


def embed_or_zeros(model: DualEncoder, texts: Sequence[str]) -> np.ndarray:
    """Unit rows of the texts, and zeros for those that are empty."""
    there = [i for i, text in enumerate(texts) if text.strip()]
    vectors_ND = np.zeros((len(texts), model.config.embedding_width), np.float32)
    vectors_ND[there] = model.embed_texts([texts[i] for i in there])
    return vectors_ND


if __name__ == "__main__":
    main()
