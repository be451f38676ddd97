"""The built page over a universe that is made up: clusters of stars, labels and topics, no model behind it."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np

STATIC = Path(__file__).parents[1] / "src" / "vector_universe" / "serve" / "static"
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8">
<rect width="8" height="8" fill="hsl({},60%,55%)"/></svg>"""
LABELS = 24
CLUSTERS = 60
NO_TOPIC = 65535


class SyntheticUniverse:
    """`count` stars in 60 clusters, each a topic; 24 labels, 1 or 2 a star; the same for the same count.

    Places are all but a few within [-1, 1].
    """

    def __init__(self, count: int):
        random = np.random.default_rng(count)
        self.count = count
        centres = random.uniform(-0.7, 0.7, (CLUSTERS, 2))
        sizes = random.dirichlet(np.full(CLUSTERS, 1.2))
        self.topic = random.choice(CLUSTERS, count, p=sizes).astype("<u2")
        spread = random.uniform(0.02, 0.12, CLUSTERS)[self.topic]
        self.places = (centres[self.topic] + random.normal(size=(count, 2)) * spread[:, None]).astype("<f4")
        self.label = (self.topic % LABELS).astype("<u2")
        self.second = random.random(count) < 0.3
        self.centres = centres

    def info(self) -> dict:
        counts = np.bincount(self.label, minlength=LABELS)
        sizes = np.bincount(self.topic, minlength=CLUSTERS)
        fine = [{"name": f"topic {number}", "share": 0.8, "size": int(size), "x": float(x), "y": float(y)}
                for number, (size, (x, y)) in enumerate(zip(sizes, self.centres, strict=True))]
        return {
            "name": "Made up", "count": self.count, "dimension": 512, "vectors": "image",
            "columns_of_vectors": ["image"], "version": "1", "product_version": "0", "attribution": "", "examples": [],
            "labels": [{"name": f"label {number}", "count": int(size)} for number, size in enumerate(counts)],
            "topics": {"fine": fine, "coarse": fine[:12], "parents": [number % 12 for number in range(CLUSTERS)]},
            "columns": [], "calibrated": False, "recall": None, "remark": None, "model": "none", "other": None,
        }

    def map(self) -> bytes:
        labels = np.stack([self.label, (self.label + 7) % LABELS], axis=1)
        start = np.concatenate([[0], np.cumsum(1 + self.second)]).astype("<u4")
        carried = labels[np.stack([np.ones(self.count, bool), self.second], axis=1)].astype("<u2")
        columns = {"x": self.places[:, 0], "y": self.places[:, 1], "topic": self.topic, "label_start": start,
                   "labels": carried}
        return map_bytes("1", self.count, columns)

    def item(self, row: int) -> dict:
        return {"row": row, "id": f"item-{row}", "title": f"Star number {row}", "labels": [f"label {self.label[row]}"]}

    def scores(self) -> bytes:
        return np.cos(np.hypot(*(self.places - self.centres[0]).T)).astype("<f4").tobytes()


def map_bytes(version: str, count: int, columns: dict[str, np.ndarray]) -> bytes:
    """The columns of a map as the page reads them: the length of a header, the header, the columns."""
    placed, offset = [], 1024
    for name, column in columns.items():
        placed.append({"name": name, "offset": offset, "length": len(column)})
        offset += -(-column.nbytes // 4) * 4
    header = json.dumps({"version": version, "count": count, "columns": placed}).encode().ljust(1020)
    answer = bytearray(offset)
    answer[:1024] = struct.pack("<I", len(header)) + header
    for place, column in zip(placed, columns.values(), strict=True):
        answer[place["offset"]:place["offset"] + column.nbytes] = np.ascontiguousarray(column).tobytes()
    return bytes(answer)


@contextmanager
def served(universe: SyntheticUniverse) -> Iterator[str]:
    """Serves the page and the universe; gives the address."""
    whole_map = universe.map()
    info = json.dumps(universe.info()).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, query = urlsplit(self.path)[2:4]
            if path == "/api/info":
                return self.answer(info)
            if path == "/api/map":
                return self.answer(whole_map, "application/octet-stream")
            if path == "/api/health":
                return self.answer(b'{"status": "ok", "version": "1"}')
            if path == "/api/map/items":
                items = [universe.item(int(row)) for row in parse_qs(query)["row"]]
                return self.answer(json.dumps({"version": "1", "items": items}).encode())
            if path.startswith("/api/items/"):
                row = int(path.rsplit("-", 1)[1])
                x, y = map(float, universe.places[row])
                more = {"x": x, "y": y, "topic": None, "ocr": "", "predicted_label": None, "metadata": {}}
                return self.answer(json.dumps(universe.item(row) | more).encode())
            if path.startswith("/api/thumbnails/"):
                return self.answer(PICTURE.format(int(path.rsplit("-", 1)[1]) * 47 % 360).encode(), "image/svg+xml")
            file = STATIC / (path.lstrip("/") or "index.html")
            if file.suffix in KINDS and file.is_file():
                return self.answer(file.read_bytes(), KINDS[file.suffix])
            return self.answer(b'{"detail": "not here"}', status=404)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/api/scores":
                return self.answer(universe.scores(), "application/octet-stream")
            x, y = map(float, universe.centres[0])
            nearest = np.argsort(np.hypot(*(universe.places - universe.centres[0]).T))[:24]
            hits = [universe.item(int(row)) | {"score": 0.5 - rank / 100, "probability": None}
                    for rank, row in enumerate(nearest)]
            return self.answer(json.dumps({
                "hits": hits, "position": {"x": x, "y": y}, "doubt": None, "among": universe.count, "recall": None,
                "next_offset": None, "version": "1"}).encode())

        def answer(self, body: bytes, kind: str = "application/json", status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", "default-src 'self'; img-src 'self' blob: data:")
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # the page has gone elsewhere
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
