"""Typed filters: which items may be found at all, by their columns and labels.

A filter is plain data, never a piece of a query language: what a user gives is checked against the table's columns and
only then spelled as SQL, identifiers quoted and texts escaped. A filter keeps an item only where it is known to hold:

- a comparison with a missing value (null, or NaN in a column of floats) does not hold, whichever the comparison, but
  for `!=`, which is the negation of `=`;
- a negation (`Not`, `!=`) keeps what the filter inside leaves out, items with missing values among them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from vector_universe.errors import UserError
from vector_universe.index.table.rows import metadata_columns
from vector_universe.index.table.written_numbers import written_number

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
_YEAR = re.compile(r"\s*[12][0-9]{3}\s*")


@dataclass(frozen=True)
class Compare:
    """Items whose value in a column compares to one value; texts compare by code point, case and all.

    Attributes:
        column: of texts, whole numbers, floats or true/false (for which only = and != have a meaning).
        value: for a column of numbers or of true/false a text that reads as one will do ("5,000", "1.2M"). A column of
            texts has no order that a number could be put in.
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
    """Items that carry a label, in any case and Unicode form."""

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


class Held(Protocol):
    """What a table holds, as far as filters ask."""

    def spellings(self, label: str) -> Sequence[str]:
        """The labels of the table that differ from this one in case or Unicode form alone."""

    def no_numbers(self, column: str) -> Sequence[str]:
        """Some values of a column of texts that are no numbers."""


def to_sql(filters: Sequence[Filter], schema: pa.Schema, held: Held | None = None) -> str | None:
    """The condition of all filters together, for `where(…, prefilter=True)`; None where there is no filter.

    Args:
        filters: what an item must pass, all of it.
        schema: of the table.
        held: what the table holds; without it a label is found in the spelling asked for alone.

    Raises:
        UserError: a column is missing or not to be filtered by, a value does not fit its column or is not finite, an
            unknown operator, a number to order texts by, `OneOf` or `AnyOf` of nothing, or filters nested or
            multiplied beyond reason.
    """
    parts = sum(_size(filter, 1) for filter in filters)
    if parts > _MAX_PARTS:
        raise UserError(f"the filters have {parts:,} parts: give at most {_MAX_PARTS:,}")
    return " AND ".join(_condition(filter, schema, held) for filter in filters) or None


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


def _condition(filter: Filter, schema: pa.Schema, held: Held | None) -> str:
    """One filter in parentheses."""
    match filter:
        case Compare(column, operator, value):
            return _comparison(column, operator, value, schema, held)
        case OneOf(column, values):
            if not values:
                raise UserError(f"the filter on {_shown(column)} has no value to choose from: give at least one")
            field = _field(column, schema)
            listed = ", ".join(_literal(value, field) for value in values)
            return _known(f"{_quoted(column)} IN ({listed})", field)
        case HasLabel(label):
            if LABELS not in schema.names:
                raise UserError("these items have no labels to filter by")
            return _carries(_text(label), () if held is None else held.spellings(label))
        case Not(inner):
            return _negated(_condition(inner, schema, held))
        case AnyOf(filters):
            if not filters:
                raise UserError("AnyOf of no filters lets nothing through: give at least one")
            return "(" + " OR ".join(_condition(one, schema, held) for one in filters) + ")"
    raise AssertionError(filter)  # `_size` has seen it


def _carries(asked: str, spellings: Sequence[str]) -> str:
    """The condition that an item has a label, given in quotes, or one of its other spellings."""
    every = dict.fromkeys([asked, *map(_text, spellings)])
    if len(every) == 1:
        return f"(array_has({_quoted(LABELS)}, {asked}))"
    return f"(array_has_any({_quoted(LABELS)}, make_array({', '.join(every)})))"


def _comparison(column: str, operator: str, value: Value, schema: pa.Schema, held: Held | None) -> str:
    if operator not in get_args(Operator):
        raise UserError(f"{_shown(operator)} is no comparison: choose one of {' '.join(get_args(Operator))}")
    field = _field(column, schema)
    if kind_of(field.type) == "bool" and operator not in ("=", "!="):
        raise UserError(f"column {column!r} holds true or false, which are not more or less than each other: "
                        "compare with = or !=")
    if kind_of(field.type) == "text" and operator not in ("=", "!=") and _is_number(value):
        raise UserError(_no_order(column, value, schema, held))
    literal = _literal(value, field)
    if operator == "!=":
        return _negated(_known(f"{_quoted(column)} = {literal}", field))
    return _known(f"{_quoted(column)} {operator} {literal}", field)


def _is_number(value: Value) -> bool:
    if isinstance(value, str):
        return written_number(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _no_order(column: str, value: Value, schema: pa.Schema, held: Held | None) -> str:
    """Why a column of texts is not ordered by a number, and the ways out."""
    ways = []
    if column in metadata_columns(schema):
        values = [] if held is None else held.no_numbers(column)
        if held is not None and not values:
            ways.append("all its values read as numbers, so index the data into a new folder")
        else:
            which = f" ({', '.join(map(_shown, values))})" if values else ""
            ways.append(f"clean the values that are no numbers{which} and index into a new folder")
    if _YEAR.fullmatch(str(value)):
        ways.append("write a date with its month, such as 2020-01")
    ways.append("compare with = or !=")
    return (f"column {column!r} holds texts, which compare letter by letter ('900' comes after '5400') and not with "
            f"the number {_shown(value)}: {', or '.join(ways)}")


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
            return _whole_number(_read(value), field)
        case "float":
            return repr(_number(_read(value), field))
        case _:
            if isinstance(value, str) and value.strip().lower() in ("true", "false"):
                value = value.strip().lower() == "true"
            if not isinstance(value, bool):
                raise UserError(f"column {field.name!r} holds true or false: {_shown(value)} is neither")
            return str(value).lower()


def _read(value: Value) -> Value:
    """A text that writes out a number as that number."""
    number = written_number(value) if isinstance(value, str) else None
    return value if number is None else number


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
