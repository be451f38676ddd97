"""Plots of labels: how many images each has, and which stand together."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

from vector_universe.page import SERIES, blank_plot, plot_style, svg_of

MOST_BARS = 30
LONGEST_NAME = 24  # letters


def bars(title: str, counts: Mapping[str, int]) -> str:
    """A horizontal bar for each of the first 30 names, as an `<svg>` element."""
    import matplotlib

    names, values = list(counts)[:MOST_BARS], list(counts.values())[:MOST_BARS]
    with matplotlib.rc_context(plot_style(title)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that the measuring font lacks; the page's own has them
        figure, axes = blank_plot(6.2, 0.6 + 0.24 * len(names))
        drawn = axes.barh(range(len(names)), values, color=SERIES[0], height=0.7)
        axes.bar_label(drawn, [f"{value:,}" for value in values], padding=3, fontsize=9)
        axes.set_yticks(range(len(names)), [_short(name) for name in names])
        axes.invert_yaxis()
        axes.set_xticks([])
        axes.margins(x=0.12, y=0.01)
        axes.spines["bottom"].set_visible(False)
        return svg_of(figure)


def heat_map(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """How often labels stand together, as a `<table>`: the share of a row's images that have the column's label too.

    A table rather than a picture: its figures can be read, searched and copied.
    """
    from html import escape

    head = "".join(f'<th scope="col" title="{escape(label)}"><span>{escape(_short(label))}</span></th>'
                   for label in labels)
    rows = []
    for number, (label, row) in enumerate(zip(labels, counts, strict=True)):
        cells = "".join(_cell(count, row[number], column == number) for column, count in enumerate(row))
        rows.append(f'<tr><th scope="row">{escape(_short(label))}</th>{cells}</tr>')
    return f'<table class="heat"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _cell(count: int, of: int, diagonal: bool) -> str:
    share = count / of if of else 0.0
    if diagonal or not count:
        return f'<td class="quiet">{"·" if diagonal else ""}</td>'
    return f'<td style="--share: {100 * share:.0f}%" title="{count:,} images">{100 * share:.0f}</td>'


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME - 1] + "…"
