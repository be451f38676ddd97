"""Many clients at once against one at a time: `python -m benchmarks.serving [--quick] [--data FOLDER]`.

A universe of 100,000 vectors under a full-size CLIP ViT-B/32 with random weights (time does not depend on them) is
served by uvicorn in a process of its own. Searches by text and by 640 × 480 JPEGs, in turn, come from 64 clients at
once for 60 seconds; before and after that the same requests come from one client, which waits for each answer. All
clients together are one more process, on the same cores. Needs CLIP's vocabulary in the data folder.

`share_of_model` compares their throughput with what the model alone makes of such a mix in full batches, with all cores
to itself, before the server starts: 1 / (½ / images a second + ½ / texts a second). Where most of the time is the
model's, as with a ViT on a CPU without bf16, no server can be several times as fast as one request at a time.

`share_503` are the requests that were told to come again. `rss_*_mb` is the server's resident memory after a warm-up,
in the middle and at the end; `rss_growth_mb` is from the second quarter's median to the last quarter's.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from benchmarks.report import report
from benchmarks.serving_data import Asked, requests, write_universe
from vector_universe import DualEncoder

CLIENTS = 64
COUNT, SECONDS, ALONE_SECONDS = 100_000, 60.0, 15.0
QUICK_COUNT, QUICK_SECONDS, QUICK_ALONE_SECONDS = 20_000, 12.0, 5.0
_SERVER = """
import sys, uvicorn
from vector_universe.serve import create_app
uvicorn.run(create_app(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")
"""


@dataclass
class Measured:
    """What clients saw."""

    seconds: float = 0.0
    latencies: dict[str, list[float]] = field(default_factory=lambda: {"text": [], "image": []})
    busy: int = 0
    errors: list[str] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return sum(map(len, self.latencies.values()))

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def main() -> None:
    """Serve, ask, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 vectors, 12 seconds")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    vocabulary = arguments.data / "clip-facts" / "bpe_simple_vocab_16e6.txt.gz"
    if not vocabulary.is_file():
        sys.exit(f"{vocabulary} is not there: give its folder's folder by --data")
    count, seconds, alone_seconds = (QUICK_COUNT, QUICK_SECONDS, QUICK_ALONE_SECONDS) if arguments.quick else (
        COUNT, SECONDS, ALONE_SECONDS)
    with tempfile.TemporaryDirectory(prefix="vector-universe-serving-") as scratch:
        universe = Path(scratch) / "universe"
        write_universe(universe, vocabulary, count)
        limit = model_limit(f"{scratch}/clip")
        with served(universe) as (port, process):
            load(port, process, 4, 3.0, seed=1)  # the model is loaded, and threads have their buffers
            before = load(port, process, 1, alone_seconds, seed=2)
            together = load(port, process, CLIENTS, seconds, seed=3)
            after = load(port, process, 1, alone_seconds, seed=4)
    note = f"{count:,} × 512, ViT-B/32, half texts, half 640 × 480 JPEGs, {seconds:.0f} s"
    alone = (before.answered + after.answered) / (before.seconds + after.seconds)
    for case, found in (("serving_alone", after), (f"serving_{CLIENTS}_clients", together)):
        report(case, "per_second", alone if found is after else found.per_second, note)
        for kind, latencies in found.latencies.items():
            report(case, f"p50_ms_{kind}", 1000 * quantile(latencies, 0.5), note)
            report(case, f"p99_ms_{kind}", 1000 * quantile(latencies, 0.99), note)
        report(case, "errors", len(found.errors), "; ".join(sorted(set(found.errors))[:3]))
        report(case, "share_503", found.busy / max(1, found.busy + found.answered), note)
    resident = together.resident
    quarter = max(1, len(resident) // 4)
    case = f"serving_{CLIENTS}_clients"
    report(case, "times_alone", together.per_second / alone, "asked: 3 or more")
    report(case, "share_of_model", together.per_second / limit, f"the model alone: {limit:.1f} a second")
    for name, value in (("start", resident[0]), ("middle", resident[len(resident) // 2]), ("end", resident[-1])):
        report(case, f"rss_{name}_mb", value)
    report(case, "rss_growth_mb", statistics.median(resident[-quarter:])
           - statistics.median(resident[quarter:2 * quarter]), "asked: flat")


def model_limit(folder: str) -> float:
    """Requests a second of half pictures and half texts if there were nothing but the model, in full batches."""
    model = DualEncoder.from_pretrained(folder).eval()
    side = model.config.image_size
    pixels = np.random.default_rng(0).integers(0, 256, (32, side, side, 3), np.uint8)
    texts = [f"a small red wooden car by the river {number}" for number in range(64)]
    seconds = []
    for embed, items in ((model.embed_pixels, pixels), (model.embed_texts, texts)):
        embed(items)  # warm-up
        began = time.perf_counter()
        embed(items)
        seconds.append((time.perf_counter() - began) / len(items))
    return 2 / sum(seconds)


@contextmanager
def served(universe: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A server in a process of its own, up and running; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", _SERVER, str(universe), str(port)])
    try:
        for _ in range(600):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", "/api/health")
                connection.getresponse().read()
                break
            except OSError:
                if process.poll() is not None:
                    sys.exit("the server stopped while it was starting")
                time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def load(port: int, process: psutil.Process, clients: int, seconds: float, seed: int) -> Measured:
    """So many clients, each asking again as soon as it is answered."""
    found = Measured()
    lists = [requests(64, seed * 1000 + client) for client in range(clients)]
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=client, args=(port, asked, end, found, number % 2))
               for number, asked in enumerate(lists)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        found.resident.append(process.memory_info().rss / 1e6)
        time.sleep(0.5)
    for thread in threads:
        thread.join()
    found.seconds = time.monotonic() - began
    return found


def client(port: int, asked: list[Asked], end: float, found: Measured, first: int) -> None:
    """Ask one after the other over one connection, from the `first` on, until the end; come again after a 503."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    number = first
    while time.monotonic() < end:
        one = asked[number % len(asked)]
        number += 1
        began = time.monotonic()
        try:
            connection.request("POST", "/api/search", one.new(number), {"Content-Type": one.content_type})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            found.errors.append(type(error).__name__)
            connection.close()
            continue
        if response.status == 200 and len(json.loads(body)["hits"]) == 24:
            found.latencies[one.kind].append(time.monotonic() - began)
        elif response.status == 503:
            found.busy += 1
            time.sleep(float(response.headers["Retry-After"]))
        else:
            found.errors.append(f"{response.status} {body[:80]!r}")
    connection.close()


def quantile(values: list[float], share: float) -> float:
    """Of some values, by rank."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


if __name__ == "__main__":
    main()
