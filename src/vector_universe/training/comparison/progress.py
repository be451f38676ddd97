"""What one sees of a comparison: one bar over all runs with the time that is left, and a line a run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn

from vector_universe.data import ImageTextDataset
from vector_universe.models.adaptation import TableRow
from vector_universe.training.comparison.config import NAMES, Objective
from vector_universe.training.progress import TrainingProgress

if TYPE_CHECKING:
    from vector_universe.training.config import TrainConfig
    from vector_universe.training.preparation import Setup


class Forecast:
    """How long the pictures that are still to be seen will take, objective by objective.

    Args:
        images: that each objective has still to see.
    """

    def __init__(self, images: dict[Objective, int]) -> None:
        self.left = dict(images)
        self.seen: dict[Objective, int] = defaultdict(int)
        self.seconds: dict[Objective, float] = defaultdict(float)

    def note(self, objective: Objective, images: int, seconds: float) -> None:
        """Take notice of pictures seen, and of the seconds that they took."""
        self.left[objective] -= images
        self.seen[objective] += images
        self.seconds[objective] += seconds

    def seconds_left(self) -> float | None:
        """Of all; an objective without a run so far counts as the mean of the others. None at the very start."""
        if not sum(self.seen.values()):
            return None
        mean = sum(self.seconds.values()) / sum(self.seen.values())
        return sum(images * (self.seconds[objective] / self.seen[objective] if self.seen[objective] else mean)
                   for objective, images in self.left.items())


class ComparisonProgress(TrainingProgress):
    """Takes the place of what single runs print.

    Args:
        plan: objective and pictures of every run and trial.
        quiet: print nothing.
    """

    def __init__(self, plan: Sequence[tuple[Objective, int]], quiet: bool = False) -> None:
        super().__init__(quiet)
        images: dict[Objective, int] = defaultdict(int)
        for objective, size in plan:
            images[objective] += size
        self.forecast, self.runs, self.number = Forecast(images), len(plan), 0
        self.all = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"),
                            console=self.console, transient=True, disable=quiet or not self.console.is_terminal)
        self.whole = self.all.add_task("", total=sum(images.values()), left="")

    @contextmanager
    def run(self, objective: Objective, what: str, images: int) -> Iterator[None]:
        """One run or trial of so many pictures; what it does not train itself, as it was trained before, took no time.
        """
        self.number += 1
        self.objective, self.counted, self.since = objective, 0, time.perf_counter()
        self.all.update(self.whole, description=f"{NAMES[objective]}, {what} ({self.number} of {self.runs})")
        yield
        self.forecast.left[objective] -= images - self.counted
        self.all.advance(self.whole, images - self.counted)

    def known(self, objective: Objective, images: int) -> None:
        """A run or trial whose outcome is known already."""
        self.number += 1
        self.forecast.left[objective] -= images
        self.all.advance(self.whole, images)

    def line(self, text: str) -> None:
        """A finished run."""
        left = self.time_left()
        super().say(f"{self.number}/{self.runs} {text}" + (f"; {left}" if left else ""))

    def time_left(self) -> str:
        """Such as "about 14 min left"."""
        seconds = self.forecast.seconds_left()
        if not seconds or self.number == self.runs:
            return ""
        return f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"

    # ---- what a single run would print ----

    def say(self, line: str) -> None:
        """Of what a run says, its warnings."""
        if line.startswith("warning"):
            super().say(line)

    @contextmanager
    def decoding(self, images: int) -> Iterator[Callable[[int], None]]:
        """No bar of its own."""
        yield lambda count: None

    def trainable(self, rows: Sequence[TableRow]) -> None:
        """Nothing: it is the same in every run."""

    def start(self, setup: Setup, config: TrainConfig, dataset: ImageTextDataset, steps_done: int) -> None:
        """Count the pictures that an interrupted run has seen already."""
        self.batch_size, self.counted = setup.batch_size, steps_done * setup.batch_size
        self.forecast.left[self.objective] -= self.counted
        self.all.update(self.whole, advance=self.counted)
        self.since = time.perf_counter()

    def __enter__(self) -> None:
        self.all.start()

    def __exit__(self, *exception: object) -> None:
        self.all.stop()

    def step(self, record: dict) -> None:
        """Move the bar on."""
        now = time.perf_counter()
        self.counted += self.batch_size
        self.forecast.note(self.objective, self.batch_size, now - self.since)
        self.since = now
        self.all.update(self.whole, advance=self.batch_size, left=self.time_left())

    def epoch(self, epoch: int, validation: str) -> None:
        """Nothing."""
