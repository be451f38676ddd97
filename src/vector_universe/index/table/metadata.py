"""The data's own columns: which type each has, and how a value becomes one of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from vector_universe.index.table.written_numbers import is_blank, written_number

if TYPE_CHECKING:
    import pyarrow as pa

    from vector_universe.data import ImageTextDataset

_LARGEST_INT = 2**63
_Kind = Literal["none", "blank", "bool", "int", "float", "text"]


def column_types(dataset: ImageTextDataset) -> dict[str, pa.DataType]:
    """The type of each metadata column of a data set: bool, int64, float64, or else string; by its values.

    Numbers that a table gives as text ("2017", "5,400", "1.2M") are numbers where every value of the column is one, or
    a blank such as "n/a" or "-". Beside any other text, all of them are texts as they stand.
    """
    kinds: dict[str, set[_Kind]] = {}
    for row in _metadata(dataset):
        for name, value in row.items():
            kinds.setdefault(name, set()).add(_kind(value))
    return {name: _type_of(found - {"none"}) for name, found in kinds.items() if found != {"none"}}


def cast(value: Any, type: pa.DataType) -> Any:
    """A value in a column's type; None where it is no value of that type."""
    import pyarrow as pa

    kind = _kind(value)
    if kind == "none":
        return None
    if pa.types.is_string(type):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if pa.types.is_boolean(type):
        return value if kind == "bool" else None
    number: Any = written_number(value) if isinstance(value, str) else value
    if pa.types.is_integer(type):
        is_whole = kind == "int" or (kind == "float" and number.is_integer() and abs(number) < _LARGEST_INT)
        return int(number) if is_whole else None
    return float(number) if kind in ("int", "float") else None


def misfit(data: pa.DataType, column: pa.DataType) -> str:
    """In words, why values of a type do not become values of a column as they are; "" where they do."""
    import pyarrow as pa

    if data == column or (data, column) == (pa.int64(), pa.float64()):
        return ""
    words = {pa.bool_(): "true or false", pa.int64(): "whole numbers", pa.float64(): "numbers", pa.string(): "texts"}
    becomes = "they stay texts" if column == pa.string() else "those that do not fit are left out"
    return f"{words[column]} in this universe, and {words[data]} in the data: {becomes}"


def _metadata(dataset: ImageTextDataset) -> Iterable[dict[str, Any]]:
    for row in dataset.table.select_columns("metadata"):
        if row["metadata"]:
            yield json.loads(row["metadata"])


def _type_of(kinds: set[_Kind]) -> pa.DataType:
    import pyarrow as pa

    if kinds & {"int", "float"}:
        kinds = kinds - {"blank"}
    if kinds == {"bool"}:
        return pa.bool_()
    if kinds == {"int"}:
        return pa.int64()
    return pa.float64() if kinds <= {"int", "float"} else pa.string()


def _kind(value: Any) -> _Kind:
    """What a value is by itself; a blank is none among numbers, and a text like any other among texts."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        number = written_number(value)
        if number is None:
            return "blank" if is_blank(value) else "text"
        value = number
    if isinstance(value, int) and abs(value) < _LARGEST_INT:
        return "int"
    if isinstance(value, float):
        return "float" if math.isfinite(value) else "none" if math.isnan(value) else "text"
    return "text"
