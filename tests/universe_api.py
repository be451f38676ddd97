"""A small universe behind the API, without a network."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from fastapi.testclient import TestClient

from tests.universes import FakeModel, data_set, png
from vector_universe.data.example import Example
from vector_universe.index import Universe
from vector_universe.serve import create_app

ODD_ID = "set/가 'x'; DROP?.png"


def examples() -> list[Example]:
    """Twelve noise pictures, even or odd, with a year and a note; the last has an awkward id, no label and no title."""
    found = [Example(f"item-{number}", png(number), [f"picture {number}"],
                     ["even" if number % 2 == 0 else "odd", "all"],
                     metadata={"year": 2000 + number, "note": "=1+1" if number == 3 else f"note {number}"})
             for number in range(11)]
    return [*found, Example(ODD_ID, png(11), [], [])]


def write_universe(out: Path) -> Path:
    """Those, indexed."""
    Universe.build(FakeModel(), data_set(examples()), out)
    return out


@contextmanager
def asked(folder: Path, model: FakeModel | None = None, **how: object) -> Iterator[TestClient]:
    """A client of the API over a universe."""
    app = create_app(Universe.open(folder, model or FakeModel()), **how)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def form(query: object, *pictures: bytes) -> dict:
    """A request with pictures, as `client.post` takes it."""
    return {"data": {"query": query if isinstance(query, str) else json.dumps(query)},
            "files": [("image", (f"{place}.png", picture, "image/png")) for place, picture in enumerate(pictures)]}


def read_map(answer: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """The header and the columns of a map."""
    length = struct.unpack_from("<I", answer)[0]
    header = json.loads(answer[4:4 + length])
    types = {"x": "<f4", "y": "<f4", "topic": "<u2", "label_start": "<u4", "labels": "<u2"}
    return header, {column["name"]: np.frombuffer(answer, types[column["name"]], column["length"], column["offset"])
                    for column in header["columns"]}


def bomb(side: int = 15_000) -> bytes:
    """A PNG of a few hundred bytes whose header promises side × side pixels."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(9999))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
