"""What a universe answers with: matches, and places on its map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Metadata = str | int | float | bool | None


@dataclass(frozen=True)
class Hit:
    """One match: what is said about it, and its cosine to the query.

    `score` is None in a listing, where nothing but filters or burnt-in words were asked for; `ocr` is the burnt-in
    text, "" where none was read; `probability` that it is right, 0 to 1: of a query by one text alone among vectors of
    images, with a model whose cosines were measured (see `Calibration`); else None. `metadata` are the data's own
    columns, by name; `predicted_label` is the one that `vu label` gave.
    """

    id: str
    title: str
    labels: list[str]
    score: float | None
    ocr: str = ""
    probability: float | None = None
    metadata: dict[str, Metadata] = field(default_factory=dict)
    predicted_label: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data; burnt-in text, metadata and predicted label only where there is any."""
        said = {"id": self.id, "title": self.title, "labels": self.labels, "score": self.score,
                "probability": self.probability}
        more = {"ocr": self.ocr, "metadata": self.metadata, "predicted_label": self.predicted_label}
        return said | {name: value for name, value in more.items() if value}


@dataclass(frozen=True)
class Matches(Sequence[Hit]):
    """One page of matches, best first: a sequence of hits that knows how far it is to be trusted.

    Attributes:
        hits: the page itself.
        doubt: one line for people where the best hit is too far away to be an answer, "nothing here matches well …".
        among: how many items passed the query's filters and could have been found.
        recall: share of the truly nearest that a search of this effort finds, as measured; None where every item was
            compared.
        next_offset: where the next page begins; None on the last one.
        wanted_D: what was looked for, as a unit vector (D,), float32; None of a listing. It is no part of equality.
        row_ids: (n,) int64, Lance's row ids of the hits at the version of the table that was searched; no part of
            equality either.
    """

    hits: tuple[Hit, ...]
    among: int
    doubt: str | None = None
    recall: float | None = None
    next_offset: int | None = None
    wanted_D: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    row_ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64), compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, place: int) -> Hit: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Hit, ...]: ...

    def __getitem__(self, place: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[place]


@dataclass(frozen=True)
class MapPoints:
    """Every item's place on the map, in row order; x and y are (N,) float32 in [-1, 1], topic (N,) int32."""

    ids: list[str]
    titles: list[str]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    labels: list[list[str]]
    topic: NDArray[np.int32]
