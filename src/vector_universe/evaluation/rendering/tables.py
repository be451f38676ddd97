"""Tables of a report: figures with their intervals drawn, and whatever rows a section has."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from vector_universe.evaluation.report import Comparison, Measured
from vector_universe.evaluation.section import Figure, Section, Table
from vector_universe.evaluation.verdict import bounds, number, points

LONGEST_CELL = 60


def key_table(models: Sequence[Measured], comparisons: Sequence[Comparison]) -> str:
    """The figures that the verdict speaks of."""
    names = list(dict.fromkeys(section.name for measured in models for section, figure in measured.figures()
                               if figure.key))
    rows = [row for name in names
            for row in _rows(models, [c for c in comparisons if c.section == name], name, only_key=True)]
    return _figure_table(models, rows) if rows else ""


def section_figures(models: Sequence[Measured], comparisons: Sequence[Comparison], name: str) -> str:
    """All figures of a section: those of the tests that matter first, the others folded away."""
    section = next(measured.sections[name] for measured in models if name in measured.sections)
    important = {figure.test for figure in section.figures if figure.key}
    rows = _rows(models, [comparison for comparison in comparisons if comparison.section == name], name)
    shown = [row for row in rows if not important or row[0].test in important]
    folded = [row for row in rows if row not in shown]
    more = (f"<details><summary>{len(folded)} figures of other tests</summary>{_figure_table(models, folded)}</details>"
            if folded else "")
    return (_figure_table(models, shown) if shown else "") + more


def plain_table(table: Table) -> str:
    """Rows as they are; of a confusion the share of each row as colour."""
    head = "".join(f'<th scope="col">{_rotated(column) if table.heat and place else escape(column)}</th>'
                   for place, column in enumerate(table.columns))
    body = "\n".join(_heat_row(row) if table.heat else _row(row) for row in table.rows)
    note = f'<p class="quiet">{escape(table.note)}</p>' if table.note else ""
    kind = "heat" if table.heat else "plain"
    return (f'<h3>{escape(table.title)}</h3><div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>{note}")


Row = tuple[Figure, tuple[Figure | None, ...], tuple[Comparison, ...]]  # any of them, one a model, differences


def _rows(models: Sequence[Measured], comparisons: Sequence[Comparison], name: str,
          only_key: bool = False) -> list[Row]:
    named: dict[tuple[str, str], Figure] = {}
    own: list[dict[tuple[str, str], Figure]] = []
    for measured in models:
        section: Section | None = measured.sections.get(name)
        figures = {} if section is None else {(figure.test, figure.metric): figure for figure in section.figures
                                              if figure.key or not only_key}
        own.append(figures)
        named |= {key: figure for key, figure in figures.items() if key not in named}
    return [(figure, tuple(figures.get(key) for figures in own),
             tuple(found for found in comparisons if (found.test, found.metric) == key))
            for key, figure in named.items()]


def _figure_table(models: Sequence[Measured], rows: Sequence[Row]) -> str:
    several = len(models) > 1
    heads = ["on", "figure", *(measured.name for measured in models), *(["difference"] if several else []),
             "chance", "queries", "0 to 1 with 95 % interval"]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = []
    test = None
    for figure, own, differences in rows:
        cells = [escape(figure.test) if figure.test != test else "", escape(figure.metric),
                 *(_value(one) for one in own)]
        if several:
            cells.append("<br>".join(_difference(found, len(models) > 2) for found in differences))
        cells += ["" if figure.chance is None else number(figure.chance), f"{figure.count:,}" if figure.count else "",
                  _bars(own)]
        body.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        test = figure.test
    return (f'<div class="scroll"><table class="figures"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody>'
            "</table></div>")


def _value(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return f'<b>{number(figure.value)}</b> <span class="quiet">{bounds(figure)}</span>'


def _difference(found: Comparison, named: bool) -> str:
    kind = "quiet" if found.winner is None else "better" if found.winner == found.other else "worse"
    who = f"{escape(found.other)}: " if named else ""
    said = points(found) if abs(found.difference.value) <= 1 else (
        f"{found.difference.value:+.2f} [{found.difference.low:.2f}, {found.difference.high:.2f}]")
    return f'<span class="{kind}">{who}{said.replace("95 % ", "")}</span>'


def _bars(own: Sequence[Figure | None]) -> str:
    """The interval of each model as a line with a dot, and chance as a tick; nothing for what is no share."""
    if not all(one is None or (one.low is not None and one.high is not None and one.low >= 0 and one.high <= 1)
               for one in own):
        return ""
    drawn = []
    for place, one in enumerate(own):
        if one is None or one.low is None or one.high is None:
            continue
        tick = "" if one.chance is None else f'<i class="tick" style="left:{100 * one.chance:.1f}%"></i>'
        drawn.append(f'<span class="bar" style="--colour:var(--series-{place % 5})">{tick}'
                     f'<i class="reach" style="left:{100 * one.low:.1f}%;width:{100 * (one.high - one.low):.1f}%"></i>'
                     f'<i class="dot" style="left:{100 * one.value:.1f}%"></i></span>')
    return "".join(drawn)


def _row(row: Sequence[str | float | int]) -> str:
    return "<tr>" + "".join(f"<td>{escape(_cell(cell))}</td>" for cell in row) + "</tr>"


def _heat_row(row: Sequence[str | float | int]) -> str:
    counts = [cell for cell in row[1:] if isinstance(cell, int | float)]
    whole = sum(counts) or 1
    cells = "".join(f'<td style="--share: {100 * float(cell) / whole:.0f}%">{cell or ""}</td>' for cell in row[1:]
                    if isinstance(cell, int | float))
    return f'<tr><th scope="row">{escape(_cell(row[0]))}</th>{cells}</tr>'


def _rotated(name: str) -> str:
    return f"<span>{escape(_cell(name))}</span>"


def _cell(value: str | float | int) -> str:
    if isinstance(value, float):
        return number(value) if value == value else "–"
    text = f"{value:,}" if isinstance(value, int) else value
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL - 1] + "…"
