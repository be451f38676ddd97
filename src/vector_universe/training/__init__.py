"""Training: a data set and settings in, a run folder with a model out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vector_universe.training.config import TrainConfig

if TYPE_CHECKING:
    from vector_universe.training.adversarial.loop import train_generator
    from vector_universe.training.comparison.config import CompareConfig
    from vector_universe.training.comparison.run import compare
    from vector_universe.training.fusion import FusionConfig, train_fusion
    from vector_universe.training.loop import train

__all__ = ["CompareConfig", "FusionConfig", "TrainConfig", "compare", "train", "train_fusion", "train_generator"]


def __getattr__(name: str) -> Any:
    if name == "train":  # late: the loop imports torch, and `vu --help` needs only the settings
        from vector_universe.training.loop import train
        return train
    if name == "train_generator":
        from vector_universe.training.adversarial.loop import train_generator
        return train_generator
    if name in ("FusionConfig", "train_fusion"):
        from vector_universe.training import fusion
        return getattr(fusion, name)
    if name == "compare":
        from vector_universe.training.comparison.run import compare
        return compare
    if name == "CompareConfig":
        from vector_universe.training.comparison.config import CompareConfig
        return CompareConfig
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
