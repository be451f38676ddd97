"""`vu evaluate`: models by their folders in; a report on disk out, and with a model what was learned about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vector_universe.data import ImageTextDataset
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.report import Report
from vector_universe.evaluation.run import evaluate
from vector_universe.evaluation.stored import folder_for, model_names, store_report
from vector_universe.models import load_run_model
from vector_universe.progress import StageProgress, silent


@dataclass(frozen=True)
class Evaluated:
    """A report, its page, and sentences about what was changed on disk besides."""

    report: Report
    page: Path
    kept: tuple[str, ...]


def evaluate_folders(models: Sequence[str], dataset: ImageTextDataset, config: EvaluateConfig,
                     out: Path | None = None, progress: StageProgress = silent) -> Evaluated:
    """Measure models that lie in folders, and write the report.

    Args:
        models: runs, folders of models, or hub names; the first is what others are compared with.
        dataset: what to measure on.
        config: what to measure.
        out: folder of the report; None: the run of a single model, else "evaluation-NAMES" where one stands.
        progress: called with (stage, done, total).

    Raises:
        UserError: a model or the data cannot be used, or `out` holds something else.
    """
    named = dict(zip(model_names(list(models)), models, strict=True))
    folders = {name: Path(model) for name, model in named.items()}
    loaded = {name: load_run_model(model) for name, model in named.items()}
    report = evaluate(loaded, dataset, config, folders, progress)
    page = store_report(report, out or folder_for(list(models), dataset.name))
    return Evaluated(report, page, ())
