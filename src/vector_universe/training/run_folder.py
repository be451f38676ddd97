"""The run folder: everything that is needed to know what was trained, on what, and how it went."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from vector_universe.data import ImageTextDataset, SkippedRow, write_skipped
from vector_universe.errors import UserError
from vector_universe.folders import claim_folder, replace_text
from vector_universe.models.card_figures import TRAINED_ON
from vector_universe.training.config import TrainConfig

PACKAGES = ("vector-universe", "torch", "transformers", "accelerate", "peft", "tokenizers", "datasets", "numpy",
            "pillow")

README = """# A run of Vector Universe

Trained on **{summary}**.

| file | what |
|---|---|
| `model/` | the trained model: `{kind}.from_pretrained("model")`; there once training has finished |
| `adapter/` | of a run that began from a given model: what it learned, by itself; `load_adapter(base, "adapter")` |
| `config.json` | every setting; the same settings and data give the same model |
| `data.json` | source, fingerprint and counts of the data |
| `trained_on.jsonl` | ids of the examples that it learns from, one a line: `vu evaluate` looks for them in the test |
| `kernel/` | of a run with the objective fusion: what scores `labels.json`; `KernelKL.load("kernel")` |
| `generator/`, `samples/` | of a run with generated pairs: what draws them, and a sheet an epoch; `vu generate` |
| `evaluation.html`, `evaluation.json` | what `vu evaluate` measured last: a page, and every figure |
| `retention.json` | of a run with `retain`: what was gained here and lost there, for blends with the base |
| `skipped.csv` | rows that were left out, and why |
| `curves.html` | how it went, drawn; there once training has finished |
| `metrics.jsonl` | a line a step (`loss`), some steps (`geometry`), an epoch (`validation`), a warning (`verdict`), \
a look at the test split (`zero_shot`) |
| `environment.json` | versions of the software |
| `checkpoint.safetensors` | where the run stands; the same command continues from it |

Next: `vu evaluate {run} --data {source}`{then}.
"""


class RunFolder:
    """Paths of a run, and the writing of what explains it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path / "model"
        self.adapter = path / "adapter"
        self.cache = path / "cache"  # gone when training ends
        self.checkpoint = path / "checkpoint.safetensors"
        self.best = path / "best.safetensors"
        self.generator = path / "generator"
        self.kernel = path / "kernel"
        self.metrics = path / "metrics.jsonl"
        self.curves = path / "curves.html"

    @property
    def finished(self) -> bool:
        """Whether the trained model is there."""
        return (self.model / "config.json").is_file()

    def begin(self, config: TrainConfig, dataset: ImageTextDataset) -> None:
        """Claim the folder for this config and data, or accept it when it was begun with the very same.

        Raises:
            UserError: the folder holds something else, or a run with another config or other data.
        """
        claim_folder(self.path, "run")
        settings = json.loads(json.dumps(asdict(config)))  # as they are read back
        data = {"source": dataset.source, "fingerprint": dataset.fingerprint, "summary": dataset.summary()}
        before = self._read("config.json"), self._read("data.json")
        if before[0] is not None and before[1] is not None:
            missing = [name for name in settings if name not in before[0]]
            if missing:
                raise UserError(f"{self.path} is a run of another version, which does not know {', '.join(missing)}: "
                                "give --out a new folder")
            changed = [name for name in settings if settings[name] != before[0][name]]
            if changed or before[1].get("fingerprint") != data["fingerprint"]:
                what = "other settings (" + ", ".join(changed) + ")" if changed else "other data"
                raise UserError(f"{self.path} is a run with {what}: give --out a new folder")
            return
        self._write("config.json", settings)
        self._write("data.json", data)
        replace_text(self.path / TRAINED_ON, "".join(
            json.dumps(id, ensure_ascii=False) + "\n" for id, split
            in zip(dataset.table["id"], dataset.table["split"], strict=True) if split == "train"))
        self._write("environment.json", {"python": platform.python_version(), "platform": platform.platform()}
                    | {package: version(package) for package in PACKAGES})
        (self.path / "README.md").write_text(
            README.format(summary=dataset.summary(), run=self.path, source=dataset.source,
                          kind="Predictor" if config.predicts else "DualEncoder", then=_after_evaluation(
                              config, self.path, dataset.source)))

    def write_skipped(self, rows: Sequence[SkippedRow]) -> None:
        """List what was left out, with its reason, in `skipped.csv`."""
        write_skipped(self.path / "skipped.csv", rows)

    def log(self, record: dict) -> None:
        """Append one line to `metrics.jsonl`."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def drop_metrics_from(self, steps: int) -> None:
        """Forget lines of steps that a kill left unsaved, so that every step stands there once."""
        if self.metrics.is_file():
            lines = self.metrics.read_text().splitlines(keepends=True)
            replace_text(self.metrics, "".join(line for line in lines if _step(line) < steps))

    def keep_batch(self, step: int, ids: list[str], texts: list[str], embeddings: dict[str, Tensor]) -> Path:
        """Keep a batch that made the loss no number: ids and texts to look at, and its embeddings."""
        folder = self.path / f"batch-{step}"
        folder.mkdir(exist_ok=True)
        bad = {name: (~torch.isfinite(rows_BD).all(1)).nonzero()[:, 0].tolist() for name, rows_BD in embeddings.items()}
        replace_text(folder / "batch.json", json.dumps(
            {"step": step, "ids": ids, "texts": texts, "rows_with_nan": bad}, indent=2, ensure_ascii=False) + "\n")
        save_file({name: rows_BD.detach().cpu().contiguous() for name, rows_BD in embeddings.items()},
                  folder / "embeddings.safetensors")
        return folder

    def _read(self, name: str) -> dict | None:
        try:
            return json.loads((self.path / name).read_text())
        except (OSError, ValueError):
            return None

    def _write(self, name: str, content: dict) -> None:
        replace_text(self.path / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _after_evaluation(config: TrainConfig, run: Path, source: str) -> str:
    if config.predicts == "captioner":
        return f", then `vu caption {run} --data {source}`"
    return "" if config.predicts else f", then `vu index {run} --data {source} --out universe`"


def put_model(model: PreTrainedModel, place: Path) -> None:
    """Save a model in place by one rename."""
    temporary = place.with_suffix(".partial")
    for stale in (temporary, place):
        shutil.rmtree(stale, ignore_errors=True)
    model.save_pretrained(temporary)
    temporary.rename(place)


def _step(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):  # a line cut short by a kill
        return float("inf")
