"""How many pictures each objective needs, at equal pictures seen and an equal image tower, on two data sets.

    python -m benchmarks.efficiency [--quick] [--data ../shared/data] [--runs FOLDER] [--only SET…] [--seeds N]

Emoji: held-out emoji by their names. Movie posters, with each genre as one more caption, copies of a picture kept in
one split: held-out posters by their genres (top-1: the likeliest genre is one of the poster's own). `vu compare`:
contrastive, bag of words, n-grams, captioning; three seeds; learning rates chosen on validation. Rows: means over the
seeds at the end, with the least and the most; how many times fewer pictures the one needs for what the other reaches at
its end. `--quick`: one seed, one learning rate, two looks, a tenth of the pictures. `--runs` keeps the runs
with their pages, and goes on from them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import permutations
from pathlib import Path

from benchmarks.objectives import with_genres
from benchmarks.report import report
from vector_universe import TrainConfig, load_dataset
from vector_universe.data import ImageTextDataset
from vector_universe.data.options import LoadOptions
from vector_universe.training import CompareConfig, compare
from vector_universe.training.comparison.config import NAMES
from vector_universe.training.comparison.efficiency import factor
from vector_universe.training.comparison.results import Results, spread
from vector_universe.training.comparison.run import PAGE
from vector_universe.training.comparison.verdict import FIGURES, verdict

IMAGES_SEEN = {"emoji": 27_000, "posters": 27_000}
POINTS = 12
RATES = (5e-4, 1e-3, 2e-3, 4e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--runs", type=Path, help="folder that keeps the runs")
    parser.add_argument("--only", nargs="+", choices=IMAGES_SEEN, default=list(IMAGES_SEEN), help="these data sets")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    posters = options.data / "movie-posters-3000"
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            if name == "posters" and not posters.is_dir():
                print(f"{posters} is not there: the posters are left out", file=sys.stderr)
                continue
            dataset = load_dataset("emoji") if name == "emoji" else with_genres(
                load_dataset(posters, LoadOptions(group_duplicates=True)))
            measure(name, dataset, options.runs or Path(folder), 1 if options.quick else options.seeds, options.quick)


def measure(name: str, dataset: ImageTextDataset, runs: Path, seeds: int, quick: bool) -> None:
    """Compare, and report what was found."""
    seen = IMAGES_SEEN[name] // (10 if quick else 1)
    config = CompareConfig(seeds=seeds, points=2 if quick else POINTS, learning_rates=RATES[1:2] if quick else RATES)
    shared = TrainConfig(epochs=max(1, round(seen / len(dataset.split("train")))))
    folder = runs / f"{name}{'-quick' if quick else ''}"
    results = compare(dataset, config, shared, folder)
    note = f"{seeds} seed{'s' if seeds > 1 else ''}, {results.images:,} pictures"
    report_ends(name, results, note)
    for faster, slower in permutations(results.objectives, 2):
        found = factor(results, faster, slower, results.main)
        if found.value is not None and found.above_chance:
            reached = [value for value in found.by_seed if value is not None]
            least = f"{min(reached):.1f}" if len(reached) == seeds else "below 1"
            report(f"{name}: {NAMES[faster]}", f"times fewer pictures than {NAMES[slower]}", round(found.value, 2),
                   f"{note}; {'at least; ' if found.at_least else ''}seeds {least} to {max(reached, default=0):.1f}")
    for line in verdict(results):
        print(line, file=sys.stderr)
    print(f"the page is {folder / PAGE}", file=sys.stderr)


def report_ends(name: str, results: Results, note: str) -> None:
    """Where each objective ends, by every figure."""
    for figure in results.figure_names:
        for objective in results.objectives:
            mean, low, high = spread(results.values(objective, figure)[:, -1])
            report(f"{name}: {NAMES[objective]}", FIGURES[figure], round(mean, 4), f"{note}; {low:.3f} to {high:.3f}")
        report(f"{name}: chance", FIGURES[figure], round(results.any_run.chances[figure], 4), note)
    for objective in results.objectives:
        rate, runs = results.rates[objective], results.runs[objective]
        report(f"{name}: {NAMES[objective]}", "learning rate", rate.value, note)
        report(f"{name}: {NAMES[objective]}", "seconds", round(spread([run.seconds for run in runs])[0], 1), note)


if __name__ == "__main__":
    main()
