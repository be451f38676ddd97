"""Training: a data set and settings in, a run folder with a model out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vector_universe.training.config import TrainConfig

if TYPE_CHECKING:
    from vector_universe.training.fusion import FusionConfig, train_fusion
    from vector_universe.training.loop import train

__all__ = ["FusionConfig", "TrainConfig", "train", "train_fusion"]


def __getattr__(name: str) -> Any:
    if name == "train":  # late: the loop imports torch, and `vu --help` needs only the settings
        from vector_universe.training.loop import train
        return train
    if name in ("FusionConfig", "train_fusion"):
        from vector_universe.training import fusion
        return getattr(fusion, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
