"""Label ranking: how high do the true labels of a row stand among all labels, and the true rows of a label?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch

from vector_universe.evaluation.chance import chance_average_precision, mean_chance
from vector_universe.losses.label_sets import LabelSets

BLOCK = 1_000_000  # draws x rows held at once


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


@dataclass(frozen=True, eq=False)
class RowRanking:
    """The figures of every row by itself, of which `LabelRanking` has the means.

    Attributes:
        rows_N: which of the B rows have a label.
        average_precision_N: of their ranking of all labels.
        recall_at_1_N, recall_at_3_N, recall_at_5_N: share of their true labels among the first k.
        labels_N: how many true labels each has.
    """

    rows_N: np.ndarray
    average_precision_N: np.ndarray
    recall_at_1_N: np.ndarray
    recall_at_3_N: np.ndarray
    recall_at_5_N: np.ndarray
    labels_N: np.ndarray


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
    by_row = rank_rows(scores_BL, labels)
    if by_row is None:
        return None
    by_label_L, counts_L = average_precision_by_label(scores_BL, labels), labels.counts_per_label().cpu().numpy()
    chance = {k: min(k, labels.vocabulary) / labels.vocabulary for k in (1, 3, 5)}
    return LabelRanking(
        average_precision=float(by_row.average_precision_N.mean()),
        macro_average_precision=float(np.nanmean(by_label_L)),
        recall_at_1=float(by_row.recall_at_1_N.mean()), recall_at_3=float(by_row.recall_at_3_N.mean()),
        recall_at_5=float(by_row.recall_at_5_N.mean()),
        chance_average_precision=mean_chance(partial(chance_average_precision, labels.vocabulary), by_row.labels_N),
        chance_macro=mean_chance(partial(chance_average_precision, labels.size), counts_L[counts_L > 0]),
        chance_at_1=chance[1], chance_at_3=chance[3], chance_at_5=chance[5],
        rows=len(by_row.rows_N), labels=int(np.count_nonzero(counts_L)))


def rank_rows(scores_BL: np.ndarray, labels: LabelSets) -> RowRanking | None:
    """Rank all labels for every row that has one, ties against the model; None where no row has.

    Args:
        scores_BL: the higher, the likelier.
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
    rows_N = np.flatnonzero(true_BL.any(axis=1))
    if not len(rows_N):
        return None
    ranked_NL = _ranked(scores_BL[rows_N], true_BL[rows_N])
    counts_N = ranked_NL.sum(axis=1)
    recall_1_N, recall_3_N, recall_5_N = (ranked_NL[:, :k].sum(axis=1) / counts_N for k in (1, 3, 5))
    return RowRanking(rows_N, _average_precision(ranked_NL), recall_1_N, recall_3_N, recall_5_N, counts_N)


def average_precision_by_label(scores_BL: np.ndarray, labels: LabelSets) -> np.ndarray:
    """Average precision of each label's ranking of all rows, ties against the model, (L,); NaN where no row has it."""
    true_LB = labels.multi_hot(torch.bool).cpu().numpy().T
    occurs_L = true_LB.any(axis=1)
    found_L = np.full(len(true_LB), np.nan)
    found_L[occurs_L] = _average_precision(_ranked(scores_BL.T[occurs_L], true_LB[occurs_L]))
    return found_L


def macro_draws(scores_BL: np.ndarray, labels: LabelSets, draws: int, seed: int = 0) -> np.ndarray:
    """The macro average precision of `draws` sets of the N rows with labels, drawn with replacement, (draws,).

    A label that a set lacks does not count in its mean. A row drawn w times stands at w places in a row: with F wrong
    ones before, of N in all before it, its places add Σ_j (N − F + j) / (N + j) = w − F·(H(N + w) − H(N)), H the
    harmonic numbers, so that one ranking of the rows serves all draws.

    Args:
        scores_BL: the higher, the likelier.
        labels: the true labels of the B rows, out of the L; one row at least has one.
        draws: how many.
        seed: of the draws.
    """
    true_BL = labels.multi_hot(torch.bool).cpu().numpy()
    rows_N = true_BL.any(axis=1)
    scores_NL, true_NL = scores_BL[rows_N], true_BL[rows_N]
    generator, block = np.random.default_rng(seed), max(1, BLOCK // len(scores_NL))
    return np.concatenate([_macro_draws(scores_NL, true_NL, min(block, draws - start), generator)
                           for start in range(0, draws, block)])


def _macro_draws(scores_NL: np.ndarray, true_NL: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    size = len(scores_NL)
    drawn_RN = generator.multinomial(size, np.full(size, 1 / size), size=draws)
    times_NR = np.ascontiguousarray(drawn_RN.T, np.int32)  # rows of draws, so that taking them in order is fast
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, size + 1))])
    totals_R, counts_R = np.zeros(draws), np.zeros(draws, np.int64)
    for label in np.flatnonzero(true_NL.any(axis=0)):
        order_N = np.lexsort((true_NL[:, label], -scores_NL[:, label]))
        true_P = np.flatnonzero(true_NL[order_N, label])
        times_PR = times_NR[order_N[true_P]]
        until_N = order_N[:true_P[-1] + 1]
        between_PR = np.add.reduceat(times_NR[until_N], np.concatenate([[0], true_P[:-1] + 1]), axis=0)
        ends_PR = between_PR.cumsum(axis=0)
        wrong_PR = ends_PR - times_PR.cumsum(axis=0)
        found_R = times_PR.sum(axis=0)
        summed_R = (times_PR - wrong_PR * (harmonic[ends_PR] - harmonic[ends_PR - times_PR])).sum(axis=0)
        totals_R += summed_R / np.maximum(found_R, 1)
        counts_R += found_R > 0
    return totals_R / counts_R


def average_precisions(scores_QN: np.ndarray, true_QN: np.ndarray) -> np.ndarray:
    """The average precision of each row's ranking, (Q,); a tie counts against the model.

    Args:
        scores_QN: the higher, the likelier.
        true_QN: bool; each row has a true place.
    """
    return _average_precision(_ranked(scores_QN, true_QN))


def _ranked(scores_QN: np.ndarray, true_QN: np.ndarray) -> np.ndarray:
    """Whether the best, second best, … of every query is true; of equal scores the false ones first."""
    order_QN = np.lexsort((true_QN, -scores_QN), axis=1)
    return np.take_along_axis(true_QN, order_QN, axis=1)


def _average_precision(ranked_QN: np.ndarray) -> np.ndarray:
    """Mean over the true places of each query of the precision there, (Q,)."""
    precision_QN = ranked_QN.cumsum(axis=1) / np.arange(1, ranked_QN.shape[1] + 1)
    return (precision_QN * ranked_QN).sum(axis=1) / ranked_QN.sum(axis=1)
