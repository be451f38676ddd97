"""How a run went, as one page that needs nothing but a browser: `curves.html` in the run folder."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from vector_universe.folders import replace_text
from vector_universe.page import html_page
from vector_universe.training.history import History, Points, read_history
from vector_universe.training.plots import Curve, Mark, draw

CURVES = "curves.html"
STARVED = 0.25  # share of the time spent waiting for data: above it, data is the limit
LEARNED = 3.0  # times chance: validation recall below it is hardly more than luck
TELLING = 0.2  # recall@10 that chance alone gives: above it, there are too few pictures to tell anything
BOTH_WAYS = {"image_to_text", "text_to_image"}  # the parts of InfoNCE, whose loss at chance is ln B


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


def verdict_sentences(history: History) -> list[str]:
    """How a run went, in plain words: whether it learned, its loss, its best validation, warnings, and its limit."""
    if not history.steps:
        return ["No step has been logged yet."]
    return [sentence for sentence in (_whether_it_learned(history), _of_loss(history), _of_validation(history),
                                      _of_warnings(history), _of_speed(history)) if sentence]


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
    chance = _chance_loss(history)
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


def _whether_it_learned(history: History) -> str:
    if history.open_warnings:
        return "Look at the open warnings first."
    best, chance = _best(history), _chance_recall(history)
    if best is not None and 0 < chance <= TELLING:
        times = best[1] / chance
        if times < LEARNED:
            return "It hardly learned: what it finds in the validation pictures is near pure chance."
        return f"It learned: it finds the right validation picture {times:.0f} times as often as chance."
    line = _chance_loss(history)
    if line is None:
        return "Training went through without a warning."
    return "It learned." if history.steps[-1]["loss"] < 0.9 * line else "It hardly learned."


def _of_loss(history: History) -> str:
    last, line = history.steps[-1], _chance_loss(history)
    against = f", where pure chance gives ln {history.batch_size} = {line:.2f}" if line else ""
    return f"The loss came to {last['loss']:.3g} after {int(last['step']) + 1:,} steps{against}."


def _of_validation(history: History) -> str:
    best = _best(history)
    if best is None:
        return "There was no validation."
    if _chance_recall(history) > TELLING:
        return "There are too few validation pictures for recall@10 to tell anything."
    steps, recalls = history.series("validation/recall_at_10")
    record = history.validations[steps.index(best[0])]
    epoch = f" after epoch {int(record['epoch'])} of {int(history.validations[-1]['epoch'])}" if (
        "epoch" in record and len(steps) > 1) else ""
    among = record.get("validation/candidates")
    sentence = (f"Validation recall@10 was {best[1]:.3f} at its best{epoch}"
                + (f", among {int(among):,} pictures" if among else "") + ".")
    queries = record.get("validation/queries") or among or 1
    error = math.sqrt(max(best[1] * (1 - best[1]), 1 / queries) / queries)
    if best[1] - recalls[-1] > 3 * error:
        sentence += f" It has fallen to {recalls[-1]:.3f} since: fewer epochs, or more data, would do better."
    return sentence


def _of_warnings(history: History) -> str:
    names = [str(verdict["name"]).replace("_", " ") for verdict in history.open_warnings]
    if names:
        return f"Open warning{'s' if len(names) > 1 else ''}: {', '.join(names)}."
    return "All warnings were taken back." if history.verdicts else "There were no warnings."


def _of_speed(history: History) -> str:
    speed, waiting = (history.series(name)[1] for name in ("pairs_per_second", "waiting"))
    sentence = f"It took {sum(speed) / len(speed):,.0f} pairs a second" if speed else ""
    if not waiting:
        return sentence and f"{sentence}."
    share = sum(waiting) / len(waiting)
    limit = (f"data is the limit: {share:.0%} of the time went into waiting for it" if share > STARVED else
             f"computing is the limit: only {share:.0%} of the time went into waiting for data")
    return f"{sentence}; {limit}." if sentence else f"{limit[0].upper()}{limit[1:]}."


def _best(history: History) -> tuple[int, float] | None:
    """Step and value of the best validation recall@10; None without one."""
    found: Points = history.series("validation/recall_at_10")
    return max(zip(*found, strict=True), key=lambda point: point[1], default=None)


def _chance_recall(history: History) -> float:
    """Recall@10 of a random order; 0 where it is not known."""
    return max(history.series("validation/chance_at_10")[1], default=0.0)


def _chance_loss(history: History) -> float | None:
    """ln B, where the loss is InfoNCE's: other losses have other values at chance."""
    parts = set(history.parts)
    return math.log(history.batch_size) if history.batch_size and parts <= BOTH_WAYS else None
