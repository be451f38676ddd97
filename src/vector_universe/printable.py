"""Texts of data, such as titles, ids and names of files, as a terminal may be sent them.

Control characters could move its cursor, clear it or set its title; those of writing direction could show an order that
is not there. Both are shown as what they are. Joined emoji, Arabic and Hebrew stay whole.
"""

from __future__ import annotations

import re

# C0 but tab and newline, DEL and C1; embeddings, overrides and isolates of direction; halves of characters.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_OR_SPACE = re.compile(f"{_UNSAFE.pattern}|[\t\n]")


def printable(text: str) -> str:
    """A text of one line, whatever was in it; what a terminal would obey reads \\x1b, \\n or \\u202e instead."""
    return _UNSAFE_OR_SPACE.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """As `printable`, for a text that may have several lines, and tabs."""
    return _UNSAFE.sub(_escaped, text)


def printable_json(text: str) -> str:
    """A text of JSON that says the same: what is unsafe inside of its strings is escaped as JSON does it."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
