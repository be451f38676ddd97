"""Curation written slowly and plainly, to compare with."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from xxhash import xxh3_128_intdigest


def spell(text: str) -> str:
    """One character after the other."""
    text = "".join(char.lower() for char in unicodedata.normalize("NFKC", text))
    return " ".join("".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in text).split())


def matches(query: str, text: str, substring: bool = False) -> bool:
    return query in spell(text) if substring else f" {query} " in f" {spell(text)} "


@dataclass
class Slow:
    """What a curation must come to.

    Attributes:
        found: of each id its queries, where there are any.
        counts: pairs that match each query.
        charged: of each kept id its query.
    """

    found: dict[str, list[str]]
    counts: dict[str, int]
    charged: dict[str, str] = field(default_factory=dict)

    def load(self, query: str) -> int:
        return list(self.charged.values()).count(query)


def curate_slowly(pairs: Mapping[str, Sequence[str]], queries: Sequence[str], cap: int, seed: int = 0,
                  substring: bool = False) -> Slow:
    """The definition, word for word: by rank, each pair to the first of its queries with room."""
    found = {id: [query for query in sorted(queries) if any(matches(query, text, substring) for text in texts)]
             for id, texts in pairs.items()}
    found = {id: queries for id, queries in found.items() if queries}
    slow = Slow(found, {query: sum(query in matched for matched in found.values()) for query in queries})
    for id in sorted(found, key=lambda id: xxh3_128_intdigest(id.encode(), seed)):
        for query in sorted(found[id], key=lambda query: (slow.counts[query], query)):
            if slow.load(query) < cap:
                slow.charged[id] = query
                break
    return slow
