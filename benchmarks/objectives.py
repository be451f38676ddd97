"""Which objective wins, at equal images seen: the same small towers from scratch, by each objective, on two data sets.

    python -m benchmarks.objectives [--quick] [--data ../shared/data] [--runs FOLDER] [--only NAME…]

Emoji: text → image recall@10 for short names that were never trained on, for emoji held out altogether, and for the
second artist's pictures of trained emoji where his font is installed. Movie posters (split so that no copy of a
picture crosses it; trained on the title and each genre as captions): the genres of held-out posters ranked by cosine,
and the recall@10 of their titles, which at this size is near chance. Beside them the effective rank of the last batch,
and how many warnings of the collapse monitor there were and still stood at the end. An objective of two views sees
each picture twice a step and gets half the epochs. Rows are means over three seeds, with the deviation beside them.
`--quick`: one seed, a tenth of the images. `--runs` keeps the trained runs, and goes on from them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from benchmarks.fusion import split_by_picture
from benchmarks.report import report
from vector_universe import DualEncoder, TrainConfig, UserError, load_dataset, train
from vector_universe.data import ImageTextDataset
from vector_universe.data.sources.emoji import noto_font
from vector_universe.evaluation.evaluators.retrieval import retrieval_by_split
from vector_universe.evaluation.label_ranking import label_ranking
from vector_universe.evaluation.subject import Subject
from vector_universe.losses import LabelSets

IMAGES_SEEN = {"emoji": 20_000, "posters": 30_000}
SEEDS = (0, 1, 2)
OBJECTIVES = {
    "info_nce": TrainConfig(),
    "sigmoid": TrainConfig(objective="sigmoid"),
    "alignment_mean": TrainConfig(objective="alignment", anisotropy="mean", encoder_dropout=0.1),
    "alignment_log_sum_exp": TrainConfig(objective="alignment", encoder_dropout=0.1),
    "alignment_spectral": TrainConfig(objective="alignment", anisotropy="spectral", encoder_dropout=0.1),
    "soft_labels": TrainConfig(soft_labels=0.2),
    "leave_out_same_labels": TrainConfig(leave_out="same_labels"),
    "leave_out_any_label": TrainConfig(leave_out="any_label"),
    "batches_apart": TrainConfig(batches="apart"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--runs", type=Path, help="folder that keeps the runs")
    parser.add_argument("--only", nargs="+", choices=OBJECTIVES, default=list(OBJECTIVES), help="these objectives")
    options = parser.parse_args()
    sets = {"emoji": load_dataset("emoji")}
    posters = options.data / "movie-posters-3000"
    if posters.is_dir():
        sets["posters"] = with_genres(split_by_picture(load_dataset(posters)))
    else:
        print(f"{posters} is not there: the posters are left out", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        for set_name, dataset in sets.items():
            for name in options.only:
                measure(set_name, dataset, name, OBJECTIVES[name], options.runs or Path(folder), options.quick)


def measure(set_name: str, dataset: ImageTextDataset, name: str, config: TrainConfig, runs: Path, quick: bool) -> None:
    """Train with each seed, and report means and deviations."""
    images = len(dataset.split("train")) * (2 if config.objective == "alignment" else 1)
    seen = IMAGES_SEEN[set_name] // (10 if quick else 1)
    figures: dict[str, list[float]] = defaultdict(list)
    for seed in SEEDS[:1] if quick else SEEDS:
        run = runs / f"{set_name}-{name}-{seed}{'-quick' if quick else ''}"
        epochs = max(1, round(seen / images))
        model = train(dataset, replace(config, epochs=epochs, seed=seed), run, quiet=True)
        for metric, value in {**figures_of(set_name, model, dataset), **geometry_of(run)}.items():
            figures[metric].append(value)
    note = f"one seed, {seen:,} images" if quick else f"{len(SEEDS)} seeds, {seen:,} images"
    for metric, values in figures.items():
        report(f"{set_name}: {name}", metric, round(mean(values), 4), note)
        if len(values) > 1:
            report(f"{set_name}: {name}", f"{metric} deviation", round(stdev(values), 4), note)


def figures_of(set_name: str, model: DualEncoder, dataset: ImageTextDataset) -> dict[str, float]:
    """What the model can do with what it has not been shown."""
    if set_name == "emoji":
        tests = retrieval_by_split(Subject.of(model, dataset)).text_to_image
        figures = {"unseen_short_names_recall_at_10": tests["unseen texts among all"].recall_at_10,
                   "held_out_recall_at_10": tests["test among all"].recall_at_10}
        if noto_font():
            try:
                other = retrieval_by_split(Subject.of(model, load_dataset("emoji-noto"))).text_to_image
                figures["second_artist_recall_at_10"] = other["train among all"].recall_at_10
            except UserError as error:
                print(error, file=sys.stderr)
        return figures
    held_out = list(dataset.split("test"))
    names = sorted({label for example in held_out for label in example.labels})
    labels = LabelSets.from_lists([[names.index(label) for label in example.labels] for example in held_out],
                                  len(names))
    images_ND = model.embed_images([example.image for example in held_out])
    ranking = label_ranking(images_ND @ model.embed_texts(names).T, labels)
    assert ranking is not None
    titles = model.embed_texts([example.texts[0] for example in held_out])
    ranks = ((titles @ images_ND.T) >= (titles * images_ND).sum(1, keepdims=True)).sum(1)
    return {"genre_average_precision": ranking.average_precision,
            "genre_average_precision_chance": ranking.chance_average_precision,
            "genre_macro_average_precision": ranking.macro_average_precision,
            "title_recall_at_10": float(np.mean(ranks <= 10)), "title_recall_at_10_chance": 10 / len(held_out)}


def geometry_of(run: Path) -> dict[str, float]:
    """How the embeddings of the last batches lay, and what the monitor had to say."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = [record["geometry"] for record in records if "geometry" in record][-1]
    standing = {}
    for record in records:
        if "verdict" in record:
            standing[record["verdict"]["name"]] = not record["verdict"]["recovered"]
    return {"image_effective_rank": last["image_effective_rank"], "text_effective_rank": last["text_effective_rank"],
            "pair_cosine": last["pair_cosine"], "open_warnings": float(sum(standing.values())),
            "warnings": float(len(standing))}


def with_genres(dataset: ImageTextDataset) -> ImageTextDataset:
    """The same posters with each of their genres as one more caption."""
    table = dataset.table.map(lambda row: {"texts": [*row["texts"], *row["labels"]]})
    return ImageTextDataset(table, name=dataset.name, source=dataset.source, skipped=dataset.skipped)


if __name__ == "__main__":
    main()
