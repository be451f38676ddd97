"""A table of 1 GB is read with memory that does not grow with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.formats import picture

ROOT = Path(__file__).parents[1]
IMAGES, BYTES, WORDS = 2000, 1_000_000_000, 150

READ = """
import json, re, sys, time
from vector_universe.data import Example, LoadOptions, load_dataset, stream_examples
from vector_universe.data.importing import import_data
import datasets, pyarrow, pyarrow.parquet
verb, source, out = sys.argv[1:]

def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

before, start = peak_mb(), time.process_time()
if verb == "import":
    import_data(source, out, LoadOptions())
    texts = images = None
elif verb == "load":
    data = load_dataset(source)
    images, texts = len(data), len(data[len(data) - 1].texts)
else:
    images = texts = 0
    for example in stream_examples(source):
        images, texts = images + 1, texts + len(example.texts)
print(json.dumps({"images": images, "texts": texts, "seconds": time.process_time() - start,
                  "grown_mb": peak_mb() - before}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("order", ["together", "scattered"])
def test_a_table_of_a_gigabyte(order, tmp_path):
    """Rows of one image stand together, or as far apart as can be."""
    (tmp_path / "images").mkdir()
    for number in range(IMAGES):
        (tmp_path / "images" / f"{number}.png").write_bytes(picture("red"))
    rows = 0
    with (tmp_path / "metadata.csv").open("w", encoding="utf-8") as table:
        table.write("image,caption\n")
        per_image = BYTES // (IMAGES - 1) // (7 * WORDS)
        while table.tell() < BYTES:
            image = rows % IMAGES if order == "scattered" else rows // per_image % IMAGES
            table.write(f'{image}.png,"{"wörd, " * WORDS}{rows}"\n')
            rows += 1
    for verb in ("stream", "load", "import"):
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "HF_DATASETS_CACHE": str(tmp_path / "cache")}
        done = subprocess.run([sys.executable, "-c", READ, verb, str(tmp_path), str(tmp_path / "out")],
                              env=environment, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        print(order, verb, found, file=sys.stderr)
        assert found["grown_mb"] < 400, found
        if verb == "stream":
            assert found["texts"] == rows
