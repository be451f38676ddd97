"""The linear probe beside scikit-learn's; a row of `benchmarks.evaluation`.

50,000 features of 512 columns in 10 classes, and the ten strengths of a sweep, ascending; both sides start each search
where the one before ended, in float32 on the same threads. scikit-learn's `LogisticRegression` (lbfgs) has the loosest
tolerance, out of 1e-4, its default, 1e-5, 1e-6, …, with which each of its ten objectives is within 1e-4 of ours: before
that it stops short of the optimum, which is faster and something else. Objectives are compared in float64: the mean
loss of a row with the penalty. Features are generated: unit rows with a mean cosine of .5, a decaying spectrum and
normal classes, as those of CLIP-like models are.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Sequence
from statistics import median

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.report import report
from vector_universe.evaluation.linear_probe import STRENGTHS, fit_path

ROWS, QUICK_ROWS, WIDTH, CLASSES = 50_000, 5_000, 512, 10
QUICK_STRENGTHS = 5  # the weakest of the ten, which are the fastest for both sides
APART = 0.13  # classes, by the deviation within them: a probe gets 89 % of other rows right
CLOSE = 1e-4  # in mean loss
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def measure(case: str, quick: bool) -> None:
    """Report how much faster the sweep is, and how far its optima lie from scikit-learn's."""
    rows_ND, classes_N = features(QUICK_ROWS if quick else ROWS)
    strengths = STRENGTHS[:QUICK_STRENGTHS] if quick else STRENGTHS
    with threadpool_limits(torch.get_num_threads()):
        ours = [timed(lambda: fit_path(rows_ND, classes_N, strengths)) for _ in range(1 if quick else 3)]
        seconds = median(spent for spent, _ in ours)
        path = ours[0][1]
        least = [objective(probe.weights_CD, probe.bias_C, rows_ND, classes_N, probe.strength) for probe in path]
        for tolerance in TOLERANCES:
            theirs, found = timed(lambda: scikit_learn(rows_ND, classes_N, strengths, tolerance))  # noqa: B023
            reached = [objective(weights_CD, bias_C, rows_ND, classes_N, strength)
                       for strength, (weights_CD, bias_C) in zip(strengths, found, strict=True)]
            print(f"scikit-learn, tol {tolerance:g}: {theirs:.1f} s, furthest from ours "
                  f"{max(np.subtract(reached, least)):.1e}", file=sys.stderr)
            if max(np.subtract(reached, least)) <= CLOSE:
                break
    note = f"{len(rows_ND):,} rows, {len(strengths)} strengths, {torch.get_num_threads()} threads"
    report(case, "seconds", seconds, note)
    report(case, "sklearn_seconds", theirs, f"tol {tolerance:g}")
    report(case, "speedup_vs_sklearn", theirs / seconds, note)
    difference = max(np.subtract(least, reached))
    report(case, "loss_difference", difference, f"{difference:.1e}, the largest of ours − scikit-learn's; {note}")
    report(case, "steps", sum(probe.iterations for probe in path), f"of {len(strengths)} searches")


def scikit_learn(rows_ND: np.ndarray, classes_N: np.ndarray, strengths: Sequence[float],
                 tolerance: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases for each strength."""
    model = LogisticRegression(tol=tolerance, max_iter=10_000, warm_start=True)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # float32 ends some line searches at the optimum
        for strength in strengths:
            model.set_params(C=strength).fit(rows_ND, classes_N)
            found.append((model.coef_.copy(), model.intercept_.copy()))
    return found


def objective(weights_CD: np.ndarray, bias_C: np.ndarray, rows_ND: np.ndarray, classes_N: np.ndarray,
              strength: float) -> float:
    """Mean loss + ‖W‖² / (2·C·N), in float64."""
    logits_NC = rows_ND.astype(np.float64) @ weights_CD.astype(np.float64).T + bias_C
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits_NC), torch.from_numpy(classes_N))
    return float(loss) + float(np.square(weights_CD, dtype=np.float64).sum()) / (2 * strength * len(rows_ND))


def features(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows (N, 512), float32, and their classes (N,)."""
    draw = np.random.default_rng(seed)
    spectrum_D = np.arange(1, WIDTH + 1)**-0.5  # deviations; variances fall as 1 / k
    classes_N = draw.integers(0, CLASSES, rows)
    means_CD = APART * draw.normal(size=(CLASSES, WIDTH)).astype(np.float32)
    made_ND = (draw.standard_normal((rows, WIDTH), np.float32) + means_CD[classes_N]) * spectrum_D.astype(np.float32)
    common_D = draw.normal(size=WIDTH) * spectrum_D
    made_ND += (common_D * np.linalg.norm(spectrum_D) / np.linalg.norm(common_D)).astype(np.float32)
    made_ND = made_ND @ np.linalg.qr(draw.normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)
    return made_ND / np.linalg.norm(made_ND, axis=1, keepdims=True), classes_N


def timed(call):
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found
