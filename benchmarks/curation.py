"""Curation beside a plain loop and MetaCLIP's way: `python -m benchmarks.curation [--quick] [--only CASE]`.

Generated captions, 5 to 19 words of a vocabulary of 500,000 by Zipf's law, and 50,000 queries: the 40,000 most frequent
words and 10,000 pairs of neighbouring words. From Parquet files to kept ids, in one process each and by its processor
time; the sides take turns, figures are medians. The plain loop, `for query in queries: query in text`, is measured on
a few texts and extrapolated. MetaCLIP's way (arXiv 2309.16671, section 3) is restated: an automaton of pyahocorasick
(extra `bench`) over each text between spaces, counts, then a pair is kept with probability cap / count for each query
that it matches. Memory is that of all processes together, with one process a core.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.report import report
from vector_universe.data.curation.config import CurationConfig
from vector_universe.data.curation.run import curate
from vector_universe.data.curation.shards import read, units_of

VOCABULARY, SINGLE, DOUBLE = 500_000, 40_000, 10_000
SHARD = 250_000  # texts a file
CAP_SHARE = 1.25e-5  # cap, of the texts: as 20,000 are of MetaCLIP's 1.6 billion
SYLLABLES = [first + last for first in "bcdfghjklmnprstvwz" for last in "aeiou"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="40,000 and 400,000 texts, one turn")
    parser.add_argument("--only", choices=["curate_1m", "curate_10m"])
    parser.add_argument("--side", choices=sorted(SIDES), help=argparse.SUPPRESS)  # the child processes
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(SIDES[arguments.side](arguments.folder)))
        return
    small, large = (40_000, 400_000) if arguments.quick else (1_000_000, 10_000_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_queries(folder)
        write_captions(folder, small)
        if arguments.only != "curate_10m":
            compare(folder, small, turns=1 if arguments.quick else 3)
        if arguments.only != "curate_1m":
            memory(folder, small, large)


def compare(folder: Path, texts: int, turns: int) -> None:
    """Rows of `curate_1m`."""
    note = "" if texts == 1_000_000 else f"{texts:,} texts"
    sides = ["ours", "metaclip"] if importlib.util.find_spec("ahocorasick") else ["ours"]
    if len(sides) == 1:
        print("pyahocorasick is not here, so no row about MetaCLIP's way: pip install 'vector-universe[bench]'",
              file=sys.stderr)
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(turns):
        for side in sides:
            found = child(side, folder)[0]
            seconds[side].append(found["seconds"])
            print(f"{side}: {found}", file=sys.stderr)
    ours = median(seconds["ours"])
    loop = child("python", folder)[0]
    both, _ = child("cores", folder)
    report("curate_1m", "seconds", ours, f"processor time, one process{', ' if note else ''}{note}")
    report("curate_1m", "seconds_all_cores", both["seconds"], note)
    report("curate_1m", "speedup_vs_python", loop["seconds"] / ours,
           f"loop extrapolated from {loop['texts']:.0f} texts{', ' if note else ''}{note}")
    if "metaclip" in seconds:
        report("curate_1m", "speedup_vs_metaclip_way", median(seconds["metaclip"]) / ours, note)


def memory(folder: Path, small: int, large: int) -> None:
    """Rows of `curate_10m`, beside the smaller set."""
    _, few = child("cores", folder)
    write_captions(folder, large)
    found, many = child("cores", folder)
    report("curate_10m", "peak_rss_gb", many, "" if large == 10_000_000 else f"{large:,} texts")
    report("curate_10m", "peak_rss_gb_of_1m", few, "" if small == 1_000_000 else f"{small:,} texts")
    report("curate_10m", "texts_a_second", large / found["seconds"], "all cores")


def child(side: str, folder: Path) -> tuple[dict[str, float], float]:
    """What a side says of itself, and the most memory of it and its children, in GB."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.curation", "--side", side, "--folder", str(folder)],
                               stdout=subprocess.PIPE, text=True)
    most, watched = 0, psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            most = max(most, sum(one.memory_info().rss for one in [watched, *watched.children(recursive=True)]))
        time.sleep(0.05)
    assert process.stdout is not None
    if process.returncode:
        sys.exit(f"{side} failed")
    return json.loads(process.stdout.read()), most / 1e9


def run_ours(folder: Path, processes: int | None = 1) -> dict[str, float]:
    """The product as it is, report and all."""
    cap = cap_of(folder)
    clock = time.process_time if processes == 1 else time.perf_counter
    with tempfile.TemporaryDirectory() as out:
        start = clock()
        kept = curate([str(folder / "texts")], Path(out, "curated"), CurationConfig(
            queries=folder / "queries.txt", cap=cap, processes=processes)).kept
        return {"seconds": clock() - start, "kept": kept}


def run_metaclip(folder: Path) -> dict[str, float]:
    """Matching as published, with the lists of matches held in memory rather than written and read again."""
    import ahocorasick
    start = time.process_time()
    cap, draw = cap_of(folder), random.Random(0)
    queries = (folder / "queries.txt").read_text().splitlines()
    automaton = ahocorasick.Automaton()
    for number, query in enumerate(queries):
        automaton.add_word(f" {query} ", number)
    automaton.make_automaton()
    counts = [0] * len(queries)
    found: list[tuple[str, list[int]]] = []
    for unit in units_of(sorted(map(str, (folder / "texts").iterdir()))):
        for batch in read(unit, ["id", "caption"]):
            for id, text in zip(batch["id"].to_pylist(), batch["caption"].to_pylist(), strict=True):
                matched = {number for _, number in automaton.iter(spaced(text))}
                if matched:
                    found.append((id, list(matched)))
                    for number in matched:
                        counts[number] += 1
    probability = [min(1.0, cap / max(count, 1)) for count in counts]
    kept = [id for id, matched in found if any(draw.random() < probability[number] for number in matched)]
    pq.write_table(pa.table({"id": kept}), folder / "metaclip.parquet")
    return {"seconds": time.process_time() - start, "kept": len(kept)}


def spaced(text: str) -> str:
    """Punctuation apart from words, spaces around."""
    text = f" {text} "
    for mark in (",", ".", ";", ":", "?", "!", "`"):
        text = text.replace(mark, f" {mark} ")
    for white in ("\t", "\n", "\r"):
        text = text.replace(white, " ")
    return text


def run_python(folder: Path) -> dict[str, float]:
    """The plain loop over some texts, and what all would take."""
    queries = [f" {query} " for query in (folder / "queries.txt").read_text().splitlines()]
    files = sorted((folder / "texts").iterdir())
    texts = sum(pq.read_metadata(file).num_rows for file in files)
    some = [f" {text} " for text in islice(pq.read_table(files[0])["caption"].to_pylist(), 400)]
    start = time.process_time()
    for text in some:
        _ = [number for number, query in enumerate(queries) if query in text]
    return {"seconds": (time.process_time() - start) * texts / len(some), "texts": len(some)}


SIDES: dict[str, Callable[[Path], dict[str, float]]] = {
    "ours": run_ours, "cores": lambda folder: run_ours(folder, None), "metaclip": run_metaclip, "python": run_python}


def cap_of(folder: Path) -> int:
    return max(2, round(CAP_SHARE * sum(pq.read_metadata(file).num_rows for file in (folder / "texts").iterdir())))


def write_captions(folder: Path, texts: int) -> None:
    """The same texts each time, in shards of Parquet."""
    (folder / "texts").mkdir(exist_ok=True)
    words = pa.array([word(number) for number in range(VOCABULARY)])
    for shard in range(-(-texts // SHARD)):
        chance = np.random.default_rng(shard)
        count = min(SHARD, texts - shard * SHARD)
        ends = np.concatenate(([0], np.cumsum(chance.integers(5, 20, count)))).astype(np.int32)
        chosen = words.take(pa.array(by_zipf(chance, int(ends[-1]))))
        captions = pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), chosen), " ")
        ids = pa.array([f"{shard:05d}-{number:07d}" for number in range(count)])
        pq.write_table(pa.table({"id": ids, "caption": captions}), folder / "texts" / f"{shard:05d}.parquet")


def write_queries(folder: Path) -> None:
    """Frequent words, and pairs of words as likely as they are in the texts."""
    queries = [word(number) for number in range(SINGLE)]
    chance, pairs = np.random.default_rng(10**6), set()
    while len(pairs) < DOUBLE:
        left, right = by_zipf(chance, 2)
        if left != right:
            pairs.add(f"{word(left)} {word(right)}")
    (folder / "queries.txt").write_text("".join(f"{query}\n" for query in [*queries, *sorted(pairs)]))


def by_zipf(chance: np.random.Generator, count: int) -> np.ndarray:
    """Numbers of words, the n-th with probability proportional to 1 / n."""
    weights = _weights()
    return np.searchsorted(weights, chance.random(count) * weights[-1])


@cache
def _weights() -> np.ndarray:
    return np.cumsum(1 / np.arange(1, VOCABULARY + 1))


def word(number: int) -> str:
    """A pronounceable name for a number."""
    number, name = int(number) + 1, ""
    while number:
        number, syllable = divmod(number, len(SYLLABLES))
        name += SYLLABLES[syllable]
    return name


if __name__ == "__main__":
    main()
