"""What every objective returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class LossOutput:
    """`total` is the scalar to minimise; `parts` are its named summands or diagnostics, scalars without gradient."""

    total: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
