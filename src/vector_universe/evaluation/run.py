"""`evaluate`: models and a data set in; every figure with its interval, what differs, and a verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import torch

from vector_universe.data import Example, ImageTextDataset, SkippedRow
from vector_universe.errors import UserError
from vector_universe.evaluation.compare import compare, without_leaks
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators import Evaluator
from vector_universe.evaluation.evaluators.calibration import evaluate_calibration
from vector_universe.evaluation.evaluators.few_shot import evaluate_few_shot
from vector_universe.evaluation.evaluators.geometry import evaluate_geometry
from vector_universe.evaluation.evaluators.leaks import evaluate_leaks
from vector_universe.evaluation.evaluators.probes import evaluate_probes
from vector_universe.evaluation.evaluators.retention import evaluate_retention
from vector_universe.evaluation.evaluators.retrieval import evaluate_retrieval
from vector_universe.evaluation.evaluators.shift import evaluate_shift
from vector_universe.evaluation.evaluators.zero_shot import evaluate_zero_shot
from vector_universe.evaluation.report import Measured, Report
from vector_universe.evaluation.section import Section
from vector_universe.evaluation.subject import Subject
from vector_universe.evaluation.verdict import verdict
from vector_universe.evaluation.whitening import Judgement, judge_post_processing
from vector_universe.models import DualEncoder
from vector_universe.models.precision import use_bf16
from vector_universe.models.predictors import Predictor
from vector_universe.progress import StageProgress, counter, silent

Model = DualEncoder | Predictor
EVALUATE: dict[str, Evaluator] = {
    "retrieval": evaluate_retrieval, "zero_shot": evaluate_zero_shot, "probes": evaluate_probes,
    "few_shot": evaluate_few_shot, "shift": evaluate_shift, "geometry": evaluate_geometry,
    "calibration": evaluate_calibration, "leaks": evaluate_leaks, "retention": evaluate_retention,
}
OF_TEXT_VECTORS = {"retrieval": "Retrieval", "shift": "Distribution shift", "geometry": "Geometry",
                   "calibration": "Calibration"}  # with their titles: what a model that embeds no texts has none of
DEFAULT = EvaluateConfig()


def evaluate(models: Model | Mapping[str, Model], dataset: ImageTextDataset,
             config: EvaluateConfig = DEFAULT, folders: Mapping[str, Path] | None = None,
             progress: StageProgress = silent) -> Report:
    """Measure one model, or several beside each other.

    Every image is embedded once a model, and then looked at by every evaluator that the data has something for. The
    first of several models is the one that the others are compared with. With `config.whiten`, a model that gets better
    by post-processing keeps it, and is measured with it.

    Args:
        models: a model, or several by name.
        dataset: what to measure on; what training has not seen must be in its split "test" (or "validation").
        config: what to measure.
        folders: where models came from, by name, as far as known: a run folder tells what was trained on.
        progress: called with (stage, done, total).

    Raises:
        UserError: the data or a setting cannot be used; the message says what to do.
    """
    config.check()
    named = {"model": models} if isinstance(models, DualEncoder | Predictor) else dict(models)
    if not named:
        raise UserError("there is no model to measure: give at least one")
    if config.only and OF_TEXT_VECTORS.keys() >= set(config.only) and all(
            isinstance(model, Predictor) for model in named.values()):
        raise UserError(f"--only {', '.join(config.only)}: a model that predicts words embeds no texts; of "
                        f"{', '.join(named)} there are zero_shot, probes, few_shot and leaks to measure")
    measured: list[Measured] = []
    examples: list[Example] = []
    skipped: list[SkippedRow] = []
    for name, model in named.items():
        subject = Subject.of(model, dataset, name, counter(progress, f"reading images ({name})", len(dataset)),
                             (folders or {}).get(name))
        if not subject.examples:
            reason = f" (the first: {subject.skipped[0].file}: {subject.skipped[0].reason})" if subject.skipped else ""
            raise UserError(f"nothing to measure: none of the {len(dataset)} images of {dataset.name} can be "
                            f"read{reason}")
        examples, skipped = subject.examples, subject.skipped
        judgement = None
        if config.whiten and isinstance(model, DualEncoder):
            judgement = judge_post_processing(subject, config.draws, config.seed)
            if judgement.kept is not None:
                model.set_post_processing(judgement.kept)
                subject = subject.post_processed(judgement.kept)
        sections = {key: section for key in EVALUATE if config.wants(key)
                    if (section := measure(key, subject, config, progress)) is not None}
        if judgement is not None and "geometry" in sections:  # where it stands without `whiten` too
            sections["geometry"] = judged(sections["geometry"], judgement)
        measured.append(without_leaks(Measured(name, model.fingerprint(), circumstances(model), sections), config))
    comparisons = compare(measured, config)
    return Report(dataset, examples, skipped, tuple(measured), tuple(comparisons), verdict(measured, comparisons),
                  asdict(config))


def measure(name: str, subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
    """What one evaluator finds; a remark alone where the model embeds no texts and it needs them."""
    if name not in OF_TEXT_VECTORS or isinstance(subject.model, DualEncoder):
        return EVALUATE[name](subject, config, progress)
    if name == "shift" and not (config.shift or config.corruptions):
        return None
    return Section(name, OF_TEXT_VECTORS[name], "Not measured.",
                   remarks=("Not measured: the model predicts words and embeds no texts.",))


def judged(section: Section, judgement: Judgement) -> Section:
    """The section with what was tried before the model was measured."""
    table, kept = judgement.table(), judgement.kept
    said = "Nothing was better than none." if kept is None else f"The model was measured with {kept.describe()}."
    return replace(section, tables=section.tables if table is None else (table,), remarks=(said, *judgement.remarks))


def circumstances(model: Model) -> dict[str, str]:
    """What the figures depend on besides model and data: precision, device and version."""
    bf16 = model.dtype == torch.float32 and use_bf16("auto", model.device)
    return {"precision": "bf16" if bf16 else str(model.dtype).removeprefix("torch."), "device": model.device.type,
            "version": version("vector-universe")}
