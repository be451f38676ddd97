"""Do generated pairs help when there is little data? Emoji, with and without a generator beside the model.

    python -m benchmarks.generated_pairs [--quick] [--control] [--processes 2] [--out benchmarks/out/generated_pairs]

For 10 %, 25 % and 100 % of the emoji's training pairs (of which alone the generator learns) and five seeds, a model is
trained from scratch at equal real images seen: on real pairs (`plain`), on real and generated ones (`generated`), and,
with `--control`, on real pairs for as many more steps as the generator takes in time (`longer`). Figures are of the
test split, whose pictures and names nothing was trained on: recall@10 and the mean reciprocal rank from text to image.
Differences are paired: the same draw of pairs, the same seed, the same queries. `low`, `high` are of 95 %: once with
the queries drawn anew, the seeds being repeated measurements (`over_queries`), once with seeds and queries drawn anew
(`over_seeds_and_queries`, Owen 2007's pigeonhole bootstrap), which says what another five seeds might have shown.

Every run has a folder in `--out`; what has finished is not done again, what was interrupted goes on. `--quick`: one
seed, a tenth of the steps, 10 % and 25 %; folders of their own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch

from benchmarks.report import report
from vector_universe import DualEncoder, TrainConfig, load_dataset, train
from vector_universe.data import ImageTextDataset
from vector_universe.evaluation.bootstrap import DRAWS, LEVEL, Sample, difference, interval
from vector_universe.evaluation.queries import text_queries
from vector_universe.evaluation.ranks import ranks
from vector_universe.evaluation.subject import Subject

SHARES = (0.1, 0.25, 1.0)  # of the training pairs
SEEDS = 5
BATCH = 64
STEPS = 375  # 24,000 real images seen, of however many pairs
LONGER = 3.0  # a generator and its pictures take about twice the time of the real pairs
ARMS = {"plain": TrainConfig(), "generated": TrainConfig(generated_share=1.0),
        "longer": TrainConfig()}

Job = tuple[float, str, int]  # share of the data, arm, seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--control", action="store_true", help="also plain runs of the generated ones' time")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out" / "generated_pairs")
    options = parser.parse_args()
    shares, seeds = (SHARES[:2], 1) if options.quick else (SHARES, SEEDS)
    arms = [arm for arm in ARMS if options.control or arm != "longer"]
    jobs = [(share, arm, seed) for seed in range(seeds) for share in shares for arm in arms]
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[Job, dict] = {}
    with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=1) as pool:
        for job, figures in pool.imap_unordered(partial(_measured, options.out, options.quick), jobs):
            found[job] = figures
            print(f"{len(found)} of {len(jobs)} runs: {name_of(job)} {figures['minutes']:.1f} minutes, recall@10 "
                  f"{mean(figures['recall_at_10'][1]):.3f}", file=sys.stderr)
    for share in shares:
        tell(share, seeds, arms, found, "_quick" if options.quick else "")


def tell(share: float, seeds: int, arms: list[str], found: dict[Job, dict], suffix: str) -> None:
    """Report the figures of one share of the data."""
    case = f"emoji_{share:.0%}{suffix}".replace("%", "_percent")
    report(case, "training pairs", found[share, "plain", 0]["pairs"])
    for arm in arms:
        runs = [found[share, arm, seed] for seed in range(seeds)]
        report(case, f"{arm}: minutes", mean(run["minutes"] for run in runs))
        for metric in ("recall_at_10", "mean_reciprocal_rank"):
            means = [mean(run[metric][1]) for run in runs]
            report(case, f"{arm}: {metric}", mean(means),
                   f"seeds deviate by {stdev(means):.4f}" if seeds > 1 else "one seed")
        if arm == "generated":
            report(case, "generated: share that the gate kept", mean(run["kept"] for run in runs))
    for arm in arms[1:]:
        for metric in ("recall_at_10", "mean_reciprocal_rank"):
            one, other = ([found[share, name, seed][metric] for seed in range(seeds)] for name in ("plain", arm))
            over_queries = difference(together(one), together(other))
            assert over_queries is not None
            what = f"{arm} - plain: {metric}"
            report(case, what, over_queries.value)
            report(case, f"{what}, low over_queries", over_queries.low)
            report(case, f"{what}, high over_queries", over_queries.high)
            if seeds > 1:
                low, high = pigeonhole(one, other)
                report(case, f"{what}, low over_seeds_and_queries", low)
                report(case, f"{what}, high over_seeds_and_queries", high)
    report(case, "plain: chance recall_at_10", found[share, "plain", 0]["chance"])
    report(case, "plain: half width of recall_at_10", _half_width(together(
        [found[share, "plain", seed]["recall_at_10"] for seed in range(seeds)])), "queries drawn anew")


def together(runs: list[tuple[list[str], list[float]]]) -> Sample:
    """Several seeds as repeated measurements of the same units."""
    return Sample.of([value for _, values in runs for value in values], [unit for units, _ in runs for unit in units])


def pigeonhole(one: list[tuple[list[str], list[float]]], other: list[tuple[list[str], list[float]]]
               ) -> tuple[float, float]:
    """The 95 % interval of other - one where both the seeds and the queries are drawn anew."""
    gains_SQ = np.array([values for _, values in other]) - np.array([values for _, values in one])
    seeds, queries = gains_SQ.shape
    numbers = np.random.default_rng(0)
    times_RS = numbers.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS)
    times_RQ = numbers.multinomial(queries, np.full(queries, 1 / queries), DRAWS)
    drawn_R = ((times_RS @ gains_SQ) * times_RQ).sum(1) / (seeds * queries)
    low, high = np.quantile(drawn_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _half_width(sample: Sample) -> float:
    found = interval(sample)
    return (found.high - found.low) / 2


def name_of(job: Job) -> str:
    share, arm, seed = job
    return f"{share:.0%}-{arm}-{seed}".replace("%", "")


def _measured(out: Path, quick: bool, job: Job) -> tuple[Job, dict]:
    """Train one run, or find it trained, and measure it on the test split."""
    torch.set_num_threads(1)
    share, arm, seed = job
    run = out / (("quick-" if quick else "") + name_of(job))
    dataset = some_of(load_dataset("emoji"), share, seed)
    pairs = len(dataset.split("train"))
    steps = STEPS * (LONGER if arm == "longer" else 1) / (10 if quick else 1)
    epochs = round(steps / (pairs // BATCH))
    model = train(dataset, replace(ARMS[arm], epochs=epochs, batch_size=BATCH, seed=seed, recipe=None), run, quiet=True)
    assert isinstance(model, DualEncoder)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    took = [BATCH / line["pairs_per_second"] for line in lines if "loss" in line]
    kept = [line["kept_share"] for line in lines if "kept_share" in line]
    return job, measure(model, dataset) | {"pairs": pairs, "minutes": sum(took) / 60, "kept": mean(kept or [0.0])}


def some_of(dataset: ImageTextDataset, share: float, seed: int) -> ImageTextDataset:
    """This share of the training pairs, drawn by the seed, and the test split; nothing is chosen by validation."""
    splits = dataset.table["split"]
    training = [place for place, split in enumerate(splits) if split == "train"]
    chosen = set(random.Random(f"{seed} pairs").sample(training, round(share * len(training))))
    return dataset.select([place for place, split in enumerate(splits) if split == "test" or place in chosen])


def measure(model: DualEncoder, dataset: ImageTextDataset) -> dict:
    """Recall@10 and reciprocal rank of every test text among the test pictures."""
    subject = Subject.of(model, dataset.split("test"))
    asked = text_queries(subject, subject.places("test"))
    found = ranks(subject.embed_texts(asked.texts), subject.images_ND, asked.right)
    first = found.first_A
    return {"recall_at_10": (asked.units, (first <= 10).astype(float).tolist()),
            "mean_reciprocal_rank": (asked.units, (1 / first).tolist()), "chance": 10 / len(asked.images)}


if __name__ == "__main__":
    main()
