"""The figures on a model card: what `vu evaluate` measured, else what training did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVALUATION = "evaluation.json"
TRAINED_ON = "trained_on.jsonl"
_SECTIONS = ("retrieval", "zero_shot", "probes", "leaks")  # those whose figures tell of the model itself


def figures(source: Path) -> list[str]:
    """Lines of Markdown: of evaluation.json in a run folder; where there is none, of its last validation."""
    try:
        return _evaluated(json.loads((source / EVALUATION).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):  # none, or none of ours
        pass
    found = _last_validation(source)
    if not found:
        return ["None were measured: not by `vu evaluate`, nor in training, where a run has a validation split."]
    return ["Text → image retrieval on the validation split, after the last epoch:", "", "| figure | value |",
            "|---|---|", *(f"| {name} | {value:.4g} |" for name, value in found.items())]


def _evaluated(stored: dict[str, Any]) -> list[str]:
    """Its verdict, then the figures of validation and test."""
    sections = stored["models"][0]["sections"]
    lines = [f"Measured by `vu evaluate` on {stored['summary']} (fingerprint {stored['fingerprint']}).", "",
             *(f"- {sentence}" for sentence in stored["verdict"])]
    for name in _SECTIONS:
        rows = [figure for figure in sections.get(name, {}).get("figures", [])
                if not figure["test"].startswith("train")]
        if rows:
            lines += ["", f"{sections[name]['title']}:", "", "| on | figure | value | 95 % | chance | queries |",
                      "|---|---|---|---|---|---|", *map(_row, rows)]
    return lines


def _row(figure: dict[str, Any]) -> str:
    interval = "" if figure["low"] is None else f"{figure['low']:.4g} to {figure['high']:.4g}"
    chance = "" if figure["chance"] is None else f"{figure['chance']:.4g}"
    value = "–" if figure["value"] is None else f"{figure['value']:.4g}"
    return (f"| {figure['test']} | {figure['metric']} | {value} | {interval} | {chance} | "
            f"{figure['count'] or ''} |")


def _last_validation(source: Path) -> dict[str, float]:
    """The validation of the last epoch in metrics.jsonl."""
    try:
        lines = [json.loads(line) for line in (source / "metrics.jsonl").read_text().splitlines()]
    except (OSError, ValueError):
        return {}
    found = [line["validation"] for line in lines if line.get("validation")]
    return {name: value for name, value in found[-1].items() if isinstance(value, int | float)} if found else {}
