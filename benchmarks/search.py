"""Approximate search against its peers: `python -m benchmarks.search [--quick] [--only ROW…]`.

All rows of a size search the same vectors with the same queries (`benchmarks.search_data` says what they are): 200
images that are not in the collection, and 200 texts. Every row runs in a process of its own.

    ivf_200k, ivf_1m    ours: Lance's IVF with 4-bit RaBitQ codes at effort "balanced", whose setting is chosen on
                        other queries; vectors stay on disk; a filter is SQL over a column
    faiss_hnsw_200k     faiss' HNSW (M = 32, efConstruction = 200) in memory, float32; a filter is an IDSelector
    usearch_200k        usearch's HNSW (connectivity 32, expansion_add 200) in memory, fp16; it has no filter: 20 times
                        as many results are asked for at 5 %, 1000 times (at most 10,000) at .1 %, the rest is dropped
    exact_200k          numpy's product with all vectors in memory, float32; a filter takes the matching rows

The graphs' width of search (efSearch, expansion_search) is the least of 64, 128, …, 4096 that reaches the targets
of "balanced" (.98 for images, .97 for texts) on the other queries; so that all rows aim at the same recall.

`recall_at_20_*` is against exact search in one place. `filtered_recall_*` is the mean over all queries among the rows
that a filter keeps, 5 % or 0.1 % of them at random. `p50_ms` is one query at a time, half images, half texts; `qps` is
two threads. `memory_gb` is the peak of resident memory (read off Linux) above that before the row began, `disk_gb`
what it keeps on disk (for what lives in memory: its saved form), `build_s` the time from the vectors' file to an index
that can be searched (for ours with the table written), `measure_s` that of choosing the setting after it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import report
from benchmarks.search_data import WIDTH, images, texts, world, write_images

K = 20
SHARES = {"5pct": 0.05, "0.1pct": 0.001}
QUERIES, QUICK_QUERIES = 200, 40
TUNING = 100  # queries of each kind to choose the width of a graph's search by
ROWS = {"ivf_200k": 200_000, "ivf_1m": 1_000_000, "faiss_hnsw_200k": 200_000, "usearch_200k": 200_000,
        "exact_200k": 200_000}
QUICK = {200_000: 20_000, 1_000_000: 60_000}


class Peer(Protocol):
    """What is measured: made from a file of vectors, asked for the 20 rows nearest to a query."""

    def build(self, vectors_ND: NDArray[np.float16], shares_N: NDArray[np.float64], folder: Path) -> None: ...

    def tune(self, images_QD: NDArray[np.float32], texts_QD: NDArray[np.float32], truths: list[set[int]]) -> str: ...

    def search(self, query_D: NDArray[np.float32], share: float | None) -> list[int]: ...


class Ours:
    """Lance, through `vector_universe.index`."""

    def build(self, vectors_ND: NDArray[np.float16], shares_N: NDArray[np.float64], folder: Path) -> None:
        import lancedb
        import pyarrow as pa

        from vector_universe.index.search.approximate import build_vector_index

        schema = pa.schema([("number", pa.int64()), ("share", pa.float64()),
                            ("image", pa.list_(pa.float16(), WIDTH))])

        def batches() -> Iterator[pa.RecordBatch]:
            for start in range(0, len(vectors_ND), 8192):
                part = np.ascontiguousarray(vectors_ND[start:start + 8192])
                yield pa.record_batch([pa.array(np.arange(start, start + len(part))),
                                       pa.array(shares_N[start:start + len(part)]),
                                       pa.FixedSizeListArray.from_arrays(part.ravel(), WIDTH)], schema=schema)

        self.table = lancedb.connect(folder).create_table("items", pa.RecordBatchReader.from_batches(schema, batches()))
        build_vector_index(self.table, "image")
        rows = self.table.search().select(["number"]).with_row_id(True).to_arrow()
        self.numbers = dict(zip(rows["_rowid"].to_pylist(), rows["number"].to_pylist(), strict=True))

    def tune(self, images_QD: NDArray[np.float32], texts_QD: NDArray[np.float32], truths: list[set[int]]) -> str:
        from vector_universe.index.search.recall import measure_recall

        self.measured = measure_recall(self.table, "image", images_QD, texts_QD)
        chosen = self.measured.setting("balanced")
        return f"nprobes {chosen.nprobes}, refine {chosen.refine}"

    def search(self, query_D: NDArray[np.float32], share: float | None) -> list[int]:
        from vector_universe.index.search.approximate import nearest

        where = None if share is None else f"share < {share}"
        ids, _ = nearest(self.table, "image", query_D, K, where=where, measured=self.measured)
        return [self.numbers[id] for id in ids]


class Graph:
    """A graph whose width of search is chosen by its recall."""

    def tune(self, images_QD: NDArray[np.float32], texts_QD: NDArray[np.float32], truths: list[set[int]]) -> str:
        for width in (64, 128, 256, 512, 1024, 2048, 4096):
            self.widen(width)
            found = _recalls(self, np.concatenate([images_QD, texts_QD]), truths, None)
            if np.mean(found[:len(images_QD)]) >= 0.98 and np.mean(found[len(images_QD):]) >= 0.97:
                break
        return f"width {width}"

    def widen(self, width: int) -> None:
        raise NotImplementedError

    def search(self, query_D: NDArray[np.float32], share: float | None) -> list[int]:
        raise NotImplementedError


class Faiss(Graph):
    """faiss.IndexHNSWFlat."""

    def build(self, vectors_ND: NDArray[np.float16], shares_N: NDArray[np.float64], folder: Path) -> None:
        import faiss

        self.faiss, self.shares_N, self.selectors = faiss, shares_N, {}
        self.index = faiss.IndexHNSWFlat(WIDTH, 32, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = 200
        for start in range(0, len(vectors_ND), 20_000):
            self.index.add(vectors_ND[start:start + 20_000].astype(np.float32))
        faiss.write_index(self.index, str(folder / "index"))

    def widen(self, width: int) -> None:
        self.width = width

    def search(self, query_D: NDArray[np.float32], share: float | None) -> list[int]:
        parameters = self.faiss.SearchParametersHNSW(efSearch=self.width)
        if share is not None:
            if share not in self.selectors:
                matches = np.flatnonzero(self.shares_N < share)
                self.selectors[share] = self.faiss.IDSelectorBatch(matches)
            parameters.sel = self.selectors[share]
        _, rows = self.index.search(query_D[None], K, params=parameters)
        return [row for row in rows[0].tolist() if row >= 0]


class Usearch(Graph):
    """usearch.index.Index."""

    def build(self, vectors_ND: NDArray[np.float16], shares_N: NDArray[np.float64], folder: Path) -> None:
        from usearch.index import Index

        self.shares_N = shares_N
        self.index = Index(ndim=WIDTH, metric="ip", dtype="f16", connectivity=32, expansion_add=200)
        for start in range(0, len(vectors_ND), 20_000):
            part = np.ascontiguousarray(vectors_ND[start:start + 20_000])
            self.index.add(np.arange(start, start + len(part), dtype=np.uint64), part)
        self.index.save(str(folder / "index"))

    def widen(self, width: int) -> None:
        self.index.expansion_search = width

    def search(self, query_D: NDArray[np.float32], share: float | None) -> list[int]:
        count = K if share is None else min(10_000, round(K / share))
        rows = self.index.search(query_D.astype(np.float16), count).keys.astype(np.int64)
        return (rows if share is None else rows[self.shares_N[rows] < share])[:K].tolist()


class Exact:
    """All vectors in memory, in float32."""

    def build(self, vectors_ND: NDArray[np.float16], shares_N: NDArray[np.float64], folder: Path) -> None:
        self.vectors_ND, self.shares_N = vectors_ND.astype(np.float32), shares_N
        np.save(folder / "vectors.npy", vectors_ND)

    def tune(self, images_QD: NDArray[np.float32], texts_QD: NDArray[np.float32], truths: list[set[int]]) -> str:
        return ""

    def search(self, query_D: NDArray[np.float32], share: float | None) -> list[int]:
        if share is None:
            return _top(self.vectors_ND @ query_D).tolist()
        rows = np.flatnonzero(self.shares_N < share)
        return rows[_top(self.vectors_ND[rows] @ query_D)].tolist()


PEERS: dict[str, Callable[[], Peer]] = {"ivf": Ours, "faiss": Faiss, "usearch": Usearch, "exact": Exact}


def main() -> None:
    """Measure the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller collections, fewer queries")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="these rows")
    options = parser.parse_args()
    queries = QUICK_QUERIES if options.quick else QUERIES
    with tempfile.TemporaryDirectory(prefix="vector-universe-search-") as scratch:
        made: set[int] = set()
        for case in options.only:
            count = QUICK[ROWS[case]] if options.quick else ROWS[case]
            if count not in made:
                make(Path(scratch), count, queries)
                made.add(count)
            command = [sys.executable, "-m", "benchmarks.search", "--child", case, scratch, str(count), str(queries)]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found = json.loads(out.splitlines()[-1])
            note = f"{count:,} × {WIDTH}, {queries} images and {queries} texts; {found.pop('setting')}".rstrip("; ")
            for metric, value in found.items():
                report(case, metric, value, note)


def make(scratch: Path, count: int, queries: int) -> None:
    """The vectors, the queries, and what exact search finds, in files that the rows share."""
    of = world()
    vectors_ND = write_images(of, count, scratch / f"{count}.npy")
    shares_N = np.random.default_rng(1).random(count)
    asked_QD = np.concatenate([images(of, 1, queries), texts(of, 2, queries),
                               images(of, 3, TUNING), texts(of, 4, TUNING)])
    limits = {"all": 2.0, **SHARES}
    best: dict[str, tuple[NDArray, NDArray]] = {
        name: (np.full((len(asked_QD), K), -1), np.full((len(asked_QD), K), -2.0)) for name in limits}
    for start in range(0, count, 20_000):
        part_BD = vectors_ND[start:start + 20_000].astype(np.float32)
        scores_QB = asked_QD @ part_BD.T
        for name, limit in limits.items():
            kept = np.flatnonzero(shares_N[start:start + len(part_BD)] < limit)
            rows, scores = best[name]
            rows = np.concatenate([rows, np.tile(kept + start, (len(asked_QD), 1))], axis=1)
            scores = np.concatenate([scores, scores_QB[:, kept]], axis=1)
            top = np.argpartition(-scores, K - 1, axis=1)[:, :K]
            best[name] = np.take_along_axis(rows, top, axis=1), np.take_along_axis(scores, top, axis=1)
    np.savez(scratch / f"{count}.npz", asked=asked_QD, shares=shares_N,
             **{f"truth_{name}": rows for name, (rows, _) in best.items()})


def measure(case: str, scratch: Path, count: int, queries: int) -> dict[str, float | str]:
    """One row, in a process of its own."""
    vectors_ND = np.load(scratch / f"{count}.npy", mmap_mode="r")
    stored = np.load(scratch / f"{count}.npz")
    asked_QD, shares_N = stored["asked"], stored["shares"]
    truth = {name: [set(row) - {-1} for row in stored[f"truth_{name}"].tolist()] for name in ("all", *SHARES)}
    ask_QD, tune_QD = asked_QD[:2 * queries], asked_QD[2 * queries:]
    peer = PEERS[case.split("_")[0]]()
    before = _memory()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        start = time.perf_counter()
        peer.build(vectors_ND, shares_N, Path(folder))
        build_s = time.perf_counter() - start
        disk = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        start = time.perf_counter()
        setting = peer.tune(tune_QD[:TUNING], tune_QD[TUNING:], truth["all"][2 * queries:])
        measure_s = time.perf_counter() - start
        recalls = _recalls(peer, ask_QD, truth["all"], None)
        found: dict[str, float | str] = {
            "recall_at_20_image": float(np.mean(recalls[:queries])),
            "recall_at_20_text": float(np.mean(recalls[queries:])), "p50_ms": _p50(peer, ask_QD, None)}
        start = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda query_D: peer.search(query_D, None), ask_QD))
        found["qps"] = len(ask_QD) / (time.perf_counter() - start)
        for name, share in SHARES.items():
            found[f"filtered_recall_{name}"] = float(np.mean(_recalls(peer, ask_QD, truth[name], share)))
            found[f"filtered_p50_ms_{name}"] = _p50(peer, ask_QD, share)
    return {**found, "memory_gb": (_memory() - before) / 2**30, "disk_gb": disk / 2**30, "build_s": build_s,
            "measure_s": measure_s, "setting": setting}


def _recalls(peer: Peer, queries_QD: NDArray[np.float32], truths: list[set[int]], share: float | None) -> list[float]:
    return [len(truth.intersection(peer.search(query_D, share))) / len(truth)
            for query_D, truth in zip(queries_QD, truths, strict=False)]


def _p50(peer: Peer, queries_QD: NDArray[np.float32], share: float | None) -> float:
    seconds = []
    for query_D in queries_QD:
        start = time.perf_counter()
        peer.search(query_D, share)
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)


def _top(scores_N: NDArray[np.float32]) -> NDArray[np.int64]:
    few = np.argpartition(-scores_N, min(K, len(scores_N)) - 1)[:K]
    return few[np.argsort(-scores_N[few])]


def _memory() -> int:
    """The peak of this process alone (Linux): that of getrusage is inherited from the process that started it."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))))
    else:
        main()
