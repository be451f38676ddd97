"""What the product's HTML pages share: a style sheet for light and dark, and plots in the page's own colours."""

from __future__ import annotations

import re
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# matplotlib writes plain colours alone; these stand for those that the page chooses, light or dark.
INK, GRID, WARNING, RECOVERED = "#010101", "#020202", "#030303", "#040404"
SERIES = ("#050505", "#060606", "#070707", "#080808", "#090909")
PAGE_COLOURS = {INK: "currentColor", GRID: "var(--grid)", WARNING: "var(--warning)", RECOVERED: "var(--recovered)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES)}

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --panel: #f6f7f9; --ink: #1d2329; --quiet: #5a6570; --grid: #d5dae0;
  --warning: #c2410c; --recovered: #15803d; --series-0: #1d6fb8; --series-1: #c8690a; --series-2: #7a4fc0;
  --series-3: #0f8f7e; --series-4: #b83280; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181d; --panel: #1c2229; --ink: #e6eaee; --quiet: #9aa6b2;
  --grid: #38424d; --warning: #fb923c; --recovered: #4ade80; --series-0: #63b0f4; --series-1: #f5a54a;
  --series-2: #b79cf5; --series-3: #46d3bf; --series-4: #f27fc0; } }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
.verdict { font-size: 1.1rem; margin: 0; max-width: 60rem; } .quiet { color: var(--quiet); }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1rem;
  margin: 1.75rem 0 0; }
figure { margin: 0; padding: .9rem 1rem .6rem; background: var(--panel); border-radius: .6rem; }
figcaption { color: var(--quiet); font-size: .875rem; margin-bottom: .4rem; min-height: 2.6em; }
figcaption b { display: block; color: var(--ink); font-size: 1rem; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
svg * { stroke-linejoin: round; }
.warning { color: var(--warning); } .recovered { color: var(--recovered); }
ol { margin: 0; padding-left: 1.5rem; } li { margin: .3rem 0; } li b { font-weight: 600; }
table { border-collapse: collapse; font-size: .925rem; width: 100%; max-width: 44rem; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--grid); font-weight: normal;
  vertical-align: top; }
th { color: var(--quiet); width: 40%; } td { font-family: ui-monospace, monospace; font-size: .875rem; }
.scroll { overflow-x: auto; }
table.heat { width: auto; font-size: .75rem; } .heat th, .heat td { border: 0; padding: .15rem .3rem; width: auto; }
.heat td { text-align: center; font-size: .75rem;
  background: color-mix(in srgb, var(--series-0) var(--share, 0%), transparent); }
.heat thead th { vertical-align: bottom; } .heat thead span { writing-mode: vertical-rl; rotate: 180deg; }
.heat tbody th { white-space: nowrap; text-align: right; }
"""


def html_page(title: str, body: str, style: str = "") -> str:
    """A whole page that needs nothing but a browser: no network, no script.

    Args:
        title: plain text.
        body: HTML; what comes from data must be escaped already.
        style: further style rules.
    """
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def plot_style(title: str) -> Any:
    """matplotlib settings for a plot in a page; `title` tells the parts of its SVG from those of other plots."""
    return {
        "svg.fonttype": "none", "svg.hashsalt": title, "text.parse_math": False, "font.size": 10,
        "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": GRID,
        "grid.color": GRID, "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
        "legend.frameon": False, "ytick.left": False, "axes.formatter.useoffset": False}


def blank_plot(width: float, height: float) -> tuple[Figure, Axes]:
    """A plot of this size in inches, through which the page's own ground shows, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    for ground in (figure.patch, axes.patch):
        ground.set_visible(False)
    return figure, axes


def svg_of(figure: Figure) -> str:
    """The `<svg>` element of a plot, in the page's colours; drawn in the style of the moment."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    svg = StringIO()
    FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_a_page(svg.getvalue())


def _for_a_page(svg: str) -> str:
    """The `<svg>` element of a file that matplotlib wrote, without what would disturb a page, in the page's colours."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", svg)  # nothing refers to these, and they are the same in each plot
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 aria-hidden="true"', svg, count=1)
    svg = re.sub(r'font-family: [^;"]*; ', "", svg)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would hold for the whole page
    return re.sub(r"#0[1-9]0[1-9]0[1-9]", lambda found: PAGE_COLOURS.get(found[0], found[0]), svg)
