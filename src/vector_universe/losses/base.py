"""What every objective returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
