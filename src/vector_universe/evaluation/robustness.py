"""Robustness: how far figures fall under shift, and whether that is less than the accuracy alone would lead to expect.

Effective robustness (Taori et al. 2020, equation 1): ρ = acc_shift − β(acc_in), where β, a line in logits, tells the
shifted accuracy of common models from their accuracy without shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vector_universe.evaluation.bootstrap import LEVEL, Difference, Sample
from vector_universe.evaluation.few_shot import STRENGTH
from vector_universe.evaluation.linear_probe import fit_path, suited

SHOTS = (1, 2, 4, 8, 16, 32, 64)
UNKNOWN = -1e9  # score of a class that a probe has not seen


@dataclass(frozen=True)
class Line:
    """β: logit(shifted accuracy) = slope · logit(accuracy) + intercept.

    Attributes:
        slope, intercept: of the line.
        points: how many distinct ones it was fitted to; below two it is y = x.
    """

    slope: float = 1.0
    intercept: float = 0.0
    points: int = 0

    @property
    def fitted(self) -> bool:
        """Whether it is more than y = x."""
        return self.points >= 2

    def __call__(self, accuracy: np.ndarray | float, least: float = 1e-6) -> np.ndarray:
        """Shifted accuracy to be expected at this accuracy, kept `least` away from 0 and 1."""
        return 1 / (1 + np.exp(-(self.slope * _logit(np.asarray(accuracy, float), least) + self.intercept)))


def fit_line(accuracies_K: Sequence[float], shifted_K: Sequence[float], images: int) -> Line:
    """Least squares in logits; y = x where fewer than two accuracies are distinct.

    Args:
        accuracies_K: of K models without shift.
        shifted_K: of the same with it.
        images: how many the accuracies were measured on: 0 and 1 are taken for half an image off.
    """
    least = 0.5 / max(1, images)
    x_K, y_K = _logit(np.asarray(accuracies_K, float), least), _logit(np.asarray(shifted_K, float), least)
    points = len(np.unique(np.round(x_K, 9)))
    if points < 2:
        return Line(points=points)
    centred_K = x_K - x_K.mean()
    slope = float(centred_K @ (y_K - y_K.mean()) / (centred_K @ centred_K))
    return Line(slope, float(y_K.mean() - slope * x_K.mean()), points)


def effective_robustness(accuracy: float, shifted: float, line: Line) -> float:
    """ρ: how much higher the shifted accuracy is than the line says; where the line is y = x, minus the drop."""
    return shifted - (float(line(accuracy)) if line.fitted else accuracy)


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear classifier of image vectors.

    Attributes:
        name: such as "4 a class".
        weights_CD, bias_C: scores are images · weightsᵀ + bias.
    """

    name: str
    weights_CD: np.ndarray
    bias_C: np.ndarray

    def scores(self, images_ND: np.ndarray) -> np.ndarray:
        """(N, C), the higher, the likelier."""
        return images_ND @ self.weights_CD.T + self.bias_C


def fit_probes(images_ND: np.ndarray, classes_N: np.ndarray, classes: int, seed: int = 0) -> list[Probe]:
    """The family of baselines: probes of 1, 2, 4, … images a class, and of all; none for fewer than two classes seen.

    Args:
        images_ND: of the train split.
        classes_N: the class of each, below `classes`.
        classes: C.
        seed: of the images that are chosen.
    """
    seen = np.unique(classes_N)
    if len(seen) < 2:
        return []
    order = np.random.default_rng(seed).permutation(len(classes_N))
    turns = {int(number): order[classes_N[order] == number] for number in seen}  # nested: more contain fewer
    fewest = min(map(len, turns.values()))
    chosen = [(f"{shots} a class", np.concatenate([places[:shots] for places in turns.values()]))
              for shots in SHOTS if shots < fewest]
    return [_fit(name, images_ND[places], classes_N[places], classes) for name, places in
            [*chosen, ("all", np.arange(len(classes_N)))]]


def drop_between(one: Sample, other: Sample, draws: int, seed: int = 0) -> Difference:
    """one − other of different units: both are drawn by themselves."""
    values_R = one.draws(draws, seed) - other.draws(draws, seed + 1)
    low, high = np.quantile(values_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Difference(one.mean - other.mean, float(low), float(high), len(one.units) + len(other.units))


def _fit(name: str, images_ND: np.ndarray, classes_N: np.ndarray, classes: int) -> Probe:
    seen, numbers_N = np.unique(classes_N, return_inverse=True)
    found = fit_path(images_ND, numbers_N, suited([STRENGTH], images_ND))[0]
    weights_CD, bias_C = np.zeros((classes, images_ND.shape[1]), np.float32), np.full(classes, UNKNOWN, np.float32)
    weights_CD[seen], bias_C[seen] = found.weights_CD, found.bias_C
    return Probe(name, weights_CD, bias_C)


def _logit(shares: np.ndarray, least: float) -> np.ndarray:
    kept = np.clip(shares, least, 1 - least)
    return np.log(kept / (1 - kept))
