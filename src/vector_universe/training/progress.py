"""What one sees of a training run: a bar with ETA and pairs/s, and a line an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vector_universe.data import ImageTextDataset
from vector_universe.models.adaptation import TableRow
from vector_universe.models.precision import use_bf16
from vector_universe.progress import counter, stages

if TYPE_CHECKING:
    from vector_universe.training.config import TrainConfig
    from vector_universe.training.preparation import Setup

FIRST_LOSSES = 3  # so many are printed beside the chance line
LINES = 12  # about so many epochs get a line of their own
DATA_BOUND = 0.1  # of the time: above it the wait for data is worth a word


class TrainingProgress:
    """Prints to the console; with `quiet`, nothing."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(quiet=quiet, stderr=True, highlight=False)
        self.bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                            TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
                            console=self.console, transient=True, disable=quiet or not self.console.is_terminal)
        self.loss = float("nan")
        self.speed = self.waiting = 0.0

    def say(self, line: str) -> None:
        """Print one line."""
        self.console.print(line, markup=False, soft_wrap=True)

    @contextmanager
    def decoding(self, images: int) -> Iterator[Callable[[int], None]]:
        """A bar over the decoding of `images`; yields the function that moves it on."""
        with stages(self.console) as progress:
            yield counter(progress, "reading images", images)

    def trainable(self, rows: Sequence[TableRow]) -> None:
        """Print how many parameters of each part learn."""
        table = Table("tower", "mode", box=box.SIMPLE, pad_edge=False)
        for column in ("trainable", "total", "share"):
            table.add_column(column, justify="right")
        for row in rows:
            table.add_row(row.part, row.mode, f"{row.trainable:,}", f"{row.total:,}", f"{row.share:.2%}")
        self.console.print(table)

    def start(self, setup: Setup, config: TrainConfig, dataset: ImageTextDataset, steps_done: int) -> None:
        """Say what is about to run, on what device and why."""
        parameters = sum(parameter.numel() for parameter in setup.model.parameters())
        device, processes = setup.accelerator.device, setup.processes.size
        why = "" if device.type != "cpu" else " (no GPU that torch can use)"
        self.say(dataset.summary())
        if config.recipe:
            self.say(f"recipe {config.recipe} (--recipe takes another)")
        self.say(f"{parameters / 1e6:.1f}M parameters on {device}{why}, "
                 + (f"{processes} processes, " if processes > 1 else "") + f"{torch.get_num_threads()} threads, "
                 f"precision {'bf16' if use_bf16(config.precision, device) else 'fp32'}; "
                 f"{setup.epochs} epochs of {setup.steps_per_epoch} steps, batch {setup.batch_size}")
        self.chance = setup.task.chance_loss(setup.batch_size)
        self.epochs = setup.epochs
        self.task = self.bar.add_task("training", total=setup.total_steps, note="", completed=steps_done)

    def __enter__(self) -> None:
        self.bar.start()

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def step(self, record: dict) -> None:
        """Move the bar on; print the first losses beside the loss of pure chance, where it is known."""
        step, self.loss, speed = record["step"], record["loss"], record["pairs_per_second"]
        self.speed = 0.9 * self.speed + 0.1 * speed if self.speed else speed
        self.waiting = 0.9 * self.waiting + 0.1 * record["waiting"]
        if step < FIRST_LOSSES:
            chance = f" (chance is ln B = {self.chance:.3f})" if self.chance is not None else ""
            self.say(f"step {step}: loss {self.loss:.3f}{chance}")
        self.bar.update(self.task, completed=step + 1, note=f"loss {self.loss:.3f}  {self.speed:.0f} pairs/s")

    def epoch(self, epoch: int, validation: str) -> None:
        """Print a line for every few epochs and the last, with what is to be said of the validation, if anything."""
        if epoch % max(1, self.epochs // LINES) and epoch < self.epochs:
            return
        bound = f", {self.waiting:.0%} of it waiting for data" if self.waiting > DATA_BOUND else ""
        line = f"epoch {epoch}/{self.epochs}: loss {self.loss:.3f}, {self.speed:.0f} pairs/s{bound}"
        self.say(f"{line}; {validation}" if validation else line)
