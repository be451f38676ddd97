"""How a run went, as one page that needs nothing but a browser: `curves.html` in the run folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from vector_universe.folders import replace_text
from vector_universe.page import html_page
from vector_universe.training.history import History, read_history
from vector_universe.training.plots import Curve, Mark, draw
from vector_universe.training.run_verdict import STARVED, chance_loss, predicts, verdict_sentences

CURVES = "curves.html"


def write_curves(run_path: Path) -> Path:
    """Write RUN/curves.html from what a run has logged: a verdict in words, plots, warnings, settings.

    The page needs no network and no script, and follows the reader's light or dark mode. It may be written while the
    run goes on.

    Args:
        run_path: the run folder, with `metrics.jsonl`.

    Returns:
        the path of the page.

    Raises:
        UserError: the folder has no metrics.
    """
    history = read_history(run_path)
    page = run_path / CURVES
    replace_text(page, _page(history, run_path.resolve().name))
    return page


def _page(history: History, name: str) -> str:
    first, *others = verdict_sentences(history)
    marks = [Mark(int(verdict["step"]), number, bool(verdict["recovered"]))
             for number, verdict in enumerate(history.verdicts, 1)]
    last_step = max((int(record["step"]) for record in history.steps), default=None)
    figures = "\n".join(_figure(*plot, marks, last_step) for plot in _plots(history))
    title = f"Trained on {history.summary}" if history.summary else "A training run"
    return html_page(f"{name}: how training went", f"""<h1>{escape(title)}</h1>
<p class="verdict"><b>{escape(first)}</b> {escape(" ".join(others))}</p>
<div class="plots">
{figures}
</div>
{_verdict_list(history)}
<h2>Settings</h2>
<table>
{_settings(history.config)}
</table>
<p class="quiet">Run {escape(name)}. The figures behind the plots are in metrics.jsonl.</p>""")


def _plots(history: History) -> list[tuple[str, str, list[Curve], bool]]:
    """Title, how to read it, curves, and whether the axis begins at 0; those without a figure are left out."""
    chance = chance_loss(history)
    loss = [_curve(history, "loss", "loss", noisy=True)]
    if len(history.parts) > 1:
        loss += [_curve(history, part.replace("_", " "), part, noisy=True) for part in history.parts]
    rates = history.names("learning_rate")
    recalls = [_curve(history, f"recall@{k}", f"validation/recall_at_{k}", dots=True) for k in (10, 5, 1)]
    at_chance = Curve("chance@10", *history.series("validation/chance_at_10"), dashed=True)
    shares = [_curve(history, part.replace("_", " "), f"gradient_shares/{part}", noisy=True) for part in history.parts]
    plots = [
        ("Loss", "Below the dashed line of pure chance, pairs are told apart." if chance else
         "What training makes small; parts add up to the whole.",
         [*loss, *_level(history, f"chance, ln {history.batch_size}", chance)], True),
        ("Validation recall", "Share of texts whose own picture is among the first 10, 5 or 1 found.",
         [*recalls, at_chance], True),
        ("Validation loss", "How badly the texts of pictures are predicted that it has not learned from.",
         [_curve(history, "validation loss", "validation/loss", dots=True)] if predicts(history) else [], False),
        ("Cosines", "True pairs should rise above strangers.",
         [_curve(history, "true pairs", "geometry/pair_cosine", noisy=True),
          _curve(history, "strangers", "geometry/off_pair_cosine", noisy=True)], False),
        ("Effective rank", "How many directions the embeddings use; one that falls towards 1 is a collapse.",
         [_curve(history, "images", "geometry/image_effective_rank", noisy=True),
          _curve(history, "texts", "geometry/text_effective_rank", noisy=True)], True),
        ("Modality gap", "Distance between the mean image and the mean text, 0 to 2.",
         [_curve(history, "gap", "geometry/modality_gap", noisy=True)], True),
        ("Learning rate", "It rises while the run warms up, then falls.",
         [_curve(history, name.removeprefix("learning_rate/").replace("_", " "), name) for name in rates], True),
        ("Logit scale", "The inverse temperature that cosines are multiplied by; 100 is the cap.",
         [_curve(history, "logit scale", "logit_scale")], False),
        ("Speed", "Pairs per second.", [_curve(history, "pairs/s", "pairs_per_second", noisy=True)], True),
        ("Waiting for data", f"Share of each step; above {STARVED:.0%} the data is the limit.",
         [_curve(history, "waiting", "waiting", noisy=True)], True),
        ("Shares of the gradient", "How much each part of the loss pulls.", shares if len(shares) > 1 else [], True),
    ]
    shown = [(title, how, [curve for curve in curves if curve.steps], zero) for title, how, curves, zero in plots]
    return [plot for plot in shown if any(not curve.dashed for curve in plot[2])]


def _curve(history: History, label: str, name: str, noisy: bool = False, dots: bool = False) -> Curve:
    return Curve(label, *history.series(name), noisy=noisy, dots=dots)


def _level(history: History, label: str, value: float | None) -> list[Curve]:
    steps = history.series("loss")[0]
    return [Curve(label, [steps[0], steps[-1]], [value, value], dashed=True)] if value is not None and steps else []


def _figure(title: str, how: str, curves: Sequence[Curve], zero: bool, marks: Sequence[Mark],
            last_step: int | None) -> str:
    return (f'<figure role="group" aria-label="{escape(title)}">\n<figcaption><b>{escape(title)}</b>{escape(how)}'
            f"</figcaption>\n{draw(title, curves, marks, zero, last_step)}</figure>")


def _verdict_list(history: History) -> str:
    if not history.verdicts:
        return ""
    items = []
    for verdict in history.verdicts:
        kind = "recovered" if verdict["recovered"] else "warning"
        items.append(f'<li><b class="{kind}">{kind}, step {int(verdict["step"])}:</b> {escape(str(verdict["text"]))}'
                     "</li>")
    return ("<h2>Warnings</h2>\n<p class=\"quiet\">The numbers stand at the dotted lines of the plots.</p>\n<ol>\n"
            + "\n".join(items) + "\n</ol>")


def _settings(config: dict[str, Any]) -> str:
    return "\n".join(f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(_shown(value))}</td></tr>"
                     for name, value in config.items())


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
