"""The figures on a model card: what `vu evaluate` measured, else what training did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EVALUATION = "evaluation.json"
_SPLITS = ("test", "validation", "train")  # what matters most first
_COLUMNS = {"recall_at_1": "R@1", "recall_at_5": "R@5", "recall_at_10": "R@10", "chance_at_10": "chance of R@10",
            "median_rank": "median rank", "queries": "queries", "candidates": "among"}
_DIRECTIONS = {"text_to_image": "Text → image", "image_to_text": "Image → text"}


def figures(source: Path) -> list[str]:
    """Lines of Markdown: of evaluation.json in a run folder; where there is none, of its last validation."""
    try:
        return _evaluated(json.loads((source / EVALUATION).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or none of ours
        pass
    found = _last_validation(source)
    if not found:
        return ["None were measured: not by `vu evaluate`, nor in training, where a run has a validation split."]
    return ["Text → image retrieval on the validation split, after the last epoch:", "", "| figure | value |",
            "|---|---|", *(f"| {name} | {value:.4g} |" for name, value in found.items())]


def _evaluated(stored: dict[str, Any]) -> list[str]:
    lines = [f"Measured by `vu evaluate` on {stored['summary']} (fingerprint {stored['fingerprint']})."]
    for direction, heading in _DIRECTIONS.items():
        tests = stored["figures"][direction]
        lines += ["", f"{heading}:", "", f"| queries of | {' | '.join(_COLUMNS.values())} |",
                  f"|---|{'---|' * len(_COLUMNS)}"]
        lines += [f"| {name} | {' | '.join(f'{tests[name][column]:.4g}' for column in _COLUMNS)} |"
                  for name in sorted(tests, key=_importance)]
    return lines


def _importance(test: str) -> int:
    """Its place by split; the sort keeps a split itself before the same "among all"."""
    split = test.split()[0]
    return _SPLITS.index(split) if split in _SPLITS else len(_SPLITS)


def _last_validation(source: Path) -> dict[str, float]:
    """The validation of the last epoch in metrics.jsonl."""
    try:
        lines = [json.loads(line) for line in (source / "metrics.jsonl").read_text().splitlines()]
    except (OSError, ValueError):
        return {}
    found = [line["validation"] for line in lines if line.get("validation")]
    return {name: value for name, value in found[-1].items() if isinstance(value, int | float)} if found else {}
