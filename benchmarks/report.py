"""How every benchmark prints what it measured."""

from __future__ import annotations

import json
import sys


def report(case: str, metric: str, value: float) -> None:
    """One figure: a JSON line on stdout, a table row on stderr."""
    print(json.dumps({"case": case, "metric": metric, "value": value}), flush=True)
    print(f"{case:<28} {metric:<48} {value:>10.3f}", file=sys.stderr)
