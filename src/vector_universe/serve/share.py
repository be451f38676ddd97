"""A universe as one archive that anyone can open in a browser: no server, no network, no model."""

from __future__ import annotations

import base64
import json
import math
import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vector_universe.errors import UserError
from vector_universe.index import Universe
from vector_universe.index.search.filters import kind_of
from vector_universe.index.table.rows import SAID
from vector_universe.progress import StageProgress, counter, silent
from vector_universe.serve.served.snapshot import Snapshot
from vector_universe.serve.sharing.neighbours import nearest_of_all
from vector_universe.serve.sharing.page import STATIC, page_files

CHUNK = 2000  # items a file
NEIGHBOURS = 24  # of each item: the first page of results
_THUMBNAILS_IN_A_FOLDER = 1000
_OURS = b"vector-universe shared page"  # the archive's comment: such a file may be replaced
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same universe gives the same bytes
_README = """{name}

A universe of {count:,} pictures, made with Vector Universe {product}.

To open it, unpack the whole archive and open index.html in a browser. Nothing is installed, and the page asks nothing
of the network. It finds items by the words of their titles and labels, and shows what is near each of them. Searching
by meaning or by a picture of your own needs the universe itself and its model: see `vu serve`.
{attribution}"""


@dataclass(frozen=True)
class Shared:
    """What was written: how many items, in how many bytes."""

    items: int
    size: int


def share(universe: str | Path | Universe, out: Path, progress: StageProgress = silent,
          static: Path = STATIC) -> Shared:
    """Write the map, thumbnails, words and nearest items of a universe, with the page that shows them, as one zip.

    The items are streamed; what is held in memory are their vectors, 4·D bytes an item. The archive appears under its
    name once it is complete: a kill leaves `out` as it was.

    Args:
        universe: an open one, or where it lies.
        out: a new file, or one that was shared before.
        progress: called with (stage, done, total).
        static: the folder of the built page.

    Raises:
        UserError: `out` is something else or cannot be written, the page is not built, there is no universe or it is
            damaged.
    """
    _check_out(out)
    page = list(page_files(static))
    snapshot = Snapshot.of(universe if isinstance(universe, Universe) else Universe.open(universe))
    partial = out.with_name(f"{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(partial, "w") as archive:
            archive.comment = _OURS
            for name, content in page:
                _add(archive, name, content)
            _add(archive, "README.txt", _readme(snapshot).encode())
            _add_universe(archive, snapshot)
            _add_items(archive, snapshot, progress)
            _add_neighbours(archive, snapshot, progress)
        os.replace(partial, out)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror or error})") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return Shared(len(snapshot), out.stat().st_size)


def _check_out(out: Path) -> None:
    if out.is_dir():
        raise UserError(f"{out} is a folder: name a new file, such as {out / 'universe.zip'}")
    if not out.exists():
        return
    try:
        with zipfile.ZipFile(out) as archive:
            if archive.comment == _OURS:
                return
    except (OSError, zipfile.BadZipFile):
        pass
    raise UserError(f"{out} is there already and was not shared by `vu share`: name a new file")


def _readme(snapshot: Snapshot) -> str:
    universe = snapshot.universe
    credit = f"\nThe pictures: {universe.attribution}\n" if universe.attribution else ""
    return _README.format(name=universe.name, count=len(snapshot), product=version("vector-universe"),
                          attribution=credit)


def _add_universe(archive: zipfile.ZipFile, snapshot: Snapshot) -> None:
    own = [{"name": name, "kind": kind_of(type) or "text"} for name, type in snapshot.universe.table.metadata.items()]
    info = snapshot.info.model_dump(mode="json")
    # Only words and neighbours are left to ask for, and the data's own columns to filter by.
    info |= {"calibrated": False, "recall": None, "remark": None, "other": None,
             "columns": [column for column in info["columns"] if column in own]}
    content = {"info": info, "map": base64.b64encode(snapshot.map).decode(), "chunk": CHUNK,
               "neighbours": NEIGHBOURS, "metadata": own}
    _add(archive, "data/universe.js", f"window.SHARED_UNIVERSE = {_json(content)};\n".encode())


def _add_items(archive: zipfile.ZipFile, snapshot: Snapshot, progress: StageProgress) -> None:
    table = snapshot.universe.table
    own = list(table.metadata)
    advance = counter(progress, "writing items", len(snapshot))
    for start in range(0, len(snapshot), CHUNK):
        rows = table.take(snapshot.row_ids_N[start:start + CHUNK].tolist(),
                          [*SAID, "predicted_label", *own, "thumbnail"])
        _add_script(archive, "items", start, {"ids": [row["id"] for row in rows],
                                              "titles": [row["title"] for row in rows]})
        _add_script(archive, "details", start, {
            "ocr": [row["ocr"] for row in rows], "predicted": [row["predicted_label"] for row in rows],
            "metadata": [[_known(row[name]) for row in rows] for name in own]})
        for place, row in enumerate(rows, start):
            _add(archive, f"thumbnails/{place // _THUMBNAILS_IN_A_FOLDER}/{place}.webp", row["thumbnail"],
                 zipfile.ZIP_STORED)
        advance(len(rows))


def _add_neighbours(archive: zipfile.ZipFile, snapshot: Snapshot, progress: StageProgress) -> None:
    row_ids, half_MD = snapshot.universe.table.vectors(snapshot.universe.generation.vectors)
    near_Mk, cosines_Mk = nearest_of_all(half_MD, NEIGHBOURS, progress)
    place_N = np.full(len(snapshot) + 1, -1, np.int32)  # the last for neighbours that are not there
    place_N[np.arange(len(row_ids))] = snapshot.rows_of(row_ids)
    rows_Nk = np.full((len(snapshot), NEIGHBOURS), -1, "<i4")
    cosines_Nk = np.full((len(snapshot), NEIGHBOURS), np.nan, "<f4")
    rows_Nk[place_N[:len(row_ids)]] = place_N[near_Mk]
    cosines_Nk[place_N[:len(row_ids)]] = cosines_Mk
    for start in range(0, len(snapshot), CHUNK):
        _add_script(archive, "nearest", start, {"rows": _base64(rows_Nk[start:start + CHUNK]),
                                                "cosines": _base64(cosines_Nk[start:start + CHUNK])})


# ---- the archive ----

def _add_script(archive: zipfile.ZipFile, kind: str, start: int, content: dict[str, Any]) -> None:
    name = f"{kind}-{start // CHUNK:04d}"
    _add(archive, f"data/{name}.js", f'(window.SHARED_FILES ??= {{}})["{name}"] = {_json(content)};\n'.encode())


def _add(archive: zipfile.ZipFile, name: str, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> None:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.create_system, entry.external_attr, entry.compress_type = 3, 0o644 << 16, compression
    archive.writestr(entry, content)


def _json(content: object) -> str:
    """JSON in ASCII, which is JavaScript too: no title can end the script or the line."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _known(value: Any) -> Any:
    """A missing value is null, and so is a number that JSON has no way to write."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _base64(rows: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(rows).tobytes()).decode()
