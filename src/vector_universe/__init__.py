"""Vector Universe: images with titles and labels in; a model of your own, honest figures and a searchable map out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vector_universe.data import load_dataset
    from vector_universe.errors import UserError
    from vector_universe.evaluation import evaluate
    from vector_universe.index import Universe
    from vector_universe.models import DualEncoder
    from vector_universe.training import TrainConfig, train

__all__ = ["DualEncoder", "TrainConfig", "Universe", "UserError", "evaluate", "load_dataset", "train"]

# Each name is imported when it is first asked for: torch alone takes longer than a second.
_ROOMS = {"load_dataset": "data", "DualEncoder": "models", "TrainConfig": "training", "train": "training",
          "evaluate": "evaluation", "Universe": "index", "UserError": "errors"}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'vector_universe' has no attribute {name!r}")
    return getattr(import_module(f"vector_universe.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
