"""Reading and balancing data: `python -m benchmarks.data [--quick] [--data FOLDER]`.

`benchmarks.reading` (rows `read_…`), `benchmarks.decoding` (`decode_…`) and `benchmarks.curation` (`curate_…`), each in
a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    quick = ["--quick"] * options.quick
    for name, more in (("reading", []), ("decoding", ["--data", str(options.data)]), ("curation", [])):
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *quick, *more], check=False)
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
