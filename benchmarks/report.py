"""How every benchmark prints what it measured."""

from __future__ import annotations

import json
import sys


def report(case: str, metric: str, value: float, note: str = "") -> None:
    """One figure: a JSON line on stdout, a table row on stderr; `note` says what was other than the case's name."""
    row = {"case": case, "metric": metric, "value": value} | ({"note": note} if note else {})
    print(json.dumps(row), flush=True)
    print(f"{case:<28} {metric:<48} {value:>10.3f}  {note}".rstrip(), file=sys.stderr)
