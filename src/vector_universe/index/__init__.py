"""The Universe: a searchable, mapped collection of images together with the model that embedded it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vector_universe.index.search.filters import AnyOf, Compare, HasLabel, Not, OneOf
    from vector_universe.index.search.matches import Hit, MapPoints, Matches
    from vector_universe.index.search.query import Part, Query
    from vector_universe.index.universe import Universe

__all__ = ["AnyOf", "Compare", "HasLabel", "Hit", "MapPoints", "Matches", "Not", "OneOf", "Part", "Query", "Universe"]

_HOMES = {"Universe": "universe", "Query": "search.query", "Part": "search.query"} | dict.fromkeys(
    ("Hit", "MapPoints", "Matches"), "search.matches") | dict.fromkeys(
    ("AnyOf", "Compare", "HasLabel", "Not", "OneOf"), "search.filters")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"vector_universe.index.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
