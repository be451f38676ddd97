"""Exact ranks in both directions against two ways over the full matrix of scores; a row of `benchmarks.evaluation`.

`full_matrix` is restated from the description of CLIP_benchmark: all scores, right pairs as a matrix of the same size,
and for each k the top k in batches of 64, scattered into zeros and compared with the right pairs. It has recall alone,
and is timed for k of 1, 5 and 10. `full_matrix_counting` is the same matrix, well used: every rank by one comparison,
without a sort. Both are given one right candidate a query. Times are medians; the three take turns. Scores nearer
than 1e-6 are ties, which count against the model in ours and in the latter; a sort knows no ties, and two products
round a score at that edge to either side of it: `equal_result` lets each differ by two queries in a recall, and
`queries_that_differ` says by how many one did at most.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.report import report
from vector_universe.evaluation.geometry import TIE
from vector_universe.evaluation.ranks import ranks_both_ways

WIDTH = 512
BATCH = 64
RECALLS = (1, 5, 10)
NOISE = 0.25  # a column; with it three of four texts find their image among the first 10 of 16,000


def measure(case: str, quick: bool) -> None:
    """Report the large job, and the three ways at a size whose full matrix fits comfortably."""
    large, fits, repeats = (20_000, 4_000, 1) if quick else (100_000, 16_000, 3)
    note = f"{large:,} × {large:,} × {WIDTH}, both directions"
    found = _child("large", large, 1)
    for metric in ("peak_rss_gb", "seconds", "time_vs_product"):
        report(case, metric, found[metric], note)
    note = f"{fits:,} × {fits:,} × {WIDTH}, {repeats} repeats"
    for metric, value in _child("compare", fits, repeats).items():
        report(case, metric, value, note)


def large(size: int, _: int) -> dict[str, float]:
    """Seconds and peak memory of both directions; and against the bare product in the same tiles."""
    texts_QD, images_ND = pairs(size)
    right = [[query] for query in range(size)]
    start = time.perf_counter()
    ranks_both_ways(texts_QD, images_ND, right)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"peak_rss_gb": peak, "seconds": seconds, "time_vs_product": seconds / _product_seconds(texts_QD, images_ND)}


def compare(size: int, repeats: int) -> dict[str, float]:
    """How many times as long the full matrix takes, and whether all find the same recalls."""
    texts_QD, images_ND = pairs(size)
    ways: dict[str, Callable[[np.ndarray, np.ndarray], list[float]]] = {
        "ours": ours, "full_matrix": full_matrix, "full_matrix_counting": full_matrix_counting}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    recalls = {}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            recalls[name] = way(texts_QD, images_ND)
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    differ = {name: round(max(abs(np.subtract(found, recalls["ours"]))) * size) for name, found in recalls.items()}
    most = max(differ.values())
    return {"seconds_at_size": median["ours"], "speedup_vs_full_matrix": median["full_matrix"] / median["ours"],
            "speedup_vs_full_matrix_counting": median["full_matrix_counting"] / median["ours"],
            "equal_result": float(most <= 2), "queries_that_differ": most,
            "recall_at_10": recalls["ours"][2]}


def ours(texts_QD: np.ndarray, images_ND: np.ndarray) -> list[float]:
    """Recalls of both directions by `ranks_both_ways`."""
    return [float(np.mean(found.first_A <= k))
            for found in ranks_both_ways(texts_QD, images_ND, [[query] for query in range(len(texts_QD))])
            for k in RECALLS]


def full_matrix(texts_QD: np.ndarray, images_ND: np.ndarray) -> list[float]:
    """Recalls by top k of the full matrix against a matrix of right pairs."""
    scores_QN = torch.from_numpy(texts_QD) @ torch.from_numpy(images_ND).T
    right_QN = torch.eye(len(texts_QD), dtype=torch.bool)
    return [_recall(scores, right, k) for scores, right in ((scores_QN, right_QN), (scores_QN.T, right_QN.T))
            for k in RECALLS]


def _recall(scores_QN: Tensor, right_QN: Tensor, k: int) -> float:
    hits = 0
    for start in range(0, len(scores_QN), BATCH):
        right_BN = right_QN[start:start + BATCH]
        best_BK = scores_QN[start:start + BATCH].topk(k, dim=1).indices
        found_BN = torch.zeros_like(right_BN).scatter_(1, best_BK, True)
        share_B = (found_BN & right_BN).sum(1) / right_BN.sum(1)
        hits += int((share_B > 0).sum())
    return hits / len(scores_QN)


def full_matrix_counting(texts_QD: np.ndarray, images_ND: np.ndarray) -> list[float]:
    """Recalls by how many scores of the full matrix are at least about the right one, along rows and columns."""
    scores_QN = torch.from_numpy(texts_QD) @ torch.from_numpy(images_ND).T
    right_Q = scores_QN.diagonal() - TIE
    by_row, by_column = (scores_QN >= right_Q[:, None]).sum(1), (scores_QN >= right_Q).sum(0)
    return [float((ranks <= k).double().mean()) for ranks in (by_row, by_column) for k in RECALLS]


def pairs(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of texts and images; text i is image i with noise."""
    generator = np.random.default_rng(0)
    images_ND = generator.standard_normal((size, WIDTH), dtype=np.float32)
    images_ND /= np.linalg.norm(images_ND, axis=1, keepdims=True)
    texts_QD = generator.standard_normal((size, WIDTH), dtype=np.float32)
    texts_QD *= NOISE
    texts_QD += images_ND
    texts_QD /= np.linalg.norm(texts_QD, axis=1, keepdims=True)
    return texts_QD, images_ND


def _product_seconds(texts_QD: np.ndarray, images_ND: np.ndarray) -> float:
    """What the product alone takes, by the share of it that the first 10,000 texts are."""
    part = torch.from_numpy(texts_QD)[:10_000]
    images = torch.from_numpy(images_ND)
    scores = torch.empty(len(part) // 10, 1000)
    start = time.perf_counter()
    for texts in part.split(len(scores)):
        for band in images.split(1000):
            torch.mm(texts, band.T, out=scores)
    return (time.perf_counter() - start) * len(texts_QD) / len(part)


def _child(name: str, size: int, repeats: int) -> dict[str, float]:
    """One measurement in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, "-m", "benchmarks.retrieval", name, str(size), str(repeats)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    MEASUREMENTS = {"large": large, "compare": compare}
    print(json.dumps(MEASUREMENTS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))))
