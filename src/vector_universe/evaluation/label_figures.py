"""What is shown of a ranking of labels, where an image may have several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vector_universe.evaluation.bootstrap import LEVEL, Interval, Sample
from vector_universe.evaluation.class_figures import CASES, LIKELIEST
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.label_ranking import (
    average_precision_by_label,
    label_ranking,
    macro_draws,
    rank_rows,
)
from vector_universe.evaluation.section import Case, Figure, Table
from vector_universe.losses.label_sets import LabelSets

FEWEST_DRAWS = 100
MOST_DRAWN = 2_000_000_000  # labels x rows x draws of the macro figure's interval, some 30 seconds


def label_figures(scores_NL: np.ndarray, labels: LabelSets, test: str, name: str, units: Sequence[str],
                  config: EvaluateConfig, key: bool = False) -> list[Figure]:
    """Average precision by label and by row, and recall, with intervals.

    Args:
        scores_NL: of N rows, comparable between rows.
        labels: their true labels; each row has one.
        test: where they are from.
        name: of what scores, before the metric.
        units: id of each row.
        config: draws and seed.
        key: whether the verdict speaks of the macro figure.
    """
    means, rows = label_ranking(scores_NL, labels), rank_rows(scores_NL, labels)
    if means is None or rows is None or len(rows.rows_N) != len(units):
        raise ValueError("every row must have a label")
    found = macro_interval(scores_NL, labels, config.draws, config.seed)
    macro = Figure(test, f"{name} mAP by label", means.macro_average_precision, found.low, found.high,
                   means.chance_macro, means.labels, key=key)
    by_row = [("mAP by image", rows.average_precision_N, means.chance_average_precision),
              ("label recall@1", rows.recall_at_1_N, means.chance_at_1),
              ("label recall@3", rows.recall_at_3_N, means.chance_at_3),
              ("label recall@5", rows.recall_at_5_N, means.chance_at_5)]
    return [macro, *(Figure.mean(test, f"{name} {metric}", Sample.of(values_N, units), chance=chance,
                                 draws=config.draws, seed=config.seed) for metric, values_N, chance in by_row)]


def macro_interval(scores_NL: np.ndarray, labels: LabelSets, draws: int, seed: int = 0) -> Interval:
    """The 95 % interval of the macro average precision, by drawing rows again.

    A row drawn twice stands beside itself, which lifts average precision: the draws are moved so that their mean is
    the figure. Of very large sets fewer are drawn, 100 at least.
    """
    figure = float(np.nanmean(average_precision_by_label(scores_NL, labels)))
    draws = max(FEWEST_DRAWS, min(draws, MOST_DRAWN // max(1, labels.size * labels.vocabulary)))
    values_R = macro_draws(scores_NL, labels, draws, seed)
    low, high = np.quantile(values_R - values_R.mean() + figure, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(max(0.0, float(low)), min(1.0, float(high)))


def label_table(scores_NL: np.ndarray, labels: LabelSets, names: Sequence[str], title: str) -> Table:
    """Images and average precision of each label that occurs."""
    counts_L, found_L = labels.counts_per_label().cpu().numpy(), average_precision_by_label(scores_NL, labels)
    return Table(title, ("label", "images", "share of images", "average precision"),
                 tuple((names[label], int(counts_L[label]), float(counts_L[label] / labels.size),
                        float(found_L[label])) for label in np.flatnonzero(counts_L).tolist()),
                 note="A random order would reach an average precision of about a label's share of the images.")


def label_cases(scores_NL: np.ndarray, labels: LabelSets, names: Sequence[str], places_N: np.ndarray,
                seed: int) -> list[Case]:
    """Some hits (the likeliest label is right) and some misses, drawn at random, each with its three likeliest."""
    true_NL = labels.multi_hot().cpu().numpy() > 0
    orders_NK = np.lexsort((true_NL, -scores_NL), axis=1)[:, :LIKELIEST]
    hit_N = true_NL[np.arange(len(true_NL)), orders_NK[:, 0]]
    cases = []
    for chosen in (hit_N, ~hit_N):
        rows = np.flatnonzero(chosen)
        for row in np.sort(np.random.default_rng(seed).permutation(rows)[:CASES]):
            texts = tuple((names[label], float(scores_NL[row, label]), bool(true_NL[row, label]))
                          for label in orders_NK[row].tolist())
            own = ", ".join(names[label] for label in np.flatnonzero(true_NL[row]).tolist())
            cases.append(Case("hit" if hit_N[row] else "miss", query=own, query_image=int(places_N[row]),
                              found_texts=texts))
    return cases
