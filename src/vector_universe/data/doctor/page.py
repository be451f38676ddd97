"""The doctor's report as one page: the verdict first, then all findings in a table, then each with its pictures."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.doctor.findings import Case, Finding
from vector_universe.data.doctor.plots import MOST_BARS, bars, heat_map
from vector_universe.data.doctor.report import Report
from vector_universe.data.doctor.thumbnails import thumbnails
from vector_universe.page import html_page

SHOWN = 24  # cases of a finding on the page; report.json has them all
SHOWN_INFORMATION = 12
LONGEST = 160  # characters of a detail

STYLE = """
:root { --error: #b91c1c; } @media (prefers-color-scheme: dark) { :root { --error: #f87171; } }
.error { color: var(--error); } table.findings { max-width: none; margin: 1.5rem 0 0; }
.findings th, .findings td { font: inherit; width: auto; } .findings td:first-child { white-space: nowrap; }
.findings a { color: inherit; } h2 .quiet, .findings .information { font-weight: normal; color: var(--quiet); }
.cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr)); gap: .75rem; padding: 0;
  margin: .75rem 0; list-style: none; }
.cases li { margin: 0; padding: .6rem; background: var(--panel); border-radius: .5rem; font-size: .85rem; }
.cases img { max-width: 48%; height: 6.5rem; object-fit: contain; margin-right: 2%; background: var(--ground); }
.cases b { display: block; }
"""


def report_page(report: Report, dataset: ImageTextDataset) -> str:
    """The whole page; it needs no network and no script."""
    shown = {finding.kind: _shown(finding) for finding in report.findings}
    pictures = thumbnails(dataset, (place for cases in shown.values() for case in cases
                                    for place in (case.example, case.partner) if place is not None))
    sections = "\n".join(_section(finding, shown[finding.kind], pictures) for finding in report.findings
                         if finding.cases)
    first, colon, rest = report.verdict.partition(":")
    credit = f"<p class=\"quiet\">{escape(dataset.attribution)}</p>" if dataset.attribution else ""
    return html_page(f"{report.name}: data check", f"""<h1>{escape(report.name)}: data check</h1>
<p class="verdict"><b>{escape(first)}{escape(colon)}</b>{escape(rest)}</p>
<p class="quiet">{escape(report.summary)}</p>
<table class="findings">
{_rows(report.findings)}
</table>
{_plots(report)}
{sections}
<p class="quiet">Every case is in report.json. A row is a position in the loaded data, from 1; of a row that was left
out, its position in the source.</p>
{credit}""", STYLE)


def _rows(findings: Iterable[Finding]) -> str:
    rows = []
    for finding in findings:
        sentence = escape(finding.sentence)
        what = f'<a href="#{finding.kind}">{sentence}</a>' if finding.cases else sentence
        rows.append(f'<tr><td class="{finding.severity}">{finding.severity}</td><td>{what}</td>'
                    f"<td class=\"quiet\">{escape(finding.way_out)}</td></tr>")
    return "\n".join(rows) or "<tr><td>No finding.</td></tr>"


def _plots(report: Report) -> str:
    if not report.labels:
        return ""
    many = len(report.labels)
    caption = f"{many:,} labels" + (f", the {MOST_BARS} most frequent" if many > MOST_BARS else "")
    histogram = (f"<figure><figcaption><b>Images of each label</b>{caption}</figcaption>"
                 f"{bars('labels', report.labels)}</figure>")
    names = list(report.labels)[:len(report.together)]
    several = any(count for number, row in enumerate(report.together) for place, count in enumerate(row)
                  if place != number)
    pairs = (f'<figure><figcaption><b>Labels together</b>Of a row\'s images, how many of a hundred have the column\'s '
             f'label too</figcaption><div class="scroll">{heat_map(names, report.together)}</div></figure>'
             if several else "")
    return f'<div class="plots">{histogram}{pairs}</div>'


def _shown(finding: Finding) -> list[Case]:
    return list(finding.cases[:SHOWN_INFORMATION if finding.severity == "information" else SHOWN])


def _section(finding: Finding, shown: list[Case], pictures: dict[int, str]) -> str:
    more = "" if len(shown) == finding.count else f", {len(shown)} of {finding.count:,} shown"
    items = "\n".join(f"<li>{_images(case, pictures)}<b>{escape(case.file)}</b>{_place(case)}"
                      f"{escape(_cut(case.detail))}</li>" for case in shown)
    return f"""<h2 id="{finding.kind}">{escape(finding.sentence)} <span class="quiet">
<span class="{finding.severity}">{finding.severity}</span>{more}</span></h2>
<p class="quiet">{escape(finding.way_out)}</p>
<ul class="cases">
{items}
</ul>"""


def _images(case: Case, pictures: dict[int, str]) -> str:
    places = [place for place in (case.partner, case.example) if place is not None and place in pictures]
    return "".join(f'<img src="{pictures[place]}" alt="" loading="lazy">' for place in places)


def _place(case: Case) -> str:
    words = [f"row {case.row:,}" if case.row else "", escape(case.split)]
    return f'<span class="quiet">{", ".join(filter(None, words))}</span> ' if any(words) else ""


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST - 1] + "…"
