"""The findings as JSON and on the console."""

from __future__ import annotations

from dataclasses import asdict
from itertools import combinations, permutations
from statistics import mean
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from vector_universe.training.comparison.config import NAMES, CompareConfig
from vector_universe.training.comparison.efficiency import factor
from vector_universe.training.comparison.results import Results
from vector_universe.training.comparison.verdict import FIGURES, judge, verdict
from vector_universe.training.config import TrainConfig


def as_dict(results: Results, config: CompareConfig, shared: TrainConfig) -> dict[str, Any]:
    """Every figure, for JSON."""
    names = results.figure_names
    return {
        "data": results.summary, "main": results.main, "verdict": verdict(results), "remarks": results.remarks,
        "chance": results.any_run.chances,
        "images_seen": results.any_run.images_P.tolist(),
        "objectives": {objective: {
            "learning_rate": results.rates[objective].value,
            "rates_tried": {f"{rate:g}": value for rate, value in results.rates[objective].tried.items()},
            "seconds": [round(run.seconds, 1) for run in results.runs[objective]],
            "curves": {name: [run.figures[name].tolist() for run in results.runs[objective]] for name in names},
        } for objective in results.objectives},
        "factors": {name: [asdict(factor(results, one, other, name))
                           for one, other in permutations(results.objectives, 2)] for name in names},
        "pairs": {name: [asdict(judge(results, one, other, name))
                         for one, other in combinations(results.objectives, 2)] for name in names},
        "settings": asdict(config) | {"runs": asdict(shared)}}


def print_comparison(results: Results) -> None:
    """A table of the ends, and the verdict."""
    console = Console()
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("objective", no_wrap=True)
    for column in (*(FIGURES[name] for name in results.figure_names), "rate", "seconds"):
        table.add_column(column, justify="right")
    for objective in results.objectives:
        ends = [results.values(objective, name)[:, -1].mean() for name in results.figure_names]
        table.add_row(NAMES[objective], *(f"{end:.3f}" for end in ends), f"{results.rates[objective].value:g}",
                      f"{mean(run.seconds for run in results.runs[objective]):.0f}")
    table.add_row("chance", *(f"{results.any_run.chances[name]:.3f}" for name in results.figure_names), "", "")
    console.print(table)
    for line in verdict(results):
        console.print(f"• {line}", highlight=False)


def with_range(mean_: float, low: float, high: float, seeds: int) -> str:
    """Such as "0.341 (0.330–0.352)"."""
    return f"{mean_:.3f} ({low:.3f}–{high:.3f})" if seeds > 1 else f"{mean_:.3f}"
