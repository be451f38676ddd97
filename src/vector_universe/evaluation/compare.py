"""Two models beside each other, and one model with and without what it may have learned by heart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from vector_universe.evaluation.bootstrap import Sample, difference
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.report import Comparison, Measured
from vector_universe.evaluation.section import Figure

WITHOUT_LEAKS = "without what training has too"


def compare(models: Sequence[Measured], config: EvaluateConfig) -> list[Comparison]:
    """Every figure that another model shares with the first and that is a mean over the same units."""
    found = []
    for other in models[1:]:
        theirs = {(section.name, figure.test, figure.metric): figure for section, figure in other.figures()}
        for section, figure in models[0].figures():
            partner = theirs.get((section.name, figure.test, figure.metric))
            if partner is None or figure.sample is None or partner.sample is None:
                continue
            paired = difference(figure.sample, partner.sample, config.draws, config.seed)
            if paired is not None:
                found.append(Comparison(section.name, figure.test, figure.metric, figure.better, figure.key,
                                        models[0].name, other.name, paired))
    return found


def without_leaks(measured: Measured, config: EvaluateConfig) -> Measured:
    """The same with a figure for each key figure in the section of leaks: taken over the other units alone.

    The candidates stay the same, so that the two can be compared.
    """
    leaks = measured.sections.get("leaks")
    leaked = set() if leaks is None else set(leaks.details["leaked"])
    if leaks is None or not leaked:
        return measured
    clean = [rest for section, figure in measured.figures() if section.name != "leaks"
             for rest in [_without(figure, leaked, config)] if rest is not None]
    return replace(measured, sections=measured.sections | {
        "leaks": replace(leaks, figures=(*leaks.figures, *clean))})


def _without(figure: Figure, leaked: Collection[str], config: EvaluateConfig) -> Figure | None:
    if not figure.key or figure.sample is None:
        return None
    kept_U = np.array([unit not in leaked for unit in figure.sample.units])
    if kept_U.all() or not kept_U.any():
        return None
    sample = figure.sample
    rest = Sample(tuple(unit for unit, kept in zip(sample.units, kept_U, strict=True) if kept),
                  sample.totals_U[kept_U], sample.counts_U[kept_U],
                  None if sample.strata_U is None else sample.strata_U[kept_U])
    return Figure.mean(f"{figure.test} {WITHOUT_LEAKS}", figure.metric, rest, chance=figure.chance,
                       better=figure.better, draws=config.draws, seed=config.seed)
