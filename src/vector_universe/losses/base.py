"""What every objective is, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LossOutput:
    """`total` is the scalar to minimise; `parts` are its named summands.

    The parts add up to the total and keep their gradients, so that one can ask how much each of them pulls.
    """

    total: Tensor
    parts: dict[str, Tensor]

    @classmethod
    def of(cls, **parts: Tensor) -> LossOutput:
        """The sum of named summands."""
        return cls(torch.stack(list(parts.values())).sum(), parts)


class Objective(nn.Module):
    """A module from embeddings to a `LossOutput`. Autocast stops at its door: rounded logits are rounded targets."""

    def __call__(self, *args: Any, **kwargs: Any) -> LossOutput:
        """`forward` in the precision of the embeddings, float32 at least."""
        device = next(value.device.type for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        with torch.autocast(device, enabled=False):
            return super().__call__(*args, **kwargs)
