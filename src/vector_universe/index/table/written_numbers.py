"""Numbers as people and their tables write them: "5,400", "1 234.5", "1.2M"; and cells that stand for no value.

The page has the same rule (`web/src/data/written_numbers.ts`); `tests/written_numbers.json` pins both.
"""

from __future__ import annotations

import re
from fractions import Fraction

_BLANKS = frozenset({"", "nan", "n/a", "na", "null", "none", "-", "–"})
_LONGEST = 290  # characters: more could be beyond all floats, and Python refuses to read thousands of digits
_SUFFIXES = {"k": 10**3, "m": 10**6, "b": 10**9}
# Groups of three with one separator throughout, a comma, an apostrophe or a space of some width; or digits alone.
_NUMBER = re.compile(r"(?P<digits>-?(?:[1-9][0-9]{0,2}(?P<between>[,'’ \u00a0\u2009\u202f])[0-9]{3}"
                     r"(?:(?P=between)[0-9]{3})*|0|[1-9][0-9]*)(?P<decimals>\.[0-9]+)?)(?P<suffix>[KkMmBb])?")


def written_number(text: str) -> int | float | None:
    """The number that a text writes out; None where it writes none, as "007" (a code) and "1e5".

    With a decimal point and no suffix it is a float; with a suffix, a float only where it is not whole.
    """
    plain = text.strip()
    found = _NUMBER.fullmatch(plain) if len(plain) <= _LONGEST else None
    if found is None:
        return None
    digits = found["digits"].replace(found["between"] or ",", "")
    if found["suffix"]:
        exact = Fraction(digits) * _SUFFIXES[found["suffix"].lower()]
        return int(exact) if exact.denominator == 1 else float(exact)
    return float(digits) if found["decimals"] else int(digits)


def is_blank(text: str) -> bool:
    """Whether a cell among numbers stands for no value."""
    return text.strip().lower() in _BLANKS
