"""Plots of a report: the curves of all models under one title in one picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from html import escape

from vector_universe.evaluation.section import Curve, Plot
from vector_universe.page import GRID, INK, SERIES, blank_plot, plot_style, svg_of

DASHES = (0, (5, 3))


def figure_of(plots: Sequence[tuple[str, Plot]]) -> str:
    """An HTML `<figure>` of plots with one title.

    Args:
        plots: (name of the model, its plot); of a single model the name is not shown.
    """
    first = plots[0][1]
    several = len(plots) > 1
    curves = [(f"{model}: {curve.name}" if several and curve.name else model if several else curve.name, curve)
              for model, plot in plots for curve in plot.curves]
    return (f"<figure><figcaption><b>{escape(first.title)}</b>{escape(first.caption)}</figcaption>"
            f"{draw(first, curves)}</figure>")


def draw(plot: Plot, curves: Sequence[tuple[str, Curve]]) -> str:
    """The `<svg>` element of named curves on the axes of a plot."""
    import matplotlib
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    with matplotlib.rc_context(plot_style(plot.title)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the measuring font lacks; the page's own has them
        figure, axes = blank_plot(6.2, 3.7)
        axes.grid(True, linewidth=0.7)
        axes.set_axisbelow(True)
        if plot.diagonal:
            axes.plot([0, 1], [0, 1], color=GRID, linewidth=1.5)
        colours = _colours(curves)
        for (name, curve), colour in zip(curves, colours, strict=True):
            _draw_curve(axes, name, curve, colour)
        if plot.x_log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
        elif all(float(x).is_integer() for _, curve in curves for x in curve.x):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        if plot.y_log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlabel(plot.x_label)
        axes.set_ylabel(plot.y_label)
        if any(name for name, _ in curves) and len(curves) > 1:
            axes.legend(fontsize=8.5, loc="best", ncols=2 if len(curves) > 6 else 1)
        return svg_of(figure)


def _colours(curves: Sequence[tuple[str, Curve]]) -> list[str]:
    """A colour for each; what is dashed is a line to compare with, in the colour of ink where it is alone."""
    plain = [place for place, (_, curve) in enumerate(curves) if curve.style != "dashed"]
    colours = [INK] * len(curves)
    for number, place in enumerate(plain):
        colours[place] = SERIES[number % len(SERIES)]
    return colours


def _draw_curve(axes, name: str, curve: Curve, colour: str) -> None:  # type: ignore[no-untyped-def]
    if curve.style == "points":
        if curve.low and curve.high:
            axes.vlines(curve.x, curve.low, curve.high, color=colour, linewidth=1.2)
        axes.plot(curve.x, curve.y, "o", color=colour, markersize=5, label=name)
        return
    if curve.low and curve.high:
        axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    dashed = curve.style == "dashed"
    axes.plot(curve.x, curve.y, color=colour, linewidth=1.2 if dashed else 1.8, label=name,
              linestyle=DASHES if dashed else "-", marker="o" if not dashed and len(curve.x) <= 12 else None,
              markersize=4)
