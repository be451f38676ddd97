"""The efficiency figure: a share against pictures seen, on a log axis; a line an objective, seeds as a band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vector_universe.page import INK, SERIES, blank_plot, plot_style, svg_of
from vector_universe.training.comparison.config import NAMES, Objective
from vector_universe.training.comparison.results import Results
from vector_universe.training.comparison.verdict import FIGURES

COLOURS: dict[Objective, str] = {  # by objective, whichever are drawn
    "info_nce": SERIES[0], "bag_of_words": SERIES[1], "ngram": SERIES[2], "captioner": SERIES[3], "sigmoid": SERIES[4]}
MARKERS: dict[Objective, str] = {"info_nce": "o", "bag_of_words": "s", "ngram": "^", "captioner": "D", "sigmoid": "v"}
LINE_HEIGHT = 0.055  # of the axes: labels at the ends of lines stand at least so far apart


def draw(results: Results, figure: str, large: bool) -> str:
    """One plot as an `<svg>` element.

    Args:
        results: the runs.
        figure: which share is drawn.
        large: the plot fills the width of the page.
    """
    import matplotlib
    from matplotlib.ticker import NullFormatter
    images_P = results.any_run.images_P
    with matplotlib.rc_context(plot_style(figure)):
        drawing, axes = blank_plot(*((9.4, 4.6) if large else (6.2, 3.7)))
        axes.grid(True, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.set_xscale("log")
        chance = results.any_run.chances[figure]
        axes.axhline(chance, color=INK, linestyle=(0, (4, 3)), linewidth=1)
        ends = [(chance, "chance", INK)]
        for objective in reversed(results.objectives):  # the first lies on top
            values_SP, colour = results.values(objective, figure), COLOURS[objective]
            mean_P = values_SP.mean(axis=0)
            if results.seeds > 1:
                axes.fill_between(images_P, values_SP.min(axis=0), values_SP.max(axis=0), color=colour, alpha=0.18,
                                  linewidth=0)
            axes.plot(images_P, mean_P, color=colour, linewidth=2, marker=MARKERS[objective], markersize=4.5)
            ends.append((float(mean_P[-1]), NAMES[objective], colour))
        axes.set_ylim(bottom=0)
        axes.set_xlim(images_P[0] * 0.9, images_P[-1] * 1.05)
        low, high = axes.get_ylim()
        for height, (_, label, colour) in zip(_apart([(value - low) / (high - low) for value, _, _ in ends]), ends,
                                              strict=True):
            axes.annotate(label, (1.01, height), xycoords="axes fraction", va="center", color=colour,
                          fontsize=10 if large else 9, annotation_clip=False)
        axes.set_xticks(_ticks(float(images_P[0]), float(images_P[-1])))
        axes.xaxis.set_major_formatter(lambda value, _place: f"{value:,.0f}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(lambda value, _place: f"{value:g}")
        axes.set_xlabel("pictures seen (log axis)")
        axes.set_ylabel(FIGURES[figure])
        return svg_of(drawing)


def _apart(heights: Sequence[float]) -> list[float]:
    """Heights moved as little as needed for a line of text each: crowds are spread about their middle."""
    order = np.argsort(heights, kind="stable")
    groups: list[list[int]] = []
    for place in order:
        groups.append([int(place)])
        while len(groups) > 1 and _bottom(groups[-1], heights) < _top(groups[-2], heights):
            groups[-2:] = [groups[-2] + groups[-1]]
    placed = [0.0] * len(heights)
    for group in groups:
        for number, place in enumerate(group):
            placed[place] = _bottom(group, heights) + (number + 0.5) * LINE_HEIGHT
    return placed


def _bottom(group: Sequence[int], heights: Sequence[float]) -> float:
    return float(np.mean([heights[place] for place in group])) - len(group) * LINE_HEIGHT / 2


def _top(group: Sequence[int], heights: Sequence[float]) -> float:
    return _bottom(group, heights) + len(group) * LINE_HEIGHT


def _ticks(first: float, last: float) -> list[float]:
    """1, 2 and 5 of every power of ten between the ends."""
    powers = range(int(np.floor(np.log10(first))), int(np.ceil(np.log10(last))) + 1)
    return [digit * 10.0**power for power in powers for digit in (1, 2, 5) if first * 0.9 <= digit * 10**power <= last]
