"""Plots as SVG that stands inside a page, with the page's own colours and font."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vector_universe.page import INK, RECOVERED, SERIES, WARNING, blank_plot, plot_style, svg_of

MOST_POINTS = 1000  # of a curve: a screen is not wider
SMOOTH_ABOVE = 100  # points: from here on a curve that jumps from batch to batch gets its running mean
SMOOTHED_SHARE = 0.02  # of the points are in one mean


@dataclass(frozen=True)
class Curve:
    """A line of a plot.

    Attributes:
        label: for the legend.
        steps, values: its points.
        noisy: draw a running mean over it, where it is long.
        dashed: a line to compare with, such as chance.
        dots: mark each point, where they are few.
    """

    label: str
    steps: Sequence[float]
    values: Sequence[float]
    noisy: bool = False
    dashed: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Mark:
    """A vertical line with a number, which a list beside the plot explains."""

    step: int
    number: int
    recovered: bool


def draw(title: str, curves: Sequence[Curve], marks: Sequence[Mark] = (), zero: bool = False,
         last_step: int | None = None) -> str:
    """One plot of several curves over the steps, as an `<svg>` element.

    Args:
        title: tells the SVG's parts from those of other plots on a page.
        curves: what to draw, the important one first.
        marks: vertical lines.
        zero: let the vertical axis begin at 0, unless a value is negative.
        last_step: where the horizontal axis ends, as in other plots of the run; by itself at the last point.
    """
    import matplotlib
    from matplotlib.ticker import MaxNLocator
    with matplotlib.rc_context(plot_style(title)):
        figure, axes = blank_plot(6.2, 3.0)
        axes.grid(axis="y", linewidth=0.8)
        solid = 0
        for place, curve in enumerate(curves):
            if curve.dashed:
                axes.plot(curve.steps, curve.values, color=INK, linestyle=(0, (4, 3)), linewidth=1, label=curve.label)
                continue
            _plot(axes, curve, SERIES[solid % len(SERIES)], place)
            solid += 1
        for mark in marks:
            colour = RECOVERED if mark.recovered else WARNING
            axes.axvline(mark.step, color=colour, linewidth=1.2, linestyle=":")
            axes.annotate(str(mark.number), (mark.step, 1), xycoords=("data", "axes fraction"), xytext=(2, 1),
                          textcoords="offset points", color=colour, fontsize=9, annotation_clip=False)
        if zero and all(value >= 0 for curve in curves for value in curve.values):
            axes.set_ylim(bottom=0)
        if last_step:
            axes.set_xlim(-0.02 * last_step, 1.02 * last_step)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
        axes.xaxis.set_major_formatter(lambda step, _place: f"{step:,.0f}")
        axes.yaxis.set_major_formatter(lambda value, _place: f"{value:g}")
        if len(curves) > 1:
            figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=9,
                          handlelength=1.6, columnspacing=1.2)
        return svg_of(figure)


def thinned(steps: Sequence[float], values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """At most `MOST_POINTS` points: of each stretch its lowest and its highest, so that no spike is lost."""
    x, y = np.asarray(steps, float), np.asarray(values, float)
    if len(x) <= MOST_POINTS:
        return x, y
    stretches = np.array_split(np.arange(len(x)), MOST_POINTS // 2 - 1)
    kept = sorted({0, len(x) - 1} | {int(stretch[pick(y[stretch])]) for stretch in stretches
                                     for pick in (np.argmin, np.argmax)})
    return x[kept], y[kept]


def running_mean(values: Sequence[float], width: int) -> np.ndarray:
    """The mean over `width` points about each; fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(values, float))])
    places = np.arange(len(values))
    low, high = np.maximum(places - width // 2, 0), np.minimum(places + width // 2 + 1, len(values))
    return (sums[high] - sums[low]) / (high - low)


def _plot(axes: Any, curve: Curve, colour: str, place: int) -> None:
    first = place == 0
    width = 2.0 if first else 1.4
    marker = "o" if (curve.dots and len(curve.steps) <= 40) or len(curve.steps) == 1 else None
    order = 3 - place / 100  # the first curve lies on top
    if curve.noisy and len(curve.steps) > SMOOTH_ABOVE:
        axes.plot(*thinned(curve.steps, curve.values), color=colour, linewidth=0.8, alpha=0.3, zorder=order - 1)
        values = running_mean(curve.values, round(SMOOTHED_SHARE * len(curve.values)))
    else:
        values = np.asarray(curve.values, float)
    axes.plot(*thinned(curve.steps, values.tolist()), color=colour, linewidth=width, marker=marker, markersize=3.5,
              label=curve.label, zorder=order)
