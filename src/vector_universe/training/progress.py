"""What one sees of a training run: a bar with ETA and pairs/s, and a line an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vector_universe.data import ImageTextDataset
from vector_universe.models.adaptation import TableRow
from vector_universe.progress import counter, stages

FIRST_LOSSES = 3  # so many are printed beside the chance line
LINES = 12  # about so many epochs get a line of their own


class TrainingProgress:
    """Prints to the console; with `quiet`, nothing."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(quiet=quiet, stderr=True, highlight=False)
        self.bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                            TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
                            console=self.console, transient=True, disable=quiet or not self.console.is_terminal)
        self.loss = float("nan")
        self.speed = 0.0

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

    def start(self, model: torch.nn.Module, accelerator: Accelerator, dataset: ImageTextDataset, batch_size: int,
              epochs: int, steps_per_epoch: int, epochs_done: int) -> None:
        """Say what is about to run, on what device."""
        parameters = sum(parameter.numel() for parameter in model.parameters())
        self.say(dataset.summary())
        self.say(f"{parameters / 1e6:.1f}M parameters on {accelerator.device}, {torch.get_num_threads()} threads, "
                 f"precision {'bf16' if accelerator.mixed_precision == 'bf16' else 'fp32'}; "
                 f"{epochs} epochs of {steps_per_epoch} steps, batch {batch_size}")
        self.chance = math.log(batch_size)
        self.epochs = epochs
        self.task = self.bar.add_task("training", total=epochs * steps_per_epoch, note="",
                                      completed=epochs_done * steps_per_epoch)

    def __enter__(self) -> None:
        self.bar.start()

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def step(self, step: int, loss: float, pairs_per_second: float) -> None:
        """Move the bar on; print the first losses beside the loss of pure chance, ln B."""
        self.loss = loss
        self.speed = pairs_per_second if not self.speed else 0.9 * self.speed + 0.1 * pairs_per_second
        if step < FIRST_LOSSES:
            self.say(f"step {step}: loss {loss:.3f} (chance is ln B = {self.chance:.3f})")
        self.bar.update(self.task, completed=step + 1, note=f"loss {loss:.3f}  {self.speed:.0f} pairs/s")

    def epoch(self, epoch: int, validation: dict | None) -> None:
        """Print a line for every few epochs and the last."""
        if epoch % max(1, self.epochs // LINES) and epoch < self.epochs:
            return
        line = f"epoch {epoch}/{self.epochs}: loss {self.loss:.3f}, {self.speed:.0f} pairs/s"
        if validation:
            line += (f"; validation recall@10 {validation['recall_at_10']:.3f} among {validation['candidates']} "
                     f"(chance {validation['chance_at_10']:.3f})")
        self.say(line)
