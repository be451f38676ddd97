"""The linear probe: how well do frozen features tell classes apart by a linear map? (Radford et al. 2021, section 3.2)

The optimum is that of scikit-learn's `LogisticRegression(C=…)`: the least C·Σ loss + ½‖W‖², with a free bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor

STRENGTHS = tuple(10.0**(third / 3) for third in range(-6, 13, 2))  # 0.01 to 10,000, for features of spread one
PRECISION = 1e-8  # an estimate of what the objective, a mean loss, might still lose ends the search
ITERATIONS = 1000
REMEMBERED = 20  # steps that L-BFGS keeps: features are few, and each spares passes over many rows
NOISE = 1e-10  # a step that gains less ends it too: float32 knows no less
LEAST_SPREAD = 1e-6  # features of a collapsed model have none
SMALL = 1_000_000  # numbers: passes over fewer take less than it takes to wake a thread on a busy core
FLAT = 1e-7  # share of the largest variance below which float32 knows no variance


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear map from features to classes (softmax), or to labels by themselves (sigmoid).

    Attributes:
        weights_CD, bias_C: float64.
        strength: C, the weight of the data against the penalty.
        objective: mean loss + ‖W‖² / (2·C·N) at the end.
        iterations: steps of L-BFGS.
        softmax: whether exactly one class is true.
    """

    weights_CD: np.ndarray
    bias_C: np.ndarray
    strength: float
    objective: float
    iterations: int
    softmax: bool

    def logits(self, rows_ND: np.ndarray) -> np.ndarray:
        """Scores (N, C)."""
        return rows_ND @ self.weights_CD.T.astype(rows_ND.dtype) + self.bias_C.astype(rows_ND.dtype)

    def probabilities(self, rows_ND: np.ndarray) -> np.ndarray:
        """Of each class or label, (N, C)."""
        logits_NC = torch.from_numpy(self.logits(rows_ND))
        return (logits_NC.softmax(dim=1) if self.softmax else logits_NC.sigmoid()).numpy()


def fit_path(rows_ND: np.ndarray, targets: np.ndarray, strengths: Sequence[float] = STRENGTHS,
             classes: int | None = None, advance: Callable[[int], None] | None = None) -> list[LinearProbe]:
    """The optimum for each strength, in the order given, each search starting from the one before.

    L-BFGS in coordinates in which the loss curves alike in all directions. The Hessian of class c is about
    a_c·cov(features) + 1/(C·N) with a_c the mean of p(1 − p) (Böhning 1992 bounds it by ½); along the principal axes of
    the features that is diagonal, for every C, and the penalty stays what it was. So one decomposition serves
    the whole path, and a few dozen steps do where plain L-BFGS takes hundreds: features of one network crowd in a few
    directions.

    Args:
        rows_ND: features, float32 or float64; computed in their precision.
        targets: the class of each row, integers (N,); or the labels of each row, bool (N, L), each of which is then a
            problem of its own.
        strengths: C, positive; ascending is fastest.
        classes: how many there are; by default the largest of `targets` + 1.
        advance: called with 1 as each gets done.

    Raises:
        ValueError: shapes do not match, a strength is not positive, or a feature is not finite.
    """
    path: list[LinearProbe] = []
    with threads_for(rows_ND):
        problem = _Problem.of(rows_ND, targets, classes)
        for strength in strengths:
            if not strength > 0:
                raise ValueError(f"strength {strength}: the weight of the data must be positive")
            path.append(problem.solve(strength, path[-1] if path else None))
            if advance:
                advance(1)
    return path


@contextmanager
def threads_for(rows_ND: np.ndarray) -> Iterator[None]:
    """One thread for few rows: several would wait for each other, on busy cores far longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if rows_ND.size < SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def suited(strengths: Sequence[float], rows_ND: np.ndarray) -> tuple[float, ...]:
    """Strengths that mean for these features what the given ones do for features of spread one.

    The spread is the mean squared distance from the mean. A model whose vectors crowd needs large weights to say the
    same thing; by themselves the same strengths would forbid it them, and judge its spread instead of what it knows.
    """
    spread = float(np.square(rows_ND - rows_ND.mean(axis=0)).sum(axis=1, dtype=np.float64).mean())
    return tuple(strength / max(spread, LEAST_SPREAD) for strength in strengths)


@dataclass(frozen=True, eq=False)
class Sweep:
    """A probe whose strength was chosen on a validation part.

    Attributes:
        probe: fitted on the train and the validation part with the best strength, as CLIP's were.
        strengths: those that were tried.
        scores: what each reached on the validation part.
    """

    probe: LinearProbe
    strengths: tuple[float, ...]
    scores: tuple[float, ...]

    @property
    def at_the_edge(self) -> bool:
        """Whether the first or last strength was better than the one beside it, so that a better one may lie beyond."""
        best = self.strengths.index(self.probe.strength)
        beside = {0: 1, len(self.scores) - 1: len(self.scores) - 2}.get(best, best)
        return self.scores[beside] < self.scores[best]


def sweep(train_ND: np.ndarray, train_targets: np.ndarray, validation_MD: np.ndarray, validation_targets: np.ndarray,
          judge: Callable[[np.ndarray, np.ndarray], float], strengths: Sequence[float] = STRENGTHS,
          classes: int | None = None, advance: Callable[[int], None] | None = None) -> Sweep:
    """Try every strength on the validation part; fit the best on both parts. Of equally good ones the smallest wins.

    Args:
        train_ND, train_targets, strengths, classes, advance: as of `fit_path`; the last fit counts as one too.
        validation_MD, validation_targets: likewise, of M other rows.
        judge: takes logits (M, C) and the targets, returns how good they are; the higher the better.

    Raises:
        ValueError: as of `fit_path`.
    """
    path = fit_path(train_ND, train_targets, strengths, classes, advance)
    scores = [judge(probe.logits(validation_MD), validation_targets) for probe in path]
    best = max(zip(path, scores, strict=True), key=lambda tried: (tried[1], -tried[0].strength))[0]
    rows_ND, targets = (np.concatenate(parts) for parts in ((train_ND, validation_MD),
                                                            (train_targets, validation_targets)))
    with threads_for(rows_ND):
        probe = _Problem.of(rows_ND, targets, len(best.bias_C)).solve(best.strength, best)
    if advance:
        advance(1)
    return Sweep(probe, tuple(strengths), tuple(scores))


@dataclass(frozen=True, eq=False)
class _Problem:
    """The features along their principal axes, centred; R = min(N, D) of them, as the optimum has no other part."""

    axes_NR: Tensor
    targets: Tensor
    classes: int
    rotation_DR: Tensor
    mean_D: Tensor
    variance_R: Tensor

    @classmethod
    def of(cls, rows_ND: np.ndarray, targets: np.ndarray, classes: int | None) -> _Problem:
        softmax = targets.ndim == 1
        if rows_ND.ndim != 2 or not len(rows_ND) or len(targets) != len(rows_ND) or targets.ndim > 2:
            raise ValueError(f"rows_ND is {rows_ND.shape}, targets {targets.shape}: give N ≥ 1 rows and their classes "
                             "(N,) or labels (N, L)")
        if not np.isfinite(rows_ND).all():
            raise ValueError("a feature is not finite")
        rows = torch.from_numpy(np.ascontiguousarray(rows_ND))
        mean_D = rows.mean(dim=0, dtype=torch.float64)
        rows = rows - mean_D.to(rows.dtype)
        if len(rows) < rows.shape[1]:
            _, singular_R, right_RD = torch.linalg.svd(rows, full_matrices=False)
            rotation_DR, variance_R = right_RD.T, singular_R.square() / len(rows)
        else:
            variance_R, rotation_DR = torch.linalg.eigh((rows.T @ rows).double() / len(rows))
        rotation_DR = rotation_DR.to(rows.dtype)
        target = torch.from_numpy(targets.astype(np.int64) if softmax else targets.astype(rows_ND.dtype))
        count = int(target.max()) + 1 if softmax and classes is None else classes or targets.shape[1]
        if softmax and not 0 <= int(target.min()) <= int(target.max()) < count:
            raise ValueError(f"classes run from {int(target.min())} to {int(target.max())}: there are {count}")
        floor = FLAT * float(variance_R.max()) + torch.finfo(torch.float64).tiny
        return cls(rows @ rotation_DR, target, count, rotation_DR, mean_D, variance_R.double().clamp_min(floor))

    def solve(self, strength: float, start: LinearProbe | None) -> LinearProbe:
        """The optimum for one strength."""
        size, width = self.axes_NR.shape
        penalty = 1 / (strength * size)
        point_CE = torch.zeros(self.classes, width + 1, dtype=torch.float64)  # weights along the axes, then the bias
        if start is not None:
            weights_CD = torch.from_numpy(start.weights_CD)
            point_CE[:, :width] = weights_CD @ self.rotation_DR.double()
            point_CE[:, width] = torch.from_numpy(start.bias_C) + weights_CD @ self.mean_D
        curvature_C = self._curvature(point_CE)
        scale_CE = 1 / (curvature_C[:, None] * F.pad(self.variance_R, (0, 1), value=1.0)
                        + F.pad(torch.full((width,), penalty, dtype=torch.float64), (0, 1))).sqrt()
        gradient = np.empty(0)

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal gradient
            point_CE = torch.from_numpy(flat).view_as(scale_CE) * scale_CE
            loss, gradient_CE = self._loss(point_CE)
            weights_CR = point_CE[:, :width]
            gradient_CE[:, :width] += penalty * weights_CR
            gradient = (gradient_CE * scale_CE).flatten().numpy()
            return loss + penalty / 2 * float(weights_CR.square().sum()), gradient

        def end_when_near(point: np.ndarray) -> None:
            if np.square(gradient).sum() / 2 < PRECISION:  # of a Newton step, as the curvature here is about 1
                raise StopIteration

        found = minimize(objective, (point_CE / scale_CE).flatten().numpy(), jac=True, method="L-BFGS-B",
                         callback=end_when_near, options={"maxcor": REMEMBERED, "maxiter": ITERATIONS,
                                                          "maxfun": 2 * ITERATIONS, "ftol": NOISE, "gtol": 0.0})
        point_CE = torch.from_numpy(found.x).view_as(scale_CE) * scale_CE
        weights_CD = point_CE[:, :width] @ self.rotation_DR.double().T
        bias_C = point_CE[:, width] - weights_CD @ self.mean_D
        return LinearProbe(weights_CD.numpy(), bias_C.numpy(), strength, float(found.fun), int(found.nit),
                           self.targets.ndim == 1)

    def _logits(self, point_CE: Tensor) -> Tensor:
        point_CE = point_CE.to(self.axes_NR.dtype)
        return F.linear(self.axes_NR, point_CE[:, :-1].contiguous(), point_CE[:, -1])  # contiguous: twice as fast

    def _curvature(self, point_CE: Tensor) -> Tensor:
        """The mean of p(1 − p) of each class, (C,)."""
        logits_NC = self._logits(point_CE)
        probability_NC = logits_NC.softmax(dim=1) if self.targets.ndim == 1 else logits_NC.sigmoid()
        return (probability_NC * (1 - probability_NC)).mean(dim=0, dtype=torch.float64).clamp_min(1e-6)

    def _loss(self, point_CE: Tensor) -> tuple[float, Tensor]:
        """The mean over rows of the loss (summed over labels), and its gradient (C, E), float64."""
        logits_NC = self._logits(point_CE)
        size = len(logits_NC)
        if self.targets.ndim == 1:
            log_NC = logits_NC.log_softmax(dim=1)
            loss = -float(log_NC.gather(1, self.targets[:, None]).sum(dtype=torch.float64)) / size
            errors_NC = log_NC.exp_()
            errors_NC.scatter_add_(1, self.targets[:, None], -torch.ones_like(errors_NC[:, :1]))
        else:
            loss = float(F.binary_cross_entropy_with_logits(
                logits_NC, self.targets, reduction="none").sum(dtype=torch.float64)) / size
            errors_NC = logits_NC.sigmoid_().sub_(self.targets)
        weights_CR, bias_C = errors_NC.T @ self.axes_NR, errors_NC.sum(dim=0, dtype=torch.float64)
        return loss, torch.cat([weights_CR.double(), bias_C[:, None]], dim=1) / size
