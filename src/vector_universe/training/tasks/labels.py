"""The labels of the examples, as objectives take them."""

from __future__ import annotations

from collections.abc import Sequence

from vector_universe.data import Example
from vector_universe.errors import UserError
from vector_universe.losses import LabelSets


def label_sets(examples: Sequence[Example], what: str) -> tuple[LabelSets, list[str]]:
    """The labels of the examples, and their names in order.

    Raises:
        UserError: there are none at all.
    """
    names = sorted({label for example in examples for label in example.labels})
    if not names:
        raise UserError(f"{what} needs labels, and no training picture has any: add a column labels to metadata.csv")
    place = {name: number for number, name in enumerate(names)}
    return LabelSets.from_lists([[place[label] for label in example.labels] for example in examples], len(names)), names
