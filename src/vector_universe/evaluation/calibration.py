"""From cosines to probabilities: fitted on text queries with and without an answer, judged on queries left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vector_universe.evaluation.bootstrap import DRAWS, LEVEL, Interval
from vector_universe.evaluation.hubness import nearest
from vector_universe.evaluation.queries import text_queries
from vector_universe.evaluation.subject import Subject

HITS = 10  # of each query: what a search shows
FEWEST = 50  # queries: of fewer the fit says little
FOLDS = 5
BINS = 10
TILE = 1024


@dataclass(frozen=True, eq=False)
class Hits:
    """What Q text queries find among N images, best first.

    Attributes:
        cosines_QK: of the K nearest images.
        right_QK: whether each is right.
        best_Q: cosine of the nearest image.
        best_without_Q: of the nearest image once the query's own are taken out: a query without an answer.
        candidates: N.
    """

    cosines_QK: np.ndarray
    right_QK: np.ndarray
    best_Q: np.ndarray
    best_without_Q: np.ndarray
    candidates: int

    def of(self, queries: np.ndarray) -> Hits:
        """Those of some queries, by place or as a mask."""
        return Hits(self.cosines_QK[queries], self.right_QK[queries], self.best_Q[queries],
                    self.best_without_Q[queries], self.candidates)


@dataclass(frozen=True)
class Fit:
    """logit P(right) = slope · cosine + intercept, and the threshold on the best hit's cosine; see `Calibration`."""

    slope: float
    intercept: float
    threshold: float

    def probability(self, cosines: np.ndarray) -> np.ndarray:
        """Of each cosine, 0 to 1."""
        found: np.ndarray = 0.5 * (1 + np.tanh((self.slope * cosines + self.intercept) / 2))
        return found


def hits_of(queries_QD: np.ndarray, candidates_ND: np.ndarray, right: list[list[int]], k: int = HITS) -> Hits:
    """Search N images for Q texts; a query for which every image is right has −1 as its best without.

    Args:
        queries_QD, candidates_ND: unit rows.
        right: for each query the places of its right images.
        k: how many hits of each are looked at.
    """
    size, count = len(queries_QD), len(candidates_ND)
    k = min(k, count)
    cosines_QK, right_QK = np.empty((size, k)), np.zeros((size, k), bool)
    best_without_Q = np.full(size, -1.0)
    for start in range(0, size, TILE):
        cosines_TN = queries_QD[start:start + TILE] @ candidates_ND.T
        places_TK = nearest(cosines_TN, k)
        cosines_QK[start:start + TILE] = np.take_along_axis(cosines_TN, places_TK, axis=1)
        for row, places_K in enumerate(places_TK):
            own = right[start + row]
            right_QK[start + row] = np.isin(places_K, own)
            cosines_TN[row, own] = -1
        best_without_Q[start:start + TILE] = cosines_TN.max(axis=1)
    return Hits(cosines_QK, right_QK, cosines_QK[:, 0].copy(), best_without_Q, count)


def hits_on(subject: Subject, split: str = "validation") -> tuple[Hits, list[str]] | None:
    """The hits of a split's texts among its images, and each text's unit; None of fewer than 50 texts."""
    places = subject.places(split)
    asked = text_queries(subject, places)
    if len(asked.texts) < FEWEST:
        return None
    return hits_of(subject.embed_texts(asked.texts), subject.images_ND[places], asked.right), asked.units


def fit(hits: Hits) -> Fit | None:
    """Fit all three numbers; None where cosines say nothing: all hits right, all wrong, or the slope not above 0.

    The map is fitted to the hits of queries as they are, which have an answer; the threshold separates their best hits
    from those of the same queries without their own images.
    """
    if hits.right_QK.all() or not hits.right_QK.any():
        return None
    slope, intercept = fit_logistic(hits.cosines_QK.ravel(), hits.right_QK.ravel())
    if not (np.isfinite(slope) and slope > 0):
        return None
    return Fit(slope, intercept, best_threshold(hits.best_Q, hits.best_without_Q))


def fit_logistic(values: np.ndarray, right: np.ndarray, steps: int = 100) -> tuple[float, float]:
    """Slope and intercept of greatest likelihood, by Newton's method with step halving (Lin, Lin & Weng 2007).

    Targets are Platt's (1999, section 2.2): (n⁺ + 1)/(n⁺ + 2) for the n⁺ right ones and 1/(n⁻ + 2) for the others, so
    that cosines that separate them perfectly have a finite slope.

    Args:
        values: N cosines.
        right: N booleans.
        steps: at most.
    """
    centre, scale = float(np.mean(values)), float(np.std(values)) or 1.0
    x_N2 = np.stack([(values - centre) / scale, np.ones(len(values))], axis=1)
    above, below = np.count_nonzero(right), np.count_nonzero(~right)
    targets_N = np.where(right, (above + 1) / (above + 2), 1 / (below + 2))

    def loss(weights_2: np.ndarray) -> float:
        logits_N = x_N2 @ weights_2
        return float(np.mean(np.logaddexp(0, logits_N) - targets_N * logits_N))

    weights_2 = np.array([0.0, np.log((above + 1) / (below + 1))])
    now = loss(weights_2)
    for _ in range(steps):
        chances_N = 0.5 * (1 + np.tanh(x_N2 @ weights_2 / 2))
        gradient_2 = x_N2.T @ (chances_N - targets_N) / len(values)
        curvature_22 = (x_N2 * (chances_N * (1 - chances_N))[:, None]).T @ x_N2 / len(values) + 1e-12 * np.eye(2)
        step_2 = np.linalg.solve(curvature_22, gradient_2)
        size = 1.0
        while (then := loss(weights_2 - size * step_2)) > now and size > 1e-10:
            size /= 2
        if not then < now:
            break
        weights_2, now = weights_2 - size * step_2, then
    slope = float(weights_2[0]) / scale
    return slope, float(weights_2[1]) - slope * centre


def best_threshold(with_answer: np.ndarray, without: np.ndarray) -> float:
    """The value between the two kinds of highest balanced accuracy (Youden's J, 1950): refused is what lies below.

    Halfway between neighbouring values; of several as good the lowest, which refuses least.
    """
    values = np.unique(np.concatenate([with_answer, without]))
    refused = np.searchsorted(np.sort(with_answer), values) / len(with_answer)  # below each value
    caught = np.searchsorted(np.sort(without), values) / len(without)
    place = int(np.argmax(caught - refused))
    return float(values[0] if place == 0 else (values[place - 1] + values[place]) / 2)


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Every query judged by a fit on the others.

    Attributes:
        probabilities_QK: of each hit.
        base_rates_Q: share of right hits among the others, what would be said without looking at cosines.
        refused_Q: whether the query, which has an answer, was told that it has none.
        caught_Q: whether it was, once it had none.
    """

    probabilities_QK: np.ndarray
    base_rates_Q: np.ndarray
    refused_Q: np.ndarray
    caught_Q: np.ndarray


def cross_fit(hits: Hits, units: list[str], folds: int = FOLDS, seed: int = 0) -> CrossFit | None:
    """Fit on four fifths of the units, judge the last, five times; None where cosines say nothing in one of them.

    Args:
        hits: of Q queries.
        units: of each query: all texts of one image are left out together.
        folds, seed: of the drawing.
    """
    names = list(dict.fromkeys(units))
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = {name: int(order[number]) % folds for number, name in enumerate(names)}
    folds_Q = np.array([fold_of[unit] for unit in units])
    size = len(units)
    found = CrossFit(np.empty(hits.cosines_QK.shape), np.empty(size), np.empty(size, bool), np.empty(size, bool))
    for fold in range(folds):
        out_Q = folds_Q == fold
        if not out_Q.any():
            continue
        others = hits.of(~out_Q)
        fitted = fit(others)
        if fitted is None:
            return None
        found.probabilities_QK[out_Q] = fitted.probability(hits.cosines_QK[out_Q])
        found.base_rates_Q[out_Q] = others.right_QK.mean()
        found.refused_Q[out_Q] = hits.best_Q[out_Q] < fitted.threshold
        found.caught_Q[out_Q] = hits.best_without_Q[out_Q] < fitted.threshold
    return found


def equal_mass_bins(probabilities_N: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of each of N probabilities, (N,), so that bins hold as many as each other; equal ones share a bin."""
    edges = np.unique(np.quantile(probabilities_N, np.arange(1, bins) / bins))
    numbers = np.searchsorted(edges, probabilities_N, side="right")
    found: np.ndarray = np.unique(numbers, return_inverse=True)[1]  # none is empty
    return found


def calibration_error(probabilities_QK: np.ndarray, right_QK: np.ndarray, units: list[str], bins: int = BINS,
                      draws: int = DRAWS, seed: int = 0) -> tuple[float, Interval]:
    """Expected calibration error, Σ_b n_b/n · |mean probability − share of right ones|, with its 95 % interval.

    Bins of equal mass (Nguyen & O'Connor 2015). Units are drawn again within the same bins. Noise makes a sum of
    absolute values larger, so that its draws do not lie around the truth. Down, the interval reaches as far as the sum
    of what noise alone does to the bins: by the triangle inequality the truth is nearer than that, and 0 is left out
    only where the figure is more than noise. Up, it is the basic bootstrap, 2·figure − percentile, or the figure.
    """
    bins_QK = equal_mass_bins(probabilities_QK.ravel(), bins).reshape(probabilities_QK.shape)
    number = {name: place for place, name in enumerate(dict.fromkeys(units))}
    rows_Q = np.array([number[unit] for unit in units])
    gaps_UB = np.zeros((len(number), int(bins_QK.max()) + 1))
    np.add.at(gaps_UB, (rows_Q[:, None], bins_QK), probabilities_QK - right_QK)
    hits_U = np.bincount(rows_Q, minlength=len(number)) * probabilities_QK.shape[1]
    value = float(np.abs(gaps_UB.sum(axis=0)).sum() / hits_U.sum())
    generator, evenly = np.random.default_rng(seed), np.full(len(number), 1 / len(number))
    drawn_R, noise_R = np.empty(draws), np.empty(draws)
    mean_B = gaps_UB.sum(axis=0) / hits_U.sum()
    for draw in range(draws):  # one at a time: memory stays that of the units
        times_U = generator.multinomial(len(number), evenly)
        drawn_B = times_U @ gaps_UB / (times_U @ hits_U)
        drawn_R[draw], noise_R[draw] = np.abs(drawn_B).sum(), np.abs(drawn_B - mean_B).sum()
    noise = float(np.quantile(noise_R, (1 + LEVEL) / 2))
    return value, Interval(max(0.0, value - noise),
                           max(value, 2 * value - float(np.quantile(drawn_R, (1 - LEVEL) / 2))))
