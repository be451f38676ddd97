"""`vu evaluate`: models by their folders in; a report on disk out, and with a model what was learned about it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vector_universe.data import ImageTextDataset
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.calibration import calibration_of
from vector_universe.evaluation.report import Measured, Report
from vector_universe.evaluation.run import evaluate
from vector_universe.evaluation.stored import folder_for, model_names, store_report
from vector_universe.folders import folder_kind
from vector_universe.models import DualEncoder
from vector_universe.models.calibration import store_calibration
from vector_universe.models.load import load_any_model
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

    What was learned about a model is kept in it only where the report goes into its run: measured by itself, on the
    data that it is for, and not beside others or on data of another kind.

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
    loaded = {name: load_any_model(model) for name, model in named.items()}
    plain = {name for name, model in loaded.items()
             if isinstance(model, DualEncoder) and model.post_processing is None}
    report = evaluate(loaded, dataset, config, folders, progress)
    out, kept = out or folder_for(list(models), dataset.name), []
    for measured in report.models:
        model, folder = loaded[measured.name], folders[measured.name]
        if not isinstance(model, DualEncoder):
            continue
        is_new = measured.name in plain and model.post_processing is not None
        if folder_kind(folder) == "run" and folder.resolve() == out.resolve():
            kept += _keep(folder / "model", model, measured, dataset, is_new)
        elif is_new:
            kept.append(f"{folder} stays as it is, its post-processing is in the report alone: a run keeps it when it "
                        "is measured by itself, without --out")
    return Evaluated(report, store_report(report, out), tuple(kept))


def _keep(folder: Path, model: DualEncoder, measured: Measured, dataset: ImageTextDataset, is_new: bool) -> list[str]:
    """Put post-processing that is new, and the calibration, into the model of a run; sentences that say so."""
    kept = []
    if is_new and model.post_processing is not None:
        _replace_model(folder, model)
        kept.append(f"{folder} now has {model.post_processing.describe()}: make universes of it again")
    section = measured.sections.get("calibration")
    found = None if section is None else calibration_of(section, dataset.fingerprint, measured.fingerprint)
    if found is not None:
        store_calibration(found, folder)
        kept.append(f"{folder} now tells how likely a match is; universes that are made or updated from it say so")
    return kept


def _replace_model(folder: Path, model: DualEncoder) -> None:
    """By two renames: the old model is whole until the new one is."""
    new, old = folder.with_name("model.partial"), folder.with_name("model.old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    model.save_pretrained(new)
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old)
