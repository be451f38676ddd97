"""From a table and its pictures to examples: `python -m benchmarks.reading [--quick]`.

A table of five captions a picture is read by `stream_examples`, headers of the pictures included; CPU time of one
thread, the best of several turns, in a process that has read it once before.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.report import report
from vector_universe.data import Example, stream_examples

PICTURES, CAPTIONS = 3000, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the pictures, three turns")
    quick = parser.parse_args().quick
    pictures = PICTURES // 3 if quick else PICTURES
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), pictures)
        seconds = min(turn(Path(folder), pictures) for _ in range(4 if quick else 10))
    note = f"{pictures:,} pictures of {CAPTIONS} rows"
    report("read_table", "rows_per_second", pictures * CAPTIONS / seconds, note=note)
    report("read_table", "pictures_per_second", pictures / seconds, note=note)


def write(folder: Path, pictures: int) -> None:
    """The folder: JPEGs of 64 pixels, and metadata.csv."""
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "title", "labels", "channel", "views"])
        for number in range(pictures):
            name = f"{number:06}.jpg"
            Image.fromarray(random.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / "images" / name)
            table.writerows([name, f'Caption {caption} of "picture" {number}, — été', "cat|dog",
                             f"channel {number % 20}", number * 7] for caption in range(CAPTIONS))


def turn(folder: Path, pictures: int) -> float:
    """CPU seconds of one reading."""
    started = time.process_time()
    found = sum(isinstance(item, Example) for item in stream_examples(folder))
    assert found == pictures
    return time.process_time() - started


if __name__ == "__main__":
    main()
