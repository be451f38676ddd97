"""Zero-shot figures on the way, so that one sees how many pictures a model needs: `TrainConfig.zero_shot_points`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from vector_universe.data import ImageTextDataset
from vector_universe.data.framing import Framing
from vector_universe.evaluation.zero_shot_task import ZeroShotTask, judged_split
from vector_universe.models import DualEncoder
from vector_universe.models.predictors import Predictor

OCTAVES = 6  # that the points span: the first lies at 1/64 of the run, or at its first step


def measured_steps(total_steps: int, points: int) -> list[int]:
    """After how many steps to measure: about `points` numbers, evenly spread on a log axis, the last `total_steps`."""
    if not points:
        return []
    first = max(1.0, total_steps / 2**OCTAVES)
    spread = np.geomspace(first, total_steps, points) if points > 1 else [float(total_steps)]
    return sorted({math.floor(step + 0.5) for step in spread})


class Measuring:
    """When the test split is asked, and what comes of it.

    Args:
        dataset: its test split, or validation without one, is decoded once; it is the same test for every run with this
            data and preparation.
        framing: how the model wants pictures.
        total_steps: of the run.
        points: how often; 0 never.

    Raises:
        UserError: the test split has nothing to ask.
    """

    def __init__(self, dataset: ImageTextDataset, framing: Framing, total_steps: int, points: int) -> None:
        self.steps = frozenset(measured_steps(total_steps, points))
        self.task = ZeroShotTask.of(dataset, judged_split(dataset), framing) if points else None

    def ask(self, model: DualEncoder | Predictor) -> dict[str, Any]:
        """What to write down about a model that is being trained; it is in training mode before and after.

        Raises:
            UserError: the model returns NaN.
        """
        assert self.task is not None
        model.eval()
        found = self.task.ask(model).as_dict()
        model.train()
        return found
