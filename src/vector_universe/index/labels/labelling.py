"""Which labels a universe was given, and what they make of pictures; new items are labelled by the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vector_universe.index.labels.zero_shot_labels import zero_shot_labels

if TYPE_CHECKING:
    from vector_universe.models import DualEncoder


NOTE = "labels"


@dataclass(frozen=True)
class Labelling:
    """Which labels a universe was given, and with which prompts."""

    labels: tuple[str, ...]
    prompts: str = "auto"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Labelling:
        """What `to_json` gave."""
        return cls(tuple(stored["labels"]), stored["prompts"])


def label_columns(model: DualEncoder, images_ND: NDArray[np.float32], labelling: Labelling) -> dict[str, Any]:
    """The columns `predicted_label` (None where none fits) and `predicted_probability` of N items.

    Args:
        model: embeds the prompts.
        images_ND: (N, D) unit rows, of images.
        labelling: the labels to choose from.

    Raises:
        UserError: there are no labels, or one is blank or there twice.
    """
    found = zero_shot_labels(model, images_ND, labelling.labels, prompts=labelling.prompts)
    return {"predicted_label": found.labels, "predicted_probability": found.probabilities_N}
