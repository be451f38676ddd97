"""Under which names the data's own columns stand in the table, and why where it is not their own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from vector_universe.index.table.rows import schema_of

# Of Lance: what every table has besides, what a search or a merge adds, and "all columns".
_RESERVED = frozenset({"_rowid", "_rowaddr", "_rowoffset", "_row_created_at_version", "_row_last_updated_at_version",
                       "_distance", "_score", "_relevance_score", "__action", "__merge_source_sentinel", "*"})
_LONGEST = 200  # characters
_NOT_ALLOWED = re.compile("[.`\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class ColumnName:
    """A column of the data: its name there, the name in the table, and why they differ ("" where they do not)."""

    name: str
    column: str
    why: str = ""


def column_names(names: Iterable[str], there: Collection[str] = (),
                 known: Mapping[str, str] | None = None) -> list[ColumnName]:
    """The column of the table for each name of the data: itself, unless that is taken, reserved or not allowed.

    Args:
        names: in the order of the data.
        there: the data's own columns that the table has already; what stood there under its own name stays there.
        known: columns of names that were stored under another name before; they stay where they are too.
    """
    names, known = list(names), known or {}
    ours = {name.casefold() for name in schema_of(1, {}).names}
    given = {known[name].casefold() for name in names if name in known}
    found = []
    for name in names:
        column, why = (name, "") if name in there else _allowed(name)
        if name in known:
            column, why = known[name], why or _taken(column, ours, given, there) or "it was stored so before"
        while name not in known and (taken := _taken(column, ours, given, there)):
            column, why = f"metadata_{column}", why or taken
        given.add(column.casefold())
        found.append(ColumnName(name, column, why))
    return found


def _allowed(name: str) -> tuple[str, str]:
    """A name that can be one of a column, and why it is another one."""
    if not name:
        return "unnamed", "it has no name"
    column = _NOT_ALLOWED.sub("_", name)[:_LONGEST]
    if len(name) > _LONGEST:
        return column, f"a name has at most {_LONGEST} characters"
    return column, "" if column == name else "dots, back-ticks and control characters cannot be part of a name"


def _taken(column: str, ours: set[str], given: set[str], there: Collection[str]) -> str:
    """Why a column cannot have this name; "" where it can."""
    folded = column.casefold()
    if folded in ours:
        return "every universe has a column of that name"
    if folded in given:
        return "another column has that name"
    return "the table keeps that name for itself" if folded in _RESERVED and column not in there else ""
