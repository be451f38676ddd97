"""What the runs of a comparison found: their curves, read from what they logged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vector_universe.training.comparison.config import Objective
from vector_universe.training.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class Run:
    """One run.

    Attributes:
        objective, seed: which.
        images_P: pictures seen at each of P looks at the test pictures.
        figures: by name, the shares (P,) that it reached then.
        chances: what a random order reaches, by name.
        right: at the end, whether each test picture was right, bool (N,), for figures that are shares of pictures.
        seconds: that its steps took, measuring left out.
    """

    objective: Objective
    seed: int
    images_P: np.ndarray
    figures: dict[str, np.ndarray]
    chances: dict[str, float]
    right: dict[str, np.ndarray]
    seconds: float


@dataclass(frozen=True)
class Rate:
    """The learning rate of an objective.

    Attributes:
        value: what its runs take.
        tried: the figure on the validation pictures by rate; empty where none was tried.
    """

    value: float
    tried: dict[float, float]

    @property
    def at_edge(self) -> bool:
        """Whether the best is the largest or the smallest tried, so that a better one may lie beyond."""
        return len(self.tried) > 1 and self.value in (min(self.tried), max(self.tried))


@dataclass(frozen=True, eq=False)
class Results:
    """All runs, objective by objective.

    Attributes:
        summary: of the data, in one line.
        objectives: in the order asked for.
        runs: of each objective a run a seed, in the order of the seeds.
        rates: of each objective.
        main: the figure that is judged by.
        remarks: what one must know besides.
    """

    summary: str
    objectives: tuple[Objective, ...]
    runs: dict[Objective, tuple[Run, ...]]
    rates: dict[Objective, Rate]
    main: str
    remarks: tuple[str, ...] = ()

    @property
    def any_run(self) -> Run:
        """One of them, for what is the same in all."""
        return self.runs[self.objectives[0]][0]

    @property
    def figure_names(self) -> list[str]:
        """The main figure, then the others."""
        return [self.main, *(name for name in self.any_run.figures if name != self.main)]

    @property
    def images(self) -> int:
        """Pictures that each run has seen at its end."""
        return int(self.any_run.images_P[-1])

    @property
    def seeds(self) -> int:
        """Runs of each objective."""
        return len(self.runs[self.objectives[0]])

    def values(self, objective: Objective, figure: str) -> np.ndarray:
        """The curves of all seeds, (seeds, P)."""
        return np.stack([run.figures[figure] for run in self.runs[objective]])


def read_run(folder: Path, objective: Objective, seed: int) -> Run:
    """A finished run's curve, out of its `metrics.jsonl`."""
    records = [json.loads(line) for line in RunFolder(folder).metrics.read_text(encoding="utf-8").splitlines()]
    looks = [record for record in records if "zero_shot" in record]
    per_image = looks[-1]["images_seen"] / sum("loss" in record for record in records)
    seconds = sum(per_image / record["pairs_per_second"] for record in records if "pairs_per_second" in record)
    return Run(objective, seed, np.array([look["images_seen"] for look in looks]),
               {name: np.array([look["zero_shot"][name] for look in looks]) for name in looks[-1]["zero_shot"]},
               looks[-1]["chance"], {name: _unpacked(digits) for name, digits in looks[-1]["right"].items()}, seconds)


def spread(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Mean, smallest and largest."""
    return float(np.mean(values)), float(np.min(values)), float(np.max(values))


def _unpacked(digits: str) -> np.ndarray:
    return np.frombuffer(digits.encode(), np.uint8) == ord("1")
