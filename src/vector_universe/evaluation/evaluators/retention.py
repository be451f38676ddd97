"""Retention: what the model can do on data of another kind, such as it could before it was adapted."""

from __future__ import annotations

from dataclasses import replace

from vector_universe.data import load_dataset
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.retrieval import evaluate_retrieval
from vector_universe.evaluation.evaluators.zero_shot import evaluate_zero_shot
from vector_universe.evaluation.section import Section
from vector_universe.evaluation.subject import Subject
from vector_universe.models.predictors import Predictor
from vector_universe.progress import StageProgress, counter


def evaluate_retention(subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
    """The key figures on the data `config.retain`; None unless it is given.

    Raises:
        UserError: the data cannot be used.
    """
    if config.retain is None:
        return None
    general = load_dataset(config.retain)
    general = general.split("test") if "test" in general.table["split"] else general.with_splits(
        ["test"] * len(general))
    there = Subject.of(subject.model, general, subject.name,
                       counter(progress, f"reading images of {general.name}", len(general)))
    evaluators = [evaluate_zero_shot] if isinstance(subject.model, Predictor) else [evaluate_retrieval,
                                                                                    evaluate_zero_shot]
    sections = [section for evaluator in evaluators
                if (section := evaluator(there, config, progress)) is not None]
    figures = [replace(figure, test=general.name) for section in sections for figure in section.figures
               if figure.key and figure.test == "test"]
    return Section(
        "retention", f"On {general.name}",
        "Data that the model was not adapted to. Beside the model from before the adaptation, it shows what was lost.",
        figures=tuple(figures),
        remarks=(general.summary(),),
        settings={"source": config.retain, "fingerprint": general.fingerprint}
        | {section.name: section.settings for section in sections})
