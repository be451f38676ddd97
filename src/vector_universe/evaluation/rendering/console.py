"""The report on the console: the verdict, and the figures of the tests that matter."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vector_universe.evaluation.report import Report
from vector_universe.evaluation.verdict import bounds, number


def print_report(report: Report) -> None:
    """A table of the key figures, and what follows from them."""
    console = Console()
    console.print(report.dataset.summary(), highlight=False)
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("model", "on", "figure") if len(report.models) > 1 else ("on", "figure"):
        table.add_column(column, overflow="fold")
    for column in ("value", "95 %", "chance", "queries"):
        table.add_column(column, justify="right", no_wrap=True)
    for measured in report.models:
        for _, figure in measured.figures():
            if not figure.key:
                continue
            name = [measured.name] if len(report.models) > 1 else []
            table.add_row(*(escape(cell) for cell in (
                *name, figure.test, figure.metric, number(figure.value), bounds(figure),
                "" if figure.chance is None else number(figure.chance), f"{figure.count:,}" if figure.count else "")))
    if table.row_count:
        console.print(table)
    for line in report.verdict:
        console.print(f"• {escape(line)}", highlight=False)
    if report.skipped:
        console.print(f"{len(report.skipped)} images could not be decoded, first: {escape(report.skipped[0].file)} "
                      f"({escape(report.skipped[0].reason)})", highlight=False)
