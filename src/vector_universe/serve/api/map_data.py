"""The map as it travels: places, topics and labels of all items in one binary answer."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vector_universe.serve.served.snapshot import Snapshot


def map_bytes(snapshot: Snapshot) -> bytes:
    """Every item's place, topic and labels.

    A little-endian uint32, the length of the JSON header after it: {version, count, columns: [{name, offset, length}]}
    with offsets in bytes from the start of the answer, multiples of 4, and lengths in elements. Then the columns,
    little-endian: x and y float32, topic uint16 (65535: none), label_start uint32 (count + 1), labels uint16.
    """
    return packed(snapshot.version, {
        "x": snapshot.x_N.astype("<f4"), "y": snapshot.y_N.astype("<f4"), "topic": snapshot.topic_N.astype("<u2"),
        "label_start": snapshot.label_start_N1.astype("<u4"), "labels": snapshot.labels_M.astype("<u2")})


def packed(version: str, columns: dict[str, NDArray]) -> bytes:
    """Columns, of which the first has one element an item, behind a header that names them."""
    count = len(next(iter(columns.values())))
    start = 0
    while True:  # the header's length hangs on the offsets in it
        offset, named = start, []
        for name, values in columns.items():
            named.append({"name": name, "offset": offset, "length": len(values)})
            offset += -(-values.nbytes // 4) * 4
        header = json.dumps({"version": version, "count": count, "columns": named}, separators=(",", ":")).encode()
        needed = -(-(4 + len(header)) // 4) * 4
        if needed <= start:
            break
        start = needed
    header = header.ljust(start - 4)
    parts = [struct.pack("<I", len(header)), header]
    for values in columns.values():
        parts += [np.ascontiguousarray(values).tobytes(), bytes(-values.nbytes % 4)]
    return b"".join(parts)
