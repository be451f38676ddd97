"""How a run went: its folder's `metrics.jsonl`, `config.json` and `data.json`, read back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vector_universe.errors import UserError

WHOLE_BATCHES = 256  # up to here `geometry` compares all pairs of a batch, whatever its width: it tells the batch size
NO_PARTS = {"epoch", "step", "loss", "logit_scale", "logit_bias", "pairs_per_second", "waiting", "batch_size",
            "gradient_norm"}
Points = tuple[list[int], list[float]]  # steps and values


@dataclass(frozen=True)
class History:
    """All that a run has written about itself.

    Attributes:
        steps: finite figures of single steps by flat names: "step", "loss", "geometry/pair_cosine"…
        validations: figures of validations, likewise: "step", "epoch", "validation/recall_at_10"…
        verdicts: what the collapse monitor said.
        config: the settings.
        summary: what was trained on, in one line; "" when it is not known.
        batch_size: pairs compared with each other in a step; None when it is not known.
    """

    steps: list[dict[str, float]]
    validations: list[dict[str, float]]
    verdicts: list[dict[str, Any]]
    config: dict[str, Any]
    summary: str
    batch_size: int | None

    @property
    def parts(self) -> list[str]:
        """Names of the loss's summands."""
        if shares := self.names("gradient_shares/"):
            return [name.removeprefix("gradient_shares/") for name in shares]
        return [name for name in self.names("")
                if name not in NO_PARTS and "/" not in name and not name.startswith("learning_rate")]

    def series(self, name: str) -> Points:
        """A figure by its flat name, where it is known."""
        records = self.validations if name.startswith("validation/") else self.steps
        found = [(int(record["step"]), record[name]) for record in records if name in record]
        return [step for step, _ in found], [value for _, value in found]

    def names(self, start: str) -> list[str]:
        """Names of the steps' figures that begin so."""
        return list(dict.fromkeys(name for record in self.steps for name in record if name.startswith(start)))

    @property
    def open_warnings(self) -> list[dict[str, Any]]:
        """The verdicts that were not taken back."""
        last = {verdict["name"]: verdict for verdict in self.verdicts}
        return [verdict for verdict in last.values() if not verdict["recovered"]]


def flat_figures(record: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a record by flat names: {"geometry": {"modality_gap": 1}} → {"geometry/modality_gap": 1}.

    What trackers and plots take. Texts, lists, None, NaN and infinities are left out.
    """
    flat: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}/{inner}": number for inner, number in flat_figures(value).items()}
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            flat[name] = value
    return flat


def read_history(run_path: Path) -> History:
    """Read a run folder, finished or not; lines of `metrics.jsonl` that a kill cut short are passed over.

    Raises:
        UserError: the folder has no metrics.
    """
    try:
        lines = (run_path / "metrics.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        raise UserError(f"{run_path} has no metrics.jsonl: give the folder of a run that has begun to train") from None
    records = [record for line in lines if isinstance(record := _parsed(line), dict)]
    everything = [flat_figures(record) for record in records]
    figures = [flat for flat in everything if "step" in flat]
    config = _read(run_path / "config.json")
    return History(
        steps=[flat for flat in figures if "loss" in flat],
        validations=[flat for flat in figures if any(name.startswith("validation/") for name in flat)],
        verdicts=[record["verdict"] for record in records if record.get("verdict")],
        config=config, summary=str(_read(run_path / "data.json").get("summary", "")),
        batch_size=_batch_size(everything, config))


def _batch_size(records: list[dict[str, float]], config: dict[str, Any]) -> int | None:
    """By what the metrics say, by the chance of recall@1 in a batch, or by the setting, which small data fall below."""
    for record in records:
        if "batch_size" in record:
            return int(record["batch_size"])
    for record in records:
        chance = record.get("geometry/chance_at_1")
        if chance and (compared := round(1 / chance)) < WHOLE_BATCHES:
            return compared
    setting = config.get("batch_size")
    return setting if isinstance(setting, int) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = _parsed(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
    return found if isinstance(found, dict) else {}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
