"""How the training of a generator went, as one page that needs nothing but a browser: `curves.html`."""

from __future__ import annotations

import base64
import json
from html import escape
from pathlib import Path

from vector_universe.folders import replace_text
from vector_universe.page import html_page
from vector_universe.training.history import flat_figures
from vector_universe.training.plots import Curve, draw

Series = dict[str, tuple[list[int], list[float]]]  # steps and values by flat name

PLOTS = (  # title, how to read it, (label, figure, dashed)
    ("Text match", "Mean cosine of generated pictures with their own texts; it should rise to that of real pictures "
     "and leave others' texts behind.",
     (("own text", "samples/own", False), ("others' texts", "samples/shuffled", False),
      ("real pictures", "samples/real_own", True))),
    ("Own text found", "Share of generated pictures whose own text is among the ten nearest.",
     (("generated", "samples/recall_at_10", False), ("real pictures", "samples/real_recall_at_10", True))),
    ("Coverage", "Share of real pictures that some generated one comes near; where it falls, modes are lost.",
     (("generated", "samples/coverage", False), ("real pictures", "samples/real_coverage", True))),
    ("Fréchet distance", "Between generated and real pictures in the model's space; lower is nearer.",
     (("generated", "samples/frechet_distance", False), ("real pictures", "samples/real_frechet_distance", True))),
    ("Spread", "How far pictures of one text lie apart, over real pictures of different texts; 0 ignores the noise.",
     (("generated", "samples/spread", False),)),
    ("Scores", "What the discriminator thinks on average; real above generated, and never by far.",
     (("real", "score_real", False), ("generated", "score_generated", False),
      ("real with another's text", "score_mismatched", False))),
    ("Losses", "Hinge losses of both; neither falls for long, as the other learns.",
     (("discriminator", "discriminator", False), ("generator", "generator", False))),
    ("Distance to the text's own picture", "Mean absolute difference of pixels in [-1, 1], without noise.",
     (("distance", "reconstruction", False),)),
    ("Speed", "Pairs per second.", (("pairs/s", "pairs_per_second", False),)),
)


def write_page(run_path: Path) -> Path:
    """Write `curves.html` beside the metrics of a generator's run: the last sheet, and all figures over the steps."""
    series, summary = _series(run_path), json.loads((run_path / "data.json").read_text())["summary"]
    figures = []
    for title, how, curves in PLOTS:
        drawn = [Curve(label, *series[name], noisy="/" not in name, dashed=dashed, dots="/" in name)
                 for label, name, dashed in curves if name in series]
        if any(not curve.dashed for curve in drawn):
            figures.append(f'<figure role="group" aria-label="{escape(title)}">\n<figcaption><b>{escape(title)}</b>'
                           f"{escape(how)}</figcaption>\n{draw(title, drawn, zero=True)}</figure>")
    page = run_path / "curves.html"
    plots = "\n".join(figures)
    title = f"{run_path.resolve().name}: how a generator learned"
    replace_text(page, html_page(title, f"""<h1>A generator, trained on {escape(summary)}</h1>
<p class="verdict">{escape(_verdict(series))}</p>
<div class="plots">
{plots}
</div>
{_last_sheet(run_path / "samples")}
<p class="quiet">The figures are taken on training texts, in the space of the model whose match score the generator
learns from, which flatters its text match. Those behind the plots are in metrics.jsonl.</p>"""))
    return page


def _series(run_path: Path) -> Series:
    series: Series = {}
    for line in (run_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        record = flat_figures(json.loads(line))
        for name, value in record.items():
            steps, values = series.setdefault(name, ([], []))
            steps.append(int(record["step"]))
            values.append(value)
    return series


def _verdict(series: Series) -> str:
    last = {name.removeprefix("samples/"): values[-1] for name, (_, values) in series.items()
            if name.startswith("samples/")}
    shuffled = round(last["shuffled"], 2) + 0.0  # no negative zero
    found = (f"Generated pictures match their own texts by {last['own']:.2f} and others' by {shuffled:.2f}, "
             f"real pictures their own by {last['real_own']:.2f}.")
    if "coverage" in last:
        found += (f" They come near {last['coverage']:.0%} of the real pictures, where other real ones come near "
                  f"{last['real_coverage']:.0%}.")
    return found


def _last_sheet(folder: Path) -> str:
    sheets = sorted(folder.glob("epoch-*.png"))
    if not sheets:
        return ""
    encoded = base64.b64encode(sheets[-1].read_bytes()).decode()
    return (f"<h2>Samples after epoch {int(sheets[-1].stem.split('-')[1])}</h2>\n<img alt=\"Rows of pictures: the real "
            f'one, then generated ones of the same text" style="max-width:100%" src="data:image/png;base64,{encoded}">')
