"""What a curation leaves for people: a table of all queries, and a page about head and tail."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vector_universe.data.curation.config import CurationConfig
from vector_universe.data.curation.shards import Columns
from vector_universe.folders import replace_text
from vector_universe.page import SERIES, WARNING, blank_plot, html_page, plot_style, svg_of

if TYPE_CHECKING:
    from vector_universe.data.curation.run import Curation

REPORT, TABLE = "report.html", "queries.csv"
HEAD_SHARE = 0.01  # of the queries are the head, in the sentence about it
SHOWN = 25  # queries in each table of the page
_STYLE = "td, th { text-align: right; width: auto; } td:first-child, th:first-child { text-align: left; }"


@dataclass(frozen=True)
class QueryTable:
    """One row a query.

    Attributes:
        queries: their texts.
        matches: pairs that match.
        kept: kept pairs that match, whichever query they are charged to.
        charged: kept pairs that are charged to this query, never above the cap.
    """

    queries: Sequence[str]
    matches: np.ndarray
    kept: np.ndarray
    charged: np.ndarray


def write_report(out: Path, table: QueryTable, result: Curation, columns: Columns, config: CurationConfig) -> None:
    """queries.csv, report.html and README.md in the folder `out`."""
    order = np.lexsort((np.arange(len(table.queries)), -table.matches))
    _write_table(out / TABLE, table, order)
    replace_text(out / REPORT, _page(table, order, result, config))
    replace_text(out / "README.md", _readme(result, columns, config))


def verdict(table: QueryTable, result: Curation) -> list[str]:
    """What people want to know first, in sentences."""
    if not result.kept:
        return [f"Nothing is kept: none of {result.rows:,} texts matches any of {result.queries:,} queries."]
    tails = int(((table.matches <= result.cap) & (table.matches > 0)).sum())
    unmatched = int((table.matches == 0).sum())
    sentences = [
        f"{result.kept:,} of {result.rows:,} pairs are kept ({_percent(result.kept, result.rows)}); "
        f"{result.matched:,} match a query ({_percent(result.matched, result.rows)}).",
        f"{result.full:,} of {result.queries:,} queries reached the cap of {result.cap:,} and gave pairs away; "
        f"{tails:,} have no more matches than the cap and keep every one"
        + (f"; {unmatched:,} match nothing." if unmatched else ".")]
    head = np.argsort(-table.matches, kind="stable")[:max(1, round(HEAD_SHARE * len(table.queries)))]
    before, after, own = (_percent(values[head].sum(), values.sum())
                          for values in (table.matches, table.kept, table.charged))
    sentences.append(f"The {len(head):,} most frequent queries ({HEAD_SHARE:.0%}) had {before} of all matches before, "
                     f"{after} after; {own} of the kept pairs are charged to them.")
    if result.duplicates:
        sentences.append(f"{result.duplicates:,} matching rows were left out because another row has their id.")
    return sentences


def _page(table: QueryTable, order: np.ndarray, result: Curation, config: CurationConfig) -> str:
    lost = table.matches - table.kept
    most_cut = order[np.argsort(-lost[order], kind="stable")]
    tail = [number for number in order[::-1] if table.matches[number]]
    parts = ["<h1>Curation</h1>", *(f'<p class="verdict">{escape(text)}</p>' for text in verdict(table, result)),
             f"<figure>{_plot(table, order, result.cap)}</figure>" if result.kept else "",
             "<p>Matches: pairs that match the query. Kept: those of them that are in the result. Charged: those that "
             "this query brought in, at most the cap; each kept pair is charged to one query, the one with the fewest "
             "matches that had room.</p>"]
    for title, numbers in (("Head: most matches", order[:SHOWN]),
                           ("Cut most", [number for number in most_cut[:SHOWN] if lost[number]]),
                           ("Tail: fewest matches", tail[:SHOWN])):
        rows = "".join(f"<tr><td>{escape(table.queries[n])}<td>{table.matches[n]:,}<td>{table.kept[n]:,}"
                       f"<td>{table.charged[n]:,}" for n in numbers)
        parts.append(f"<h2>{title}</h2><table><tr><th>query<th>matches<th>kept<th>charged{rows}</table>")
    parts.append(f"<p class=\"quiet\">Matching {'inside words too' if config.substring else 'of whole words'}, seed "
                 f"{config.seed}. All queries are in {TABLE}.</p>")
    return html_page("Curation", "\n".join(parts), _STYLE)


def _plot(table: QueryTable, order: np.ndarray, cap: int) -> str:
    from matplotlib import rc_context
    places = np.unique(np.geomspace(1, len(order), 400).astype(int)) - 1  # a log axis shows no more
    with rc_context(plot_style("curation")):
        figure, axes = blank_plot(8, 4.2)
        for label, values, colour, line in (("matches", table.matches, SERIES[2], "-"),
                                            ("kept", table.kept, SERIES[0], "-"),
                                            ("charged", table.charged, SERIES[1], "none")):
            axes.plot(places + 1, np.where(values[order[places]] > 0, values[order[places]], np.nan),
                      linestyle=line, label=label, color=colour, linewidth=1.6, markersize=3,
                      marker="." if line == "none" or len(order) < 50 else "")
        axes.axhline(cap, color=WARNING, linewidth=0.9, linestyle="--", label=f"cap {cap:,}")
        axes.set(xscale="log", yscale="log", xlabel="queries, by matches", ylabel="pairs")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:,.0f}")
        axes.grid()
        axes.legend()
        return svg_of(figure)


def _write_table(path: Path, table: QueryTable, order: np.ndarray) -> None:
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("query", "matches", "kept", "charged"))
        for number in order.tolist():
            writer.writerow((table.queries[number], int(table.matches[number]), int(table.kept[number]),
                             int(table.charged[number])))
    os.replace(partial, path)


def _readme(result: Curation, columns: Columns, config: CurationConfig) -> str:
    identity = f"the column `{columns.id}`" if columns.id else (
        f"the column `{columns.image}` and the texts" if columns.image else "the texts")
    return f"""# A curated set of pairs

{result.summary()}.

- `kept/*.parquet`: the kept rows with all their columns, and `query`, the query that each pair is charged to
- `queries.csv`: of every query its matches, kept pairs that match it, and pairs charged to it (at most {result.cap:,})
- `queries.txt`: the list of queries, one a line; edit it and give it to `vu data curate --queries`
- `report.html`: head and tail, with a plot

Texts: {", ".join(f"`{name}`" for name in columns.texts)}; a pair is known by {identity}. Cap {config.cap:,}, seed \
{config.seed}, {"matching inside words" if config.substring else "whole words"}.
"""


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / max(whole, 1):.3g} %"
