"""A generator on the emoji: minutes, whether its pictures fit their texts, and whether modes are missing.

    python -m benchmarks.generator [--quick] [--out FOLDER] [--size 64] [--epochs N]

Two models of different seeds are trained on the emoji first. One embeds the texts, and tells the generator how well its
pictures fit; the other, which the generator has never met, is the judge: a generator can please the very model that it
learns from. Judged are 748 training names, and the test split's, which neither generator nor models have seen. `real`
rows are the same figures of real pictures: what a perfect generator would reach. Fréchet distance, density and coverage
are between halves of the names, so that repeating the training pictures earns no more than real ones get. `--quick`:
32 pixels, 2 epochs of everything. Runs in FOLDER are continued, and finished ones are used again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.report import report
from vector_universe import TrainConfig, load_dataset, train
from vector_universe.data import ImageTextDataset, read_pixels
from vector_universe.models import DualEncoder, load_run_model
from vector_universe.models.gan import Generator
from vector_universe.training import train_generator
from vector_universe.training.adversarial.judge import judge_generator
from vector_universe.training.adversarial.sheets import NEVER_SEEN, Row, write_sheet
from vector_universe.training.recipes import recipe

JUDGED = 748  # every other training name
SHOWN = ("heart", "grinning face", "cat face", "soccer ball", "rocket", "slice of pizza", "rose", "dog face",
         "smiling face with sunglasses", "evergreen tree", "red apple", "full moon symbol")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path, help="folder that keeps the runs")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options.out or Path(folder), 32 if options.quick else options.size,
                2 if options.quick else options.epochs, options.quick)


def measure(folder: Path, size: int, epochs: int | None, quick: bool) -> None:
    """Train what is missing in `folder`, and report every figure."""
    dataset = load_dataset("emoji")
    for seed, name in enumerate(("encoder", "judge")):
        train(dataset, TrainConfig(seed=seed, epochs=2 if quick else None), folder / name)
    case = f"emoji_{size}{'_quick' if quick else ''}"
    config = replace(recipe("gan", str(folder / "encoder")), generated_size=size, epochs=epochs)
    started = time.perf_counter()
    generator = train_generator(dataset, config, folder / "generator")
    report(case, "minutes of training, where it had not begun", (time.perf_counter() - started) / 60)
    report(case, "threads", torch.get_num_threads())
    encoder, other = load_run_model(folder / "encoder"), load_run_model(folder / "judge")
    for split, step in (("train", len(dataset.split("train")) // JUDGED), ("test", 1)):
        one = dataset.split(split)
        figures = of_split(one.select(range(0, len(one), step)), generator, encoder, other)
        for name, value in figures.items():
            report(case, f"{split} names: {name.replace('_', ' ')}", value)
    rows_TD = torch.from_numpy(encoder.embed_texts(SHOWN))
    drawn = [generator.sample(rows_TD, [seed] * len(SHOWN), 0.7).numpy() for seed in range(5)]
    seen = {text for example in dataset.split("train") for text in example.prompts}
    write_sheet(folder / "sheet.png", [
        Row(text, [pictures[place] for pictures in drawn], "" if text in seen else NEVER_SEEN)
        for place, text in enumerate(SHOWN)])


def of_split(split: ImageTextDataset, generator: Generator, encoder: DualEncoder, other: DualEncoder
             ) -> dict[str, float]:
    """What `other` finds in pictures of these names; see `judge`."""
    found = read_pixels(split, generator.config.size)
    names = [example.title for example in found.examples]
    return judge_generator(generator, torch.from_numpy(encoder.embed_texts(names)), found.array, other,
                           other.embed_texts(names))


if __name__ == "__main__":
    main()
