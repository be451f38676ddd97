"""Label ranking: how high do the true labels of a row stand among all labels, and the true rows of a label?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch

from vector_universe.evaluation.chance import chance_average_precision, mean_chance
from vector_universe.losses.label_sets import LabelSets


@dataclass(frozen=True)
class LabelRanking:
    """How well scores put true labels first.

    Attributes:
        average_precision: mean over the rows of the average precision of their ranking of all labels.
        macro_average_precision: mean over the labels of the average precision of their ranking of all rows: a rare
            label counts as much as a frequent one, and knowing which labels are frequent does not help.
        recall_at_1, recall_at_3, recall_at_5: mean over the rows of the share of their true labels among the first k.
        chance_average_precision, chance_macro, chance_at_1, chance_at_3, chance_at_5: what a random order would reach
            on average.
        rows: how many had a label; the others do not count in the means over rows.
        labels: how many occurred; the others do not count in the means over labels.
    """

    average_precision: float
    macro_average_precision: float
    recall_at_1: float
    recall_at_3: float
    recall_at_5: float
    chance_average_precision: float
    chance_macro: float
    chance_at_1: float
    chance_at_3: float
    chance_at_5: float
    rows: int
    labels: int

    def as_dict(self) -> dict[str, float | int]:
        """The figures by name, for JSON."""
        return asdict(self)


def label_ranking(scores_BL: np.ndarray, labels: LabelSets) -> LabelRanking | None:
    """Rank labels by score for every row, and rows by score for every label; None when no row has a label.

    A tie counts against the model: among equal scores the wrong ones come first, so that a collapsed model is worse
    than chance, never better.

    Args:
        scores_BL: the higher, the likelier; for the macro figure scores of different rows must be comparable, as those
            of `KernelKL.distribution` are.
        labels: the true labels of the B rows, out of the L.

    Raises:
        ValueError: the shapes do not match, or a score is NaN.
    """
    if scores_BL.shape != (labels.size, labels.vocabulary):
        raise ValueError(f"scores_BL is {scores_BL.shape}: labels are of {labels.size} rows out of a vocabulary of "
                         f"{labels.vocabulary}")
    if np.isnan(scores_BL).any():
        raise ValueError(f"row {int(np.isnan(scores_BL).any(axis=1).argmax())} of scores_BL holds NaN")
    true_BL = labels.multi_hot(torch.bool).cpu().numpy()
    by_row, by_label = true_BL.any(axis=1), true_BL.any(axis=0)
    if not by_row.any():
        return None
    rows_NL, columns_KB = _ranked(scores_BL[by_row], true_BL[by_row]), _ranked(scores_BL.T[by_label],
                                                                              true_BL.T[by_label])
    counts_N = rows_NL.sum(axis=1)
    recall = {k: float(np.mean(rows_NL[:, :k].sum(axis=1) / counts_N)) for k in (1, 3, 5)}
    chance = {k: min(k, labels.vocabulary) / labels.vocabulary for k in (1, 3, 5)}
    return LabelRanking(
        average_precision=float(_average_precision(rows_NL).mean()),
        macro_average_precision=float(_average_precision(columns_KB).mean()),
        recall_at_1=recall[1], recall_at_3=recall[3], recall_at_5=recall[5],
        chance_average_precision=mean_chance(partial(chance_average_precision, labels.vocabulary), counts_N),
        chance_macro=mean_chance(partial(chance_average_precision, labels.size), columns_KB.sum(axis=1)),
        chance_at_1=chance[1], chance_at_3=chance[3], chance_at_5=chance[5],
        rows=int(by_row.sum()), labels=int(by_label.sum()))


def _ranked(scores_QN: np.ndarray, true_QN: np.ndarray) -> np.ndarray:
    """Whether the best, second best, … of every query is true; of equal scores the false ones first."""
    order_QN = np.lexsort((true_QN, -scores_QN), axis=1)
    return np.take_along_axis(true_QN, order_QN, axis=1)


def _average_precision(ranked_QN: np.ndarray) -> np.ndarray:
    """Mean over the true places of each query of the precision there, (Q,)."""
    precision_QN = ranked_QN.cumsum(axis=1) / np.arange(1, ranked_QN.shape[1] + 1)
    return (precision_QN * ranked_QN).sum(axis=1) / ranked_QN.sum(axis=1)
