"""The data's own columns: which type each has, and how a value becomes one of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vector_universe.index.table.rows import schema_of

if TYPE_CHECKING:
    import pyarrow as pa

    from vector_universe.data import ImageTextDataset

_LARGEST_INT = 2**63


def column_types(dataset: ImageTextDataset) -> dict[str, pa.DataType]:
    """The type of each metadata column of a data set: bool, int64, float64, or else string; by its values.

    Numbers that a table gives as text ("2017") are numbers where every value of the column is one.
    """
    import pyarrow as pa

    ranks: dict[str, set[str]] = {}
    for row in _metadata(dataset):
        for name, value in row.items():
            ranks.setdefault(name, set()).add(_kind(value))
    types = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string()}
    found = {}
    for name, kinds in ranks.items():
        kinds -= {"none"}
        if kinds:
            widest = kinds.pop() if len(kinds) == 1 else "float" if kinds == {"int", "float"} else "text"
            found[name] = types[widest]
    return found


def as_columns(metadata: Iterable[str]) -> dict[str, str]:
    """The column of the table for each metadata name: itself, unless that is taken or not allowed."""
    names: dict[str, str] = {}
    taken = {name.casefold() for name in schema_of(1, {}).names}
    for name in metadata:
        column = name.replace(".", "_").replace("`", "_") or "unnamed"
        while column.casefold() in taken:
            column = f"metadata_{column}"
        names[name] = column
        taken.add(column.casefold())
    return names


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
    if pa.types.is_integer(type):
        return int(value) if kind == "int" else None
    return float(value) if kind in ("int", "float") else None


def _metadata(dataset: ImageTextDataset) -> Iterable[dict[str, Any]]:
    for row in dataset.table.select_columns("metadata"):
        if row["metadata"]:
            yield json.loads(row["metadata"])


def _kind(value: Any) -> str:
    """ "none", "bool", "int", "float" or "text"."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, int) and abs(value) < _LARGEST_INT:
        return "int"
    if isinstance(value, float):
        return "float" if math.isfinite(value) else "none" if math.isnan(value) else "text"
    return "text"


def _number(text: str) -> int | float | str | None:
    """The number that a text writes out, plain or with a decimal point; "007" and "1e5" stay texts."""
    plain = text.strip()
    digits = plain.removeprefix("-")
    if digits.isascii() and digits.replace(".", "", 1).isdigit() and not digits.startswith((".", "00")) \
            and not (digits.startswith("0") and len(digits) > 1 and digits[1] != ".") and not digits.endswith("."):
        return float(plain) if "." in digits else int(plain)
    return text
