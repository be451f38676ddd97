"""What a batch is asked: which views of it are encoded, and which objective judges them.

A task is a module, since an objective may learn parameters of its own; those are summed, checkpointed and given to the
optimiser like the model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vector_universe.losses import LossOutput
from vector_universe.training.cached_gradients import Encoding


@dataclass(frozen=True)
class Batch:
    """The rows of the data that this process has of one step's batch, and the whole captions that it reads of.

    `first` is where they begin in the batch over all processes, `step` the number of the step, and `progress` the share
    of the run that is over before it.
    """

    epoch: int
    rows: Sequence[int]
    captions: Sequence[str]
    first: int = 0
    step: int = 0
    progress: float = 0.0


class Task(nn.Module):
    """Turns a batch into encodings, and those into a loss."""

    figure: str  # of validation, by which the best epoch is known, for people

    def batch(self, epoch: int, rows: Sequence[int], first: int = 0) -> Batch:
        """A batch of these rows in the views of this epoch."""
        raise NotImplementedError

    def encodings(self, batch: Batch) -> dict[str, Encoding]:
        """What the model must make of the batch, by name."""
        raise NotImplementedError

    def loss(self, encoded: dict[str, Tensor], batch: Batch) -> LossOutput:
        """The loss of the whole batch, over all processes."""
        raise NotImplementedError

    def validate(self, rows: Sequence[int], batch_size: int) -> dict[str, Any] | None:
        """Figures of these rows as they are, in this process alone, "loss" among them where there is one.

        None where there is nothing to measure.
        """
        raise NotImplementedError

    def standing(self, figures: dict[str, Any]) -> list[float]:
        """Figures of a validation in the order in which they count; the largest list is the best epoch."""
        raise NotImplementedError

    def said(self, figures: dict[str, Any]) -> str:
        """A validation in a few words."""
        raise NotImplementedError

    def by_heart(self, encoded: dict[str, Tensor], batch: Batch) -> float:
        """Share of the batch's texts that find their picture first, by what the model made of it."""
        raise NotImplementedError

    # ---- what some tasks do besides ----

    def chance_loss(self, batch_size: int) -> float | None:
        """The loss of pure chance, where it is known."""
        return None

    def record(self) -> dict[str, float]:
        """What a step writes down besides the loss."""
        return {}

    def after_step(self, encoded: dict[str, Tensor], batch: Batch) -> None:
        """What follows the optimiser's step: putting back what it must not move too far, steps of one's own."""

    def after_epoch(self, epoch: int, folder: Path) -> None:
        """Leave something to look at in the run folder; in the main process alone."""

    def beside(self) -> dict[str, Tensor]:
        """What decides how the run goes on besides the model and the own parameters, for checkpoints."""
        return {}

    def load_beside(self, state: dict[str, Tensor]) -> None:
        """Go on from `beside`."""

    def watched(self, encoded: dict[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        """Images and texts (B, D), row i of both a pair, to be watched for collapse; None where nothing can."""
        return None
