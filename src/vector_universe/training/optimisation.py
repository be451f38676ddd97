"""The optimiser: what learns at which rate, how rates change, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vector_universe.models import DualEncoder
from vector_universe.models.adaptation import SIDES
from vector_universe.models.adapter_file import learned_state
from vector_universe.models.predictors import Predictor
from vector_universe.training.config import TrainConfig


def build_optimizer(model: DualEncoder | Predictor, task: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over what learns: a group for each rate, with and without weight decay (biases, norms, temperature).

    Each group has `peak`, the rate that the schedule is a share of.
    """
    rates = {side: rate or config.peak_learning_rate for side, rate in (
        ("image", config.learning_rate_image), ("text", config.learning_rate_text))}
    towers = {"image": "image_tower."} if isinstance(model, Predictor) else {
        side: f"towers.{model.towers.modules_of(side)[0]}." for side in SIDES}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in (*model.named_parameters(), *task.named_parameters()):
        if parameter.requires_grad:
            side = next((side for side, tower in towers.items() if name.startswith(tower)), None)
            rate = rates[side] if side else config.peak_learning_rate
            groups.setdefault((rate, parameter.ndim >= 2), []).append(parameter)
    return torch.optim.AdamW([{"params": parameters, "peak": rate, "lr": rate,
                               "weight_decay": config.weight_decay if decays else 0.0}
                              for (rate, decays), parameters in sorted(groups.items(), key=lambda group: group[0],
                                                                       reverse=True)])


def share_of_peak(step: int, total_steps: int, config: TrainConfig) -> float:
    """What the learning rate is of its peak: a linear rise, then a cosine to near 0, or 1."""
    warmup_steps = max(1, round(config.warmup * total_steps)) if config.warmup else 0
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if config.schedule != "cosine":
        return 1.0
    falling = (step - warmup_steps) / (total_steps - warmup_steps)
    return (1 + math.cos(math.pi * falling)) / 2


def set_rates(optimizer: torch.optim.Optimizer, share: float) -> float:
    """Give each group its rate; returns the largest."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share
    return max(group["lr"] for group in optimizer.param_groups)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser remembers of each parameter, by flat names; see `load_optimizer`."""
    return {f"{index}.{name}": tensor for index, state in optimizer.state_dict()["state"].items()
            for name, tensor in state.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Go on from `optimizer_tensors`; rates and the like stay as they are."""
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        states.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


class Plateau:
    """A factor on the learning rate that falls when validation has not got better for more than `patience` epochs.

    Args:
        config: `plateau_patience` and `plateau_factor`; with another schedule the factor stays 1.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config, self.factor, self.best, self.bad = config, 1.0, math.inf, 0

    def note(self, loss: float) -> None:
        """Take notice of an epoch's validation loss."""
        if self.config.schedule != "plateau":
            return
        self.bad = 0 if loss < self.best else self.bad + 1
        self.best = min(self.best, loss)
        if self.bad > self.config.plateau_patience:
            self.factor, self.bad = self.factor * self.config.plateau_factor, 0

    def state(self) -> dict[str, float]:
        """All that it remembers."""
        return {"factor": self.factor, "best": self.best, "bad": self.bad}

    def load(self, state: dict[str, float]) -> None:
        """Go on from there."""
        self.factor, self.best, self.bad = state["factor"], state["best"], int(state["bad"])


class WeightAverage:
    """The exponential moving average of what learns (Polyak & Juditsky 1992), with a warm-up of the decay."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = model, decay
        self.average = {name: tensor.detach().clone() for name, tensor in learned_state(model).items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the weights; early on faster, so that the start is soon forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, tensor in learned_state(self.model).items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - decay)
            else:
                self.average[name].copy_(tensor)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model with the average as its weights, for the time being."""
        now = {name: tensor.detach().clone() for name, tensor in learned_state(self.model).items()}
        self.model.load_state_dict(self.average, strict=False)
        try:
            yield
        finally:
            self.model.load_state_dict(now, strict=False)

    def load(self, average: dict[str, Tensor]) -> None:
        """Go on from there."""
        for name, tensor in average.items():
            self.average[name].copy_(tensor)
