"""The comparison as one page that needs nothing but a browser: `comparison.html`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import combinations

from vector_universe.page import html_page
from vector_universe.training.comparison.config import NAMES, OWN, TRIAL_SHARE, Objective
from vector_universe.training.comparison.efficiency import factor
from vector_universe.training.comparison.figure import draw
from vector_universe.training.comparison.report import with_range
from vector_universe.training.comparison.results import Results, spread
from vector_universe.training.comparison.verdict import FIGURES, capitalised, judge, verdict
from vector_universe.training.config import TrainConfig

STYLE = """
figure.large { margin-top: 1.75rem; } figure.large figcaption { min-height: 0; }
table.figures { width: auto; max-width: none; } .figures th { width: auto; white-space: nowrap; }
.figures td { white-space: nowrap; } .figures thead th { vertical-align: bottom; }
"""
ASKED = {
    "name_top_1": "Share of test pictures whose own text is the likeliest of all their texts.",
    "name_top_10": "Share of test pictures whose own text is among the ten likeliest of all their texts.",
    "label_top_1": "Share of test pictures whose likeliest label is one of their own.",
    "label_macro_map": "Mean over the labels of the average precision with which each ranks all test pictures."}


def comparison_page(results: Results, shared: TrainConfig) -> str:
    """The whole page: verdict, figures, factors, ends, learning rates, how it was measured."""
    first, *others = verdict(results)
    main, *further = results.figure_names
    small = "\n".join(_figure(results, name, large=False) for name in further)
    return html_page(f"{results.summary.split(':')[0]}: objectives compared", f"""
<h1>Objectives compared at equal pictures seen</h1>
<p class="quiet">{escape(results.summary)}</p>
<p class="verdict"><b>{escape(first)}</b> {escape(" ".join(others))}</p>
{_figure(results, main, large=True)}
<div class="plots">
{small}
</div>
<h2>Times fewer pictures, {escape(FIGURES[main])}</h2>
<p class="quiet">How many times fewer pictures the objective of a row needs for what that of a column reaches at its
end{", in brackets from the least to the most of the seeds" if results.seeds > 1 else ""}. A dash: it does not get
there, or there is nothing above chance to get to. A question mark: who ends higher cannot be told.</p>
{_factors(results, main)}
<h2>At the end, after {results.images:,} pictures</h2>
{_ends(results)}
<h2>Who ends higher, {escape(FIGURES[main])}</h2>
{_pairs(results, main)}
<h2>Learning rates</h2>
<p class="quiet">{escape(_how_chosen(results))}</p>
{_rates(results)}
<h2>How it was measured</h2>
<ul>
{_notes(results)}
</ul>
<h2>Settings of all runs</h2>
<table>
{_settings(shared)}
</table>""", STYLE)


def _figure(results: Results, name: str, large: bool) -> str:
    drawing = draw(results, name, large)
    band = f" Lines are means over {results.seeds} seeds, bands go from the lowest to the highest." if large and (
        results.seeds > 1) else ""
    return (f'<figure{" class=large" if large else ""} role="group" aria-label="{escape(FIGURES[name])}"><figcaption>'
            f"<b>{escape(capitalised(FIGURES[name]))}</b>{ASKED[name]}{band}</figcaption>\n{drawing}</figure>")


def _factors(results: Results, name: str) -> str:
    def cell(row: Objective, column: Objective) -> str:
        if row == column:
            return ""
        found = str(factor(results, row, column, name))
        return found if found == "–" or judge(results, row, column, name).said != "cannot tell" else f"{found} ?"

    rows = [[NAMES[row], *(cell(row, column) for column in results.objectives)] for row in results.objectives]
    return _table(["needs fewer than →", *(NAMES[column] for column in results.objectives)], rows)


def _pairs(results: Results, name: str) -> str:
    rows = []
    for one, other in combinations(results.objectives, 2):
        pair = judge(results, one, other, name)
        mean, low, high = spread(pair.by_seed)
        interval = f"{pair.paired.low:+.3f} to {pair.paired.high:+.3f}" if pair.paired is not None else "–"
        said = {"higher": NAMES[one], "lower": NAMES[other], "cannot tell": "cannot tell"}[pair.said]
        rows.append([f"{NAMES[one]} − {NAMES[other]}", f"{mean:+.3f}", interval, f"{low:+.3f} to {high:+.3f}", said])
    return _table(["pair", "difference", "95 % over test pictures", "over seeds", "higher"], rows)


def _ends(results: Results) -> str:
    def row(objective: Objective) -> list[str]:
        ends = [spread(results.values(objective, name)[:, -1]) for name in results.figure_names]
        seconds = spread([run.seconds for run in results.runs[objective]])[0]
        return [NAMES[objective], *(with_range(*end, results.seeds) for end in ends), f"{seconds:,.0f}"]

    chances = [f"{results.any_run.chances[name]:.3f}" for name in results.figure_names]
    return _table(["objective", *(FIGURES[name] for name in results.figure_names), "seconds of training"],
                  [*map(row, results.objectives), ["chance", *chances, ""]])


def _rates(results: Results) -> str:
    tried = sorted({rate for found in results.rates.values() for rate in found.tried})
    if not tried:
        return _table(["objective", "learning rate"], [[NAMES[name], f"{results.rates[name].value:g}"]
                                                       for name in results.objectives])
    return _table(["objective", *(f"{rate:g}" for rate in tried), "taken"],
                  [[NAMES[name], *(f"{results.rates[name].tried[rate]:.3f}" for rate in tried),
                    f"{results.rates[name].value:g}"] for name in results.objectives])


def _how_chosen(results: Results) -> str:
    if not any(found.tried for found in results.rates.values()):
        return "Every objective took the same rate; none was tried."
    text = (f"Tried with seed 0 on 1/{TRIAL_SHARE} of the pictures: {FIGURES[results.main]} on the validation "
            "pictures, which no run is judged by.")
    if edge := [NAMES[name] for name in results.objectives if results.rates[name].at_edge]:
        text += (f" The best rate of {', '.join(edge)} is the smallest or the largest tried: a better one may lie "
                 "beyond (--learning-rates).")
    return text


def _notes(results: Results) -> str:
    notes = [
        "The image tower, the pictures, their texts, their order and their views are the same for every objective of "
        "one seed; what differs is what is asked of the texts. Only contrastive objectives leave out words at random. "
        "Equal pictures are not equal time: see the seconds.",
        "The learning rate rises in the first tenth and then stays, as the middle of a cosine is not its end.",
        "A contrastive model scores a text by the cosine. The others score it by how much likelier the picture makes "
        "it: log p(text | picture) − log p(text).",
        "A tie counts against the model.",
        "An objective is called higher only where all seeds agree and the paired 95 % interval over the test pictures "
        "leaves out 0.",
        "A curve counts as having reached a level from where it stays there; between two looks it is read off by the "
        "logarithm.",
        *results.remarks]
    return "\n".join(f"<li>{escape(note)}</li>" for note in notes)


def _settings(shared: TrainConfig) -> str:
    changed = {name: value for name, value in vars(shared).items()
               if name not in OWN and value != getattr(TrainConfig, name)}
    return "\n".join(f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(str(value))}</td></tr>"
                     for name, value in changed.items()) or "<tr><th>all</th><td>as vu train has them</td></tr>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "\n".join("<tr>" + f"<th>{escape(row[0])}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
                     + "</tr>" for row in rows)
    return (f'<div class="scroll"><table class="figures"><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table>'
            "</div>")
