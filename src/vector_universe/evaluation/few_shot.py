"""Few-shot curves: how many labelled images a class does a linear probe need? (Radford et al. 2021, figure 6)"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from vector_universe.evaluation.bootstrap import LEVEL
from vector_universe.evaluation.classification import classify
from vector_universe.evaluation.linear_probe import fit_path, suited

SHOTS = (1, 2, 4, 8, 16)
SAMPLES = 10
STRENGTH = 16.0


@dataclass(frozen=True)
class Shots:
    """What a linear probe reaches with so many images a class.

    Attributes:
        shots: images a class.
        accuracies: top-1 of each sample of images.
        low, high: 95 % interval of their mean, by Student's t: what the choice of images leaves open. That of the test
            images is not in it.
        short: how many classes had fewer images and gave all they had.
    """

    shots: int
    accuracies: tuple[float, ...]
    low: float
    high: float
    short: int

    @property
    def mean(self) -> float:
        """Of the accuracies."""
        return float(np.mean(self.accuracies))


def few_shot(train_ND: np.ndarray, classes_N: np.ndarray, test_MD: np.ndarray, test_classes_M: np.ndarray, classes: int,
             shots: Sequence[int] = SHOTS, samples: int = SAMPLES, seed: int = 0,
             advance: Callable[[int], None] | None = None) -> list[Shots]:
    """Linear probes on few images a class, drawn without replacement; the same sample grows from shots to shots.

    Counts of shots that fewer than half of the classes have images for are left out. With a handful of images there is
    none to choose the strength by (CLIP took a validation set), so it follows a rule that looks at no test image:
    C = 16 / spread, the spread being the mean squared distance of the drawn features from their mean. That is what
    CLIP's published example comes to, C = 0.316 on features about 10 long.

    Args:
        train_ND: features to draw from.
        classes_N: their classes, from 0; each class has at least one row.
        test_MD: features to judge by.
        test_classes_M: their classes.
        classes: how many there are.
        shots: images a class.
        samples: how often images are drawn.
        seed: of the draws.
        advance: called with 1 as each probe gets done.

    Raises:
        ValueError: a class has no row, or there are fewer than two samples.
    """
    counts_C = np.bincount(classes_N, minlength=classes)
    if counts_C.min() < 1 or samples < 2:
        raise ValueError(f"{samples} samples of classes of {counts_C.min()} rows and more: give 2 samples, and a row a "
                         "class, at least")
    orders = [_places_by_class(classes_N, classes, np.random.default_rng([seed, sample])) for sample in range(samples)]
    found = []
    for count in possible_shots(counts_C, shots):
        accuracies = []
        for order in orders:
            drawn = np.concatenate([places[:count] for places in order])
            rows_SD = train_ND[drawn]
            probe = fit_path(rows_SD, classes_N[drawn], suited([STRENGTH], rows_SD), classes)[0]
            accuracies.append(classify(probe.logits(test_MD), test_classes_M).top_1)
            if advance:
                advance(1)
        half = float(stats.t.ppf((1 + LEVEL) / 2, samples - 1)) * float(np.std(accuracies, ddof=1)) / math.sqrt(samples)
        mean = float(np.mean(accuracies))
        found.append(Shots(count, tuple(accuracies), max(0.0, mean - half), min(1.0, mean + half),
                           int((counts_C < count).sum())))
    return found


def possible_shots(counts_C: np.ndarray, shots: Sequence[int] = SHOTS) -> list[int]:
    """Those that at least half of the classes have images for."""
    return [count for count in shots if 2 * int((counts_C >= count).sum()) >= len(counts_C)]


def crossing(shots: Sequence[float], accuracies: Sequence[float], zero_shot: float) -> float | None:
    """The images a class at which the curve first reaches the zero-shot accuracy, between points by their logarithm.

    None where it never does; the first count where that is enough.
    """
    if accuracies[0] >= zero_shot:
        return float(shots[0])
    for place in range(1, len(shots)):
        below, above = accuracies[place - 1], accuracies[place]
        if above >= zero_shot:
            share = (zero_shot - below) / (above - below)
            return float(shots[place - 1] * (shots[place] / shots[place - 1])**share)
    return None


def _places_by_class(classes_N: np.ndarray, classes: int, generator: np.random.Generator) -> list[np.ndarray]:
    return [generator.permutation(np.flatnonzero(classes_N == number)) for number in range(classes)]
