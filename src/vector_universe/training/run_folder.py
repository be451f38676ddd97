"""The run folder: everything that is needed to know what was trained, on what, and how it went."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from vector_universe.data import ImageTextDataset, SkippedRow, write_skipped
from vector_universe.errors import UserError
from vector_universe.folders import claim_folder, replace_text
from vector_universe.training.config import TrainConfig

PACKAGES = ("vector-universe", "torch", "transformers", "accelerate", "peft", "tokenizers", "datasets", "numpy",
            "pillow")

README = """# A run of Vector Universe

Trained on **{summary}**.

| file | what |
|---|---|
| `model/` | the trained model: `DualEncoder.from_pretrained("model")`; there once training has finished |
| `adapter/` | of a run that began from a given model: what it learned, by itself; `load_adapter(base, "adapter")` |
| `config.json` | every setting; the same settings and data give the same model |
| `data.json` | source, fingerprint and counts of the data |
| `skipped.csv` | rows that were left out, and why |
| `metrics.jsonl` | one line a logged step (`loss`, `geometry`), an epoch (`validation`), a warning (`verdict`) |
| `environment.json` | versions of the software |
| `checkpoint.safetensors` | state after the last whole epoch; the same command continues from it |

Next: `vu evaluate {run} --data {source}`, then `vu index {run} --data {source} --out universe`.
"""


class RunFolder:
    """Paths of a run, and the writing of what explains it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path / "model"
        self.adapter = path / "adapter"
        self.checkpoint = path / "checkpoint.safetensors"
        self.metrics = path / "metrics.jsonl"

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
        settings = asdict(config)
        data = {"source": dataset.source, "fingerprint": dataset.fingerprint, "summary": dataset.summary()}
        before = self._read("config.json"), self._read("data.json")
        if before[0] is not None and before[1] is not None:
            changed = [name for name in settings if settings[name] != before[0].get(name)]
            if changed or before[1].get("fingerprint") != data["fingerprint"]:
                what = "other settings (" + ", ".join(changed) + ")" if changed else "other data"
                raise UserError(f"{self.path} is a run with {what}: give --out a new folder")
            return
        self._write("config.json", settings)
        self._write("data.json", data)
        self._write("environment.json", {"python": platform.python_version(), "platform": platform.platform()}
                    | {package: version(package) for package in PACKAGES})
        (self.path / "README.md").write_text(
            README.format(summary=dataset.summary(), run=self.path, source=dataset.source))

    def write_skipped(self, rows: Sequence[SkippedRow]) -> None:
        """List what was left out, with its reason, in `skipped.csv`."""
        write_skipped(self.path / "skipped.csv", rows)

    def log(self, record: dict) -> None:
        """Append one line to `metrics.jsonl`."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def drop_metrics_after(self, epochs_done: int) -> None:
        """Forget lines of epochs that a kill left half done, so that every step stands there once."""
        if self.metrics.is_file():
            lines = self.metrics.read_text().splitlines(keepends=True)
            replace_text(self.metrics, "".join(line for line in lines if _epoch(line) <= epochs_done))

    def _read(self, name: str) -> dict | None:
        try:
            return json.loads((self.path / name).read_text())
        except (OSError, ValueError):
            return None

    def _write(self, name: str, content: dict) -> None:
        replace_text(self.path / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _epoch(line: str) -> float:
    try:
        return json.loads(line)["epoch"]
    except (ValueError, KeyError):  # a line cut short by a kill
        return float("inf")
