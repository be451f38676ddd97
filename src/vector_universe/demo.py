"""The demo: emoji from pictures to universe, with the figures that say how well it went."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from vector_universe.data import load_dataset
from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.sources.emoji import noto_font
from vector_universe.evaluation import EvaluateConfig, evaluate_folders
from vector_universe.evaluation.evaluators.retrieval import retrieval_by_split
from vector_universe.evaluation.rendering.console import print_report
from vector_universe.evaluation.stored import PAGE
from vector_universe.evaluation.subject import Subject
from vector_universe.folders import claim_folder, replace_text
from vector_universe.index import Universe
from vector_universe.models import DualEncoder, load_run_model
from vector_universe.progress import stages
from vector_universe.training import TrainConfig, train


def demo(out: Path, config: TrainConfig | None = None) -> dict:
    """Train on emoji, measure and index; leaves `run/`, `universe/` and `metrics.json` in the folder `out`.

    The report of the evaluation is in the run, and its calibration in the model: a search says how likely a match is.

    What is there already is reused: a second call takes seconds.

    Returns:
        the content of `metrics.json`: text → image recall@10 by kind of query, and seconds taken.

    Raises:
        UserError: `out` holds something else, or the extra `demo` is not installed.
    """
    claim_folder(out, "demo")
    started = time.perf_counter()
    dataset = load_dataset("emoji")
    model = train(dataset, config or TrainConfig(), out / "run")
    assert isinstance(model, DualEncoder)
    trained = time.perf_counter()
    metrics_file = out / "metrics.json"
    metrics = _read(metrics_file, model.fingerprint())
    if metrics is None:
        with stages() as progress:
            evaluated = evaluate_folders([str(out / "run")], dataset, EvaluateConfig(), progress=progress)
        print_report(evaluated.report)
        metrics = {"model": model.fingerprint(), "text_to_image_recall_at_10": _figures(model, dataset),
                   "seconds": {"train": round(trained - started, 1)}}
    with stages() as progress:
        Universe.build(load_run_model(out / "run"), dataset, out / "universe", progress=progress)
    metrics["seconds"].setdefault("total", round(time.perf_counter() - started, 1))
    replace_text(metrics_file, json.dumps(metrics, indent=2) + "\n")
    for name, recall in metrics["text_to_image_recall_at_10"].items():
        print(f"text → image recall@10, {name}: {recall:.3f}", file=sys.stderr)
    print(f"the report is {out / 'run' / PAGE}", file=sys.stderr)
    print(f"the universe is in {out / 'universe'}: vu search {out / 'universe'} \"red heart\"", file=sys.stderr)
    return metrics


def _figures(model: DualEncoder, dataset: ImageTextDataset) -> dict[str, float]:
    """Recall@10 among all 1,900 emoji, and on the second artist where the font is installed."""
    tests = retrieval_by_split(Subject.of(model, _named_fully(dataset))).text_to_image
    figures = {
        "full names of trained emoji": tests["train among all"].recall_at_10,
        "short names never seen": tests["unseen texts among all"].recall_at_10,
        "emoji held out altogether": tests["test among all"].recall_at_10,
    }
    if noto_font():
        second = retrieval_by_split(Subject.of(model, _named_fully(load_dataset("emoji-noto")))).text_to_image
        figures["second artist, full names of trained emoji"] = second["train among all"].recall_at_10
        figures["second artist, emoji held out altogether"] = second["test among all"].recall_at_10
    return figures


def _named_fully(dataset: ImageTextDataset) -> ImageTextDataset:
    """The same pictures with the full name as their one text."""
    table = dataset.table.map(lambda row: {"texts": row["texts"][:1]})
    return ImageTextDataset(table, name=dataset.name, source=dataset.source)


def _read(path: Path, fingerprint: str) -> dict | None:
    """The metrics of an earlier call, when they are of this very model."""
    try:
        metrics = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return metrics if metrics.get("model") == fingerprint else None
