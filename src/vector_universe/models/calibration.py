"""Calibration: what a cosine means, as the probability of a match, measured on data (Platt 1999)."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from vector_universe.folders import replace_text
from vector_universe.models.source import read_json

FILE = "calibration.json"


@dataclass(frozen=True)
class Calibration:
    """How likely a hit is right, by its cosine to a text.

        logit P(right) = slope · cosine + intercept − ln(n / candidates)

    for a search among n images. One right image among ten times as many is found among ten times as many wrong ones of
    the same cosine: its odds fall tenfold. It holds for texts like those it was fitted on, which an image matches.

    Attributes:
        slope, intercept: fitted; slope > 0.
        candidates: how many images were searched then.
        threshold: cosine of the best hit under which a search among as many images most likely has no answer.
        queries: how many texts it was fitted on.
        data: fingerprint of the data set.
        model: fingerprint of the model; of any other its cosines mean nothing.
    """

    slope: float
    intercept: float
    candidates: int
    threshold: float
    queries: int
    data: str
    model: str

    def probability(self, cosine: float | np.ndarray, candidates: int | None = None) -> Any:
        """Probability, 0 to 1, that a hit of this cosine is right; an array for an array.

        Args:
            cosine: of the text to the image.
            candidates: how many images were searched; as many as in the fit by itself.
        """
        logits = self.slope * np.asarray(cosine, np.float64) + self.intercept - self._further(candidates)
        found = 0.5 * (1 + np.tanh(logits / 2))  # the logistic function, which never overflows so
        return float(found) if np.ndim(found) == 0 else found

    @property
    def least_probability(self) -> float:
        """Probability of a hit at the threshold: of a best hit below it, among however many images, nothing matches.

        Among more images the best wrong one comes nearer by chance alone, and what is asked of a cosine rises with it.
        """
        return float(self.probability(self.threshold))

    def _further(self, candidates: int | None) -> float:
        return 0.0 if candidates is None else math.log(max(1, candidates) / self.candidates)

    # ---- the file beside the model's config ----

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, name: str | PathLike, hub: dict[str, Any] | None = None) -> Calibration | None:
        """The calibration of a model's folder or hub name; None where there is none, or none that can be read."""
        found = read_json(name, FILE, hub or {})
        try:
            read = cls(**{field.name: found[field.name] for field in fields(cls)})
            numbers = (read.slope, read.intercept, read.threshold, math.log(read.candidates))
            return read if all(map(math.isfinite, numbers)) and read.slope > 0 else None
        except (KeyError, TypeError, ValueError):
            return None


def store_calibration(calibration: Calibration | None, folder: str | PathLike) -> None:
    """Write calibration.json into a model's folder, in place of an earlier one; None takes an earlier one away.

    Raises:
        OSError: the folder cannot be written.
    """
    path = Path(folder) / FILE
    if calibration is None:
        path.unlink(missing_ok=True)
    else:
        replace_text(path, calibration.to_json())
