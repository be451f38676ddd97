"""What filters need to know of a table's values: how its labels are spelled, and which texts are no numbers."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from vector_universe.index.search.filters import LABELS
from vector_universe.index.table.item_table import ItemTable
from vector_universe.index.table.written_numbers import is_blank, written_number

_FEW = 3


class Contents:
    """What one version of a table holds; each question reads its column at most once."""

    def __init__(self, table: ItemTable) -> None:
        self._table = table
        self._no_numbers: dict[str, list[str]] = {}

    def spellings(self, label: str) -> Sequence[str]:
        """The labels of the table that differ from this one in case or Unicode form alone."""
        return self._spellings.get(folded(label), ())

    def no_numbers(self, column: str) -> Sequence[str]:
        """Up to three values of a column of texts that are neither numbers nor blanks."""
        if column not in self._no_numbers:
            found: list[str] = []
            for value in self._distinct(self._table.scan([column])[column]):
                if not is_blank(value) and written_number(value) is None:
                    found.append(value)
                    if len(found) == _FEW:
                        break
            self._no_numbers[column] = found
        return self._no_numbers[column]

    @cached_property
    def _spellings(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for label in self._distinct(pc.list_flatten(self._table.scan([LABELS])[LABELS])):
            found.setdefault(folded(label), []).append(label)
        return found

    @staticmethod
    def _distinct(texts: pa.ChunkedArray) -> list[str]:
        return [text for text in texts.unique().to_pylist() if text is not None]


def folded(label: str) -> str:
    """Equal for labels that differ in case or Unicode form alone."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", label).casefold())
