"""A report on disk: in the folder of its run, or in one of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

from vector_universe.evaluation.rendering.page import report_page
from vector_universe.evaluation.report import Report
from vector_universe.folders import claim_folder, folder_kind, replace_text
from vector_universe.models.card_figures import EVALUATION

PAGE = "evaluation.html"


def store_report(report: Report, out: Path | str) -> Path:
    """Write evaluation.html and evaluation.json, in place of earlier ones; the model card of a run shows its figures.

    Args:
        report: what was found.
        out: a run, a folder of an earlier report, or a new one.

    Returns:
        the page.

    Raises:
        UserError: `out` holds something else.
        OSError: it cannot be written.
    """
    out = Path(out)
    if folder_kind(out) != "run":
        claim_folder(out, "evaluation")
    text = json.dumps(report.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    replace_text(out / EVALUATION, text + "\n")
    replace_text(out / PAGE, report_page(report))
    return out / PAGE


def folder_for(models: list[str], dataset_name: str) -> Path:
    """Where a report goes by itself: into the run of a single one, else into a folder named after models and data."""
    if len(models) == 1 and folder_kind(Path(models[0])) == "run":
        return Path(models[0])
    names = "-".join([*(Path(model).name for model in models), dataset_name])
    return Path("evaluation-" + (re.sub(r"[^\w.-]+", "-", names).strip("-.") or "report"))


def model_names(models: list[str]) -> list[str]:
    """A name for each model: the last part of its folder or hub name, and more of it where two share that."""
    parts = [list(Path(model).resolve().parts) if Path(model).exists() else model.split("/") for model in models]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(own[-length:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]
