"""Items as CSV that a spreadsheet opens: titles are texts there, never formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vector_universe.serve.served.snapshot import NO_TOPIC

if TYPE_CHECKING:
    from vector_universe.serve.served.snapshot import Snapshot

COLUMNS = ("id", "title", "labels", "predicted_label", "topic", "x", "y")
_ROWS = 2_000
_BOM = "\ufeff"  # or Excel reads UTF-8 as something else


def csv_lines(snapshot: Snapshot, row_ids_M: NDArray[np.int64]) -> Iterator[bytes]:
    """A table of items in UTF-8: `COLUMNS`, then the data's own; in parts of 2,000 rows."""
    table = snapshot.universe.table
    own = list(table.metadata)
    names = () if snapshot.topics is None else snapshot.topics.names
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow([*COLUMNS, *map(_cell, own)])
    for start in range(0, max(1, len(row_ids_M)), _ROWS):
        part = row_ids_M[start:start + _ROWS]
        rows = snapshot.rows_of(part)
        for row, item in zip(rows.tolist(), table.take(part.tolist(), ["id", "title", "labels", "predicted_label",
                                                                      *own]), strict=True):
            topic = int(snapshot.topic_N[row])
            writer.writerow([*map(_cell, (
                item["id"], item["title"], "; ".join(item["labels"] or []), item["predicted_label"],
                "" if topic == NO_TOPIC or topic >= len(names) else names[topic])),
                f"{snapshot.x_N[row]:.5f}", f"{snapshot.y_N[row]:.5f}", *(_cell(item[name]) for name in own)])
        yield ((_BOM if start == 0 else "") + written.getvalue()).encode()
        written.seek(0)
        written.truncate()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe before it."""
    if isinstance(value, str) and value and (value[0] in "=+-@" or value[0] < " "):
        return "'" + value
    return value
