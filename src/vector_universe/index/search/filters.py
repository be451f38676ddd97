"""Typed filters: which items may be found at all, by their columns and labels.

A filter is plain data, never a piece of a query language: what a user gives is checked against the table's columns and
only then spelled as SQL, identifiers quoted and texts escaped. A filter keeps an item only where it is known to hold:

- a comparison with a missing value (null, or NaN in a column of floats) does not hold, whichever the comparison, but
  for `!=`, which is the negation of `=`;
- a negation (`Not`, `!=`) keeps what the filter inside leaves out, items with missing values among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from vector_universe.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
Value = str | int | float | bool
LABELS = "labels"
# Of simple types, yet nobody's to filter by: what tells whether a picture has changed, and its perceptual hash.
_INTERNAL = frozenset({"look", "words", "said_sum", "image_sum", "text_sum", "fused_sum"})
_MAX_DEPTH = 16  # the database's parser gives up near 50 nested parentheses
_MAX_PARTS = 10_000
_SHOWN = 60


@dataclass(frozen=True)
class Compare:
    """Items whose value in a column compares to one value; texts compare by code point, case and all.

    Attributes:
        column: of texts, whole numbers, floats or true/false (for which only = and != have a meaning).
        value: for a column of numbers or of true/false a text that reads as one will do.
    """

    column: str
    operator: Operator
    value: Value


@dataclass(frozen=True)
class OneOf:
    """Items whose value in a column equals one of these, at least one."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class HasLabel:
    """Items that carry a label, spelled exactly so."""

    label: str


@dataclass(frozen=True)
class Not:
    """Items that a filter leaves out, those with missing values among them."""

    filter: Filter


@dataclass(frozen=True)
class AnyOf:
    """Items that at least one of these filters keeps."""

    filters: tuple[Filter, ...]


Filter = Compare | OneOf | HasLabel | Not | AnyOf


def to_sql(filters: Sequence[Filter], schema: pa.Schema) -> str | None:
    """The condition of all filters together, for `where(…, prefilter=True)`; None where there is no filter.

    Raises:
        UserError: a column is missing or not to be filtered by, a value does not fit its column or is not finite, an
            unknown operator, `OneOf` or `AnyOf` of nothing, or filters nested or multiplied beyond reason.
    """
    parts = sum(_size(filter, 1) for filter in filters)
    if parts > _MAX_PARTS:
        raise UserError(f"the filters have {parts:,} parts: give at most {_MAX_PARTS:,}")
    return " AND ".join(_condition(filter, schema) for filter in filters) or None


def filterable(schema: pa.Schema) -> list[str]:
    """The columns that `Compare` and `OneOf` take, by name: those of texts, numbers and true/false."""
    return [field.name for field in schema if field.name not in _INTERNAL and "`" not in field.name
            and kind_of(field.type) is not None]


def _size(filter: Filter, depth: int) -> int:
    """How many comparisons a filter comes to."""
    if depth > _MAX_DEPTH:
        raise UserError(f"the filters are nested deeper than {_MAX_DEPTH} levels: write them flatter")
    match filter:
        case Compare() | HasLabel():
            return 1
        case OneOf(_, values):
            return len(values)
        case Not(inner):
            return _size(inner, depth + 1)
        case AnyOf(inner):
            return sum(_size(one, depth + 1) for one in inner)
    raise UserError(f"{_shown(filter)} is no filter: give Compare, OneOf, HasLabel, Not or AnyOf")


def _condition(filter: Filter, schema: pa.Schema) -> str:
    """One filter in parentheses."""
    match filter:
        case Compare(column, operator, value):
            return _comparison(column, operator, value, schema)
        case OneOf(column, values):
            if not values:
                raise UserError(f"the filter on {_shown(column)} has no value to choose from: give at least one")
            field = _field(column, schema)
            listed = ", ".join(_literal(value, field) for value in values)
            return _known(f"{_quoted(column)} IN ({listed})", field)
        case HasLabel(label):
            if LABELS not in schema.names:
                raise UserError("these items have no labels to filter by")
            return f"(array_has({_quoted(LABELS)}, {_text(label)}))"
        case Not(inner):
            return _negated(_condition(inner, schema))
        case AnyOf(filters):
            if not filters:
                raise UserError("AnyOf of no filters lets nothing through: give at least one")
            return "(" + " OR ".join(_condition(one, schema) for one in filters) + ")"
    raise AssertionError(filter)  # `_size` has seen it


def _comparison(column: str, operator: str, value: Value, schema: pa.Schema) -> str:
    if operator not in get_args(Operator):
        raise UserError(f"{_shown(operator)} is no comparison: choose one of {' '.join(get_args(Operator))}")
    field = _field(column, schema)
    if kind_of(field.type) == "bool" and operator not in ("=", "!="):
        raise UserError(f"column {column!r} holds true or false, which are not more or less than each other: "
                        "compare with = or !=")
    literal = _literal(value, field)
    if operator == "!=":
        return _negated(_known(f"{_quoted(column)} = {literal}", field))
    return _known(f"{_quoted(column)} {operator} {literal}", field)


def _known(condition: str, field: pa.Field) -> str:
    """A NaN is a missing value, and not, as the database has it, larger than every number."""
    return f"({condition} AND NOT isnan({_quoted(field.name)}))" if kind_of(field.type) == "float" else f"({condition})"


def _negated(condition: str) -> str:
    """True where the condition is false or unknown."""
    return f"({condition} IS NOT TRUE)"


def _field(column: str, schema: pa.Schema) -> pa.Field:
    columns = filterable(schema)
    if column in columns:
        return schema.field(column)
    if column == LABELS and LABELS in schema.names:
        raise UserError("labels are filtered by HasLabel: an item carries several")
    reason = "cannot be filtered by" if column in schema.names else "is not there"
    raise UserError(f"the column {_shown(column)} {reason}: choose among {', '.join(columns) or 'none at all'}")


def kind_of(type: pa.DataType) -> Literal["text", "int", "float", "bool"] | None:
    """What a column of this type is compared with; None if it is not to be filtered by."""
    import pyarrow as pa

    if pa.types.is_string(type) or pa.types.is_large_string(type):
        return "text"
    if pa.types.is_integer(type):
        return "int"
    if pa.types.is_floating(type):
        return "float"
    return "bool" if pa.types.is_boolean(type) else None


def _literal(value: Value, field: pa.Field) -> str:
    """A value as SQL spells it in the column's type."""
    match kind_of(field.type):
        case "text":
            if not isinstance(value, str):
                raise UserError(f"column {field.name!r} holds texts: {_shown(value)} is none, put it in quotes")
            return _text(value)
        case "int":
            return _whole_number(value, field)
        case "float":
            return repr(_number(value, field))
        case _:
            if isinstance(value, str) and value.strip().lower() in ("true", "false"):
                value = value.strip().lower() == "true"
            if not isinstance(value, bool):
                raise UserError(f"column {field.name!r} holds true or false: {_shown(value)} is neither")
            return str(value).lower()


def _whole_number(value: Value, field: pa.Field) -> str:
    import pyarrow as pa

    try:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError
        number = int(value)
    except (ValueError, OverflowError, TypeError):
        raise UserError(f"column {field.name!r} holds whole numbers: {_shown(value)} is none") from None
    try:
        pa.scalar(number, field.type)
    except (pa.ArrowInvalid, OverflowError):
        raise UserError(f"column {field.name!r} holds whole numbers of type {field.type}: {_shown(value)} is beyond "
                        "them") from None
    return str(number)


def _number(value: Value, field: pa.Field) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
    except (ValueError, OverflowError, TypeError):
        raise UserError(f"column {field.name!r} holds numbers: {_shown(value)} is none") from None
    if not math.isfinite(number):
        raise UserError(f"column {field.name!r} is compared with {_shown(value)}: give a finite number")
    return number


def _text(value: str) -> str:
    """A text in single quotes; a backslash means itself, so that a quote is all there is to escape."""
    if not isinstance(value, str):
        raise UserError(f"{_shown(value)} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UserError(f"{_shown(value)} is no valid text: half of a character is missing") from None
    return "'" + value.replace("'", "''") + "'"


def _quoted(column: str) -> str:
    return f"`{column}`"  # a name with a back-tick in it is not `filterable`


def _shown(value: object) -> str:
    shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
