"""Lines for people, beside the output of a command."""

from __future__ import annotations

import sys

from vector_universe.printable import printable


def say(line: str) -> None:
    """One line on stderr; nothing that came from data can steer the terminal or begin another line."""
    print(printable(line), file=sys.stderr)
