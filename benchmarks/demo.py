"""The demo's figures and times: recall on seen, unseen and second-artist emoji, and how fast `vu` starts.

`--quick` trains for 2 epochs instead of 36 (the recalls then say nothing; its rows are named `demo_quick`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.report import report
from vector_universe.demo import demo
from vector_universe.training import TrainConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick

    python = sys.executable
    repeats = 2 if quick else 7
    report("startup", "import_vector_universe_s", _median_seconds([python, "-c", "import vector_universe"], repeats))
    report("startup", "vu_help_s", _median_seconds([str(Path(python).with_name("vu")), "--help"], repeats))

    case = "demo_quick" if quick else "demo"
    with tempfile.TemporaryDirectory() as folder:
        metrics = demo(Path(folder) / "demo", TrainConfig(epochs=2) if quick else TrainConfig())
        for name, recall in metrics["text_to_image_recall_at_10"].items():
            report(case, f"recall_at_10: {name}", recall)
        for name, seconds in metrics["seconds"].items():
            report(case, f"{name}_s", seconds)
        started = time.perf_counter()
        if not quick:  # `vu demo` trains with the defaults alone
            subprocess.run([str(Path(python).with_name("vu")), "demo", "--out", str(Path(folder) / "demo"),
                            "--no-serve"], check=True, capture_output=True)
            report(case, "second_run_s", time.perf_counter() - started)


def _median_seconds(command: list[str], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return median(seconds)


if __name__ == "__main__":
    main()
