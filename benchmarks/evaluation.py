"""Time and memory of the evaluation: `python -m benchmarks.evaluation [--quick] [--only ROW…]`.

Each row's module says what it compares with; `--quick` takes smaller sizes and one repeat, and its rows say so.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks import linear_probe, retrieval

ROWS: dict[str, Callable[[str, bool], None]] = {  # (case, quick)
    "retrieval_100k": retrieval.measure, "linear_probe_50k": linear_probe.measure}


def main() -> None:
    """Measure the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, one repeat")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="these rows")
    options = parser.parse_args()
    for name in options.only:
        ROWS[name](name, options.quick)


if __name__ == "__main__":
    main()
