"""The report as one page: the verdict, the figures that it speaks of, then every section with plots and pictures."""

from __future__ import annotations

import json
from html import escape

from vector_universe.data.doctor.thumbnails import thumbnails
from vector_universe.evaluation.rendering.cases import case_list, places_of
from vector_universe.evaluation.rendering.plots import figure_of
from vector_universe.evaluation.rendering.tables import key_table, plain_table, section_figures
from vector_universe.evaluation.report import Report
from vector_universe.evaluation.section import Plot
from vector_universe.page import html_page

STYLE = """
.verdict li:first-child { font-size: 1.1rem; } ul.verdict { padding-left: 1.2rem; }
table.figures, table.plain { max-width: none; } .figures th, .figures td, .plain th, .plain td { width: auto;
  font: inherit; font-size: .9rem; } .figures td:first-child, .figures th { white-space: nowrap; }
.figures td { font-variant-numeric: tabular-nums; white-space: nowrap; }
.better { color: var(--recovered); } .worse { color: var(--warning); } h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
.bar { position: relative; display: block; width: 12rem; height: .8rem; margin: .15rem 0;
  background: linear-gradient(var(--grid), var(--grid)) center / 100% 1px no-repeat; }
.bar i { position: absolute; top: 50%; } .bar .reach { height: .3rem; margin-top: -.15rem; border-radius: .15rem;
  background: var(--colour); opacity: .45; }
.bar .dot { width: .5rem; height: .5rem; margin: -.25rem 0 0 -.25rem; border-radius: 50%; background: var(--colour); }
.bar .tick { width: 1px; height: .8rem; margin-top: -.4rem; background: var(--ink); opacity: .6; }
details { margin: .75rem 0; } summary { cursor: pointer; color: var(--quiet); }
.cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(27rem, 100%), 1fr)); gap: .75rem;
  padding: 0; margin: .5rem 0; list-style: none; }
.cases.narrow { grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); }
.cases > li { margin: 0; padding: .7rem; background: var(--panel); border-radius: .5rem; font-size: .875rem; }
.cases b { display: block; } .cases .row { display: flex; gap: .35rem; align-items: center; margin-top: .4rem;
  overflow-x: auto; }
.cases figure { padding: 0; background: none; flex: none; } .cases figcaption { min-height: 0; margin: 0;
  font-size: .72rem; text-align: center; }
.cases img { display: block; height: 4rem; max-width: 6.5rem; object-fit: contain; border: 2px solid transparent;
  border-radius: .3rem; background: var(--ground); }
.cases .right img { border-color: var(--recovered); } .cases .wrong img { border-color: var(--grid); }
.cases ol { margin: 0; } .cases ol .right { color: var(--recovered); } .arrow { color: var(--quiet); }
pre { white-space: pre-wrap; font-size: .8rem; background: var(--panel); padding: .75rem; border-radius: .5rem; }
"""


def report_page(report: Report) -> str:
    """The whole page; it needs no network and no script."""
    cases = [case for measured in report.models for section in measured.sections.values() for case in section.cases]
    pictures = thumbnails(report.examples, places_of(cases))
    names = " and ".join(measured.name for measured in report.models)
    order = list(dict.fromkeys(name for measured in report.models for name in measured.sections))
    skipped = (f'<p class="warning">{len(report.skipped):,} images could not be read, the first: '
               f"{escape(report.skipped[0].file)} ({escape(report.skipped[0].reason)}).</p>" if report.skipped else "")
    credit = f'<p class="quiet">{escape(report.dataset.attribution)}</p>' if report.dataset.attribution else ""
    verdict = "\n".join(f"<li>{escape(line)}</li>" for line in report.verdict)
    return html_page(f"{names} on {report.dataset.name}", f"""<h1>{escape(names)} on {escape(report.dataset.name)}</h1>
<p class="quiet">{escape(report.dataset.summary())}</p>
<ul class="verdict">
{verdict}
</ul>
{skipped}
<h2>What the verdict speaks of</h2>
{key_table(report.models, report.comparisons)}
<p class="quiet">Intervals hold the true figure in 95 of 100 cases: queries were drawn again
{report.settings["draws"]:,} times. The tick is chance.</p>
{"".join(_section(report, name, pictures) for name in order)}
<h2>How it was measured</h2>
{_settings(report)}
{credit}""", STYLE)


def _section(report: Report, name: str, pictures: dict[int, str]) -> str:
    having = [measured for measured in report.models if name in measured.sections]
    first = next((one.sections[name] for one in having if one.sections[name].figures), having[0].sections[name])
    several = len(report.models) > 1
    plots: dict[str, list[tuple[str, Plot]]] = {}
    for measured in having:
        for plot in measured.sections[name].plots:
            plots.setdefault(plot.title, []).append((measured.name, plot))
    drawn = "".join(figure_of(named) for named in plots.values())
    parts = [f'<h2 id="{name}">{escape(first.title)}</h2><p class="quiet">{escape(first.about)}</p>',
             section_figures(report.models, report.comparisons, name),
             f'<div class="plots">{drawn}</div>' if drawn else ""]
    for measured in having:
        section = measured.sections[name]
        own = [*(f'<p class="warning">{escape(warning)}</p>' for warning in section.warnings),
               *(f'<p class="quiet">{escape(remark)}</p>' for remark in section.remarks),
               *(plain_table(table) for table in section.tables), case_list(section.cases, pictures)]
        body = "\n".join(filter(None, own))
        parts.append(f"<details><summary>{escape(measured.name)}</summary>{body}</details>" if several and body
                     else body)
    return "\n".join(filter(None, parts))


def _settings(report: Report) -> str:
    every = {"evaluation": report.settings} | {
        measured.name: {"fingerprint": measured.fingerprint} | measured.circumstances
        | {name: section.settings for name, section in measured.sections.items()} for measured in report.models}
    text = json.dumps(every, indent=1, ensure_ascii=False, default=str)
    return (f'<p class="quiet">Data: {escape(report.dataset.source)}, fingerprint {report.dataset.fingerprint}. '
            "All figures are in evaluation.json.</p>"
            f"<details><summary>Every setting and prompt</summary><pre>{escape(text)}</pre></details>")
