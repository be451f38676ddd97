"""`compare`: learning rates tried, every objective trained with every seed, and what came of it drawn."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vector_universe.data import ImageTextDataset
from vector_universe.errors import UserError
from vector_universe.evaluation.zero_shot_task import ZeroShotTask, judged_split, main_figure, most_frequent_label
from vector_universe.folders import claim_folder, replace_text
from vector_universe.training.comparison.config import (
    NAMES,
    OWN,
    CompareConfig,
    Objective,
    check_shared,
    run_settings,
    trial_settings,
)
from vector_universe.training.comparison.page import comparison_page
from vector_universe.training.comparison.progress import ComparisonProgress
from vector_universe.training.comparison.report import as_dict
from vector_universe.training.comparison.results import Rate, Results, Run, read_run
from vector_universe.training.comparison.verdict import FIGURES
from vector_universe.training.config import TrainConfig
from vector_universe.training.loop import train

PAGE, FIGURES_FILE, SETTINGS, RATES = "comparison.html", "comparison.json", "settings.json", "rates.json"
FEW = 20  # validation pictures: fewer cannot choose a learning rate


def compare(dataset: ImageTextDataset, config: CompareConfig, shared: TrainConfig, out: str | Path,
            quiet: bool = False) -> Results:
    """Train the same image tower by several objectives, with several seeds each, at equal pictures seen.

    Every run is a run folder in OUT/runs, every trial of a learning rate one in OUT/trials. An interrupted comparison
    continues; further objectives and seeds may be added to a finished one. OUT/comparison.html and comparison.json hold
    what was found.

    Args:
        dataset: learned from its train split; learning rates are chosen on its validation split; asked on its test
            split (validation without one), whether an image is told by its own text among others, or by its labels.
        config: what is compared.
        shared: the settings of all runs.
        out: a new folder, or one begun with the same settings and data.
        quiet: print nothing.

    Raises:
        UserError: impossible settings, too little data, nothing that could be told apart, or `out` holds something
            else.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the step was finished and saved.
    """
    config.check()
    check_shared(shared)
    for objective in config.objectives:
        run_settings(shared, objective, 0, config.learning_rates[0], config.points).check()
    judged = judged_split(dataset)
    main = main_figure(dataset, judged)
    images = len(dataset.split("train"))
    shared.batch_size_for(images)
    out = Path(out)
    claim_folder(out, "comparison")
    _claim_settings(out, dataset, config, shared)
    hindered = _why_untried(dataset, judged)
    tries = len(config.learning_rates) if len(config.learning_rates) > 1 and not hindered else 0
    fixed = config.learning_rates[0] if len(config.learning_rates) == 1 else shared.peak_learning_rate
    remarks = [f"{hindered}: all took {fixed:g}."] if hindered and len(config.learning_rates) > 1 else []
    if main == "label_top_1" and (frequent := most_frequent_label(dataset, judged)):
        remarks.append(f"Always naming the most frequent label, {frequent[0]}, would be right for {frequent[1]:.3f} of "
                       f"the {judged} pictures.")
    if main != "label_top_1" and any(dataset.table["labels"]):
        remarks.append("Most labels have words that no training text has: how they are told apart says little here.")
    whole, quarter = _images_of(shared, images), _images_of(trial_settings(shared, "info_nce", 1e-3, images), images)
    progress = ComparisonProgress([(objective, size) for objective in config.objectives
                                   for size in (*[quarter] * tries, *[whole] * config.seeds)], quiet)
    bench = _Bench(dataset, config, shared, out, progress, main)
    rates = {objective: bench.choose_rate(objective, quarter) if tries else Rate(fixed, {})
             for objective in config.objectives}
    runs: dict[Objective, list[Run]] = {objective: [] for objective in config.objectives}
    for seed in range(config.seeds):
        for objective in config.objectives:
            runs[objective].append(bench.run(objective, seed, rates[objective].value, whole))
    results = Results(dataset.summary(), config.objectives, {name: tuple(found) for name, found in runs.items()},
                      rates, main, tuple(remarks))
    found = as_dict(results, config, shared)
    replace_text(out / FIGURES_FILE, json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    replace_text(out / PAGE, comparison_page(results, shared))
    return results


@dataclass
class _Bench:
    """Where runs and trials are made."""

    dataset: ImageTextDataset
    config: CompareConfig
    shared: TrainConfig
    out: Path
    progress: ComparisonProgress
    main: str
    validation: ZeroShotTask | None = None

    def choose_rate(self, objective: Objective, images: int) -> Rate:
        """Try every rate that was not tried before, and take the best; of equals the smallest."""
        stored = _read(self.out / RATES)
        tried: dict[str, float] = stored.get(objective, {})
        for rate in self.config.learning_rates:
            if f"{rate:g}" in tried:
                self.progress.known(objective, images)
            else:
                tried[f"{rate:g}"] = self._try(objective, rate, images)
                replace_text(self.out / RATES, json.dumps(stored | {objective: tried}, indent=1) + "\n")
        figures = {rate: tried[f"{rate:g}"] for rate in sorted(self.config.learning_rates)}
        return Rate(max(figures, key=lambda rate: figures[rate]), figures)

    def run(self, objective: Objective, seed: int, rate: float, images: int) -> Run:
        """A run of full length."""
        folder = self.out / "runs" / f"{objective}-{seed}"
        with self.progress.run(objective, f"seed {seed}", images):
            train(self.dataset, run_settings(self.shared, objective, seed, rate, self.config.points), folder,
                  progress=self.progress)
        found = read_run(folder, objective, seed)
        self.progress.line(f"{NAMES[objective]}, seed {seed}: {FIGURES[self.main]} {found.figures[self.main][-1]:.3f} "
                           f"after {found.images_P[-1]:,} pictures, {found.seconds:.0f} s")
        return found

    def _try(self, objective: Objective, rate: float, images: int) -> float:
        folder = self.out / "trials" / f"{objective}-{rate:g}"
        with self.progress.run(objective, f"rate {rate:g}", images):
            try:
                model = train(self.dataset, trial_settings(self.shared, objective, rate, len(
                    self.dataset.split("train"))), folder, progress=self.progress)
            except FloatingPointError:  # a rate too high for this objective: an answer, not an accident
                self.progress.line(f"{NAMES[objective]}, rate {rate:g}: the loss became no number")
                return 0.0
        self.validation = self.validation or ZeroShotTask.of(self.dataset, "validation", model.framing)
        value = self.validation.ask(model).figures[self.main]
        self.progress.line(f"{NAMES[objective]}, rate {rate:g}: {FIGURES[self.main]} {value:.3f} on validation")
        return value


def _why_untried(dataset: ImageTextDataset, judged: str) -> str:
    """What keeps the validation pictures from choosing learning rates; "" where nothing does."""
    if judged != "test":
        return "There is no test split: the validation pictures are asked, so they cannot choose learning rates"
    validation = len(dataset.split("validation"))
    return "" if validation >= FEW else (
        f"There are {validation} validation pictures, too few to choose learning rates by")


def _images_of(shared: TrainConfig, images: int) -> int:
    batch_size = shared.batch_size_for(images)
    return shared.epochs_for(images) * (images // batch_size) * batch_size


def _claim_settings(out: Path, dataset: ImageTextDataset, config: CompareConfig, shared: TrainConfig) -> None:
    """Note what all runs share, or accept a folder that was begun with the very same.

    Raises:
        UserError: it was begun with something else.
    """
    now: dict[str, Any] = {name: value for name, value in asdict(shared).items() if name not in OWN}
    now |= {"learning_rates": sorted(config.learning_rates), "points": config.points}
    now = json.loads(json.dumps({"data": dataset.fingerprint, "source": dataset.source, "settings": now}))
    before = _read(out / SETTINGS)
    if not before:
        replace_text(out / SETTINGS, json.dumps(now, indent=1, ensure_ascii=False) + "\n")
        return
    old, new = before.get("settings", {}), now["settings"]
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if changed or before.get("data") != now["data"]:
        what = f"other settings ({', '.join(changed)})" if changed else f"other data ({before.get('source')})"
        raise UserError(f"{out} is a comparison with {what}: give --out a new folder")


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
