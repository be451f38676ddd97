"""What a universe answers with: matches, and places on its map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Hit:
    """One match: its row number in the universe, what is said about it, and its cosine to the query.

    `score` is None where burnt-in words alone were asked for; `ocr` is the burnt-in text, "" where none was read.
    `probability` that it is right, 0 to 1: of a query by text alone among vectors of images, with a model whose cosines
    were measured (see `Calibration`); else None.
    """

    index: int
    id: str
    title: str
    labels: list[str]
    score: float | None
    ocr: str = ""
    probability: float | None = None


@dataclass(frozen=True)
class MapPoints:
    """Every item's place on the map, in row order; x and y are (N,) float32 in [-1, 1]."""

    ids: list[str]
    titles: list[str]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    labels: list[list[str]]
