"""Vectors in, honest numbers out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vector_universe.evaluation.config import EvaluateConfig

if TYPE_CHECKING:
    from vector_universe.evaluation.folders import evaluate_folders
    from vector_universe.evaluation.report import Report
    from vector_universe.evaluation.run import evaluate
    from vector_universe.evaluation.stored import store_report
    from vector_universe.evaluation.subject import Subject

__all__ = ["EvaluateConfig", "Report", "Subject", "evaluate", "evaluate_folders", "store_report"]

# Late: these import torch, and `vu --help` needs only the settings.
_FILES = {"Report": "report", "Subject": "subject", "evaluate": "run", "evaluate_folders": "folders",
          "store_report": "stored"}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"vector_universe.evaluation.{_FILES[name]}"), name)
