"""What is shown of a shift: figures with and without it, the drop, and the effective robustness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vector_universe.evaluation.bootstrap import LEVEL, Difference, Sample, difference, paired_draws
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.judging import ZERO_SHOT
from vector_universe.evaluation.robustness import Line, drop_between, effective_robustness, fit_line
from vector_universe.evaluation.section import Curve, Figure, Plot


def shift_figures(before: dict[str, Sample], after: dict[str, Sample], name: str, config: EvaluateConfig,
                  chances: tuple[Mapping[str, float], Mapping[str, float]]) -> list[Figure]:
    """Each metric without the shift, with it, and how far it fell.

    Where all units of one are units of the other (the same pictures, the same texts), the drop is a paired one.

    Args:
        before, after: samples by metric; only those of both are compared.
        name: of the shift.
        config: draws and seed.
        chances: what a random guess reaches before and after, by metric.
    """
    figures = []
    for metric in (metric for metric in before if metric in after):
        one, other = before[metric], after[metric]
        is_key = metric == ZERO_SHOT or ZERO_SHOT not in before
        for test, sample, chance, key in ((f"before {name}", one, chances[0].get(metric), False),
                                          (name, other, chances[1].get(metric), is_key)):
            figures.append(Figure.mean(test, metric, sample, chance=chance, key=key, draws=config.draws,
                                       seed=config.seed))
        fall = drop(one, other, config)
        figures.append(Figure(name, f"{metric}, drop", fall.value, fall.low, fall.high, count=fall.units,
                              better="lower"))
    return figures


def drop(before: Sample, after: Sample, config: EvaluateConfig) -> Difference:
    """before − after, of the same units where there are as many on both sides."""
    if set(before.units) == set(after.units):
        found = difference(after, before, config.draws, config.seed)
        if found is not None:
            return found
    return drop_between(before, after, config.draws, config.seed)


def joint_draws(one: Sample, other: Sample, config: EvaluateConfig) -> tuple[np.ndarray, np.ndarray]:
    """Both figures for drawn units, (draws,) each: the same units for both where they have the same."""
    if set(one.units) != set(other.units):
        return one.draws(config.draws, config.seed), other.draws(config.draws, config.seed + 1)
    drawn_R2 = paired_draws(one, other, config.draws, config.seed)
    return drawn_R2[:, 0], drawn_R2[:, 1]


def robustness_parts(before: dict[str, Sample], after: dict[str, Sample], baselines_in: Sequence[float],
                     baselines_after: Sequence[float], name: str, config: EvaluateConfig,
                     ) -> tuple[list[Figure], list[Plot], list[str]]:
    """Effective robustness of zero-shot classification over linear probes of few to all images, its plot, remarks.

    The interval draws pictures again and holds the line.
    """
    if ZERO_SHOT not in before or ZERO_SHOT not in after:
        return [], [], []
    one, other = before[ZERO_SHOT], after[ZERO_SHOT]
    images = min(len(one.units), len(other.units))
    line = fit_line(baselines_in, baselines_after, images)
    ones_R, others_R = joint_draws(one, other, config)
    values_R = others_R - (line(ones_R, 0.5 / images) if line.fitted else ones_R)
    low, high = np.quantile(values_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    figure = Figure(name, "effective robustness of zero-shot", effective_robustness(one.mean, other.mean, line),
                    float(low), float(high), count=images)
    remarks = [] if line.fitted else [
        f"{name}: fewer than two linear probes differ in accuracy, so effective robustness is measured against y = x."]
    return [figure], [_plot(one.mean, other.mean, baselines_in, baselines_after, line, name)], remarks


def _plot(accuracy: float, shifted: float, baselines_in: Sequence[float], baselines_after: Sequence[float], line: Line,
          name: str) -> Plot:
    everything = [accuracy, *baselines_in]
    x_K = np.linspace(max(0.01, min(everything) - 0.05), min(0.99, max(everything) + 0.05), 40)
    y_K = line(x_K) if line.fitted else x_K
    curves = [Curve("linear probes, few to all images a class", tuple(baselines_in), tuple(baselines_after),
                    style="points"),
              Curve("their line, in logits" if line.fitted else "y = x", tuple(map(float, x_K)),
                    tuple(map(float, y_K)), style="dashed"),
              Curve("zero-shot", (accuracy,), (shifted,), style="points")]
    return Plot(f"Effective robustness: {name}", "Above the dashed line, less is lost than a probe of equal accuracy "
                "loses (Taori et al. 2020).", "top-1 without the shift", "top-1 with it", tuple(curves), diagonal=True)
