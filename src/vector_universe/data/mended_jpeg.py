"""A JPEG whose end is missing: whether nearly all of its rows are there, told by what its missing end could change."""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import dataclass
from random import Random

from PIL import Image

MOST_MISSING = 1 / 16  # of the rows; with more the picture is "truncated"
TRIES = 8  # ways to go on; they begin with different bits, so that no code of three bits or fewer is left out

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # no stuffed zero, and no restart, which is within a scan
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_END, _SCAN, _FRAMES = 0xD9, 0xDA, (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, of Huffman codes
_END_MARKER = b"\xff\xd9"
_MOST_SCANS = 100  # an encoder writes about ten
_COEFFICIENTS = 64  # of a block
_BAND = 64  # rows that are taken out of a picture at once


@dataclass(frozen=True)
class _LastScan:
    """Where the data of the last scan begin and end in a file; what follows belongs to no scan."""

    start: int
    stop: int


def mended_jpeg(encoded: bytes) -> tuple[bytes, str] | None:
    """The picture with an end put to it, and a remark; None if it has an end already, or lacks too many rows.

    Its last scan is continued by made-up data, in several ways. A row that comes out the same each time does not depend
    on what is missing. Pixels alone would not tell a missing row from a black or a grey one.

    Args:
        encoded: a JPEG that a decoder calls truncated; its size was checked.
    """
    try:
        scan = _last_scan(encoded)
        if scan is None:
            return None
        data = encoded[:scan.stop].rstrip(b"\xff")  # half of a marker or of a stuffed byte
        missing, height = _missing_rows(data, scan.start)
    except Exception:
        return None  # it is damaged in another way too
    if missing > MOST_MISSING * height:
        return None
    what = f": the last {missing} of {height} rows are missing or damaged" if missing else ", but every row is there"
    return data + _END_MARKER, f"the file lacks its end{what}"


def _last_scan(encoded: bytes) -> _LastScan | None:
    """The scan that the file ends in; None if it does not end in one that brings the last of what the picture needs."""
    wanted: set[tuple[int, int]] | None = None  # components and coefficients that no scan brought to their last bit
    starts: list[int] = []
    stop, place = len(encoded), 2
    while found := _MARKER.search(encoded, place):
        marker, begin = found[1][0], found.end()
        if marker == _END or len(starts) > _MOST_SCANS:
            return None
        place = begin + int.from_bytes(encoded[begin:begin + 2], "big")
        if place > len(encoded):
            stop = found.start()  # it ends within a segment
            break
        body = encoded[begin + 2:place]
        if marker in _FRAMES and wanted is None:
            wanted = {(body[6 + 3 * part], number) for part in range(body[5]) for number in range(_COEFFICIENTS)}
        elif marker == _SCAN and wanted is not None:
            parts, (first, last, bits) = body[1:1 + 2 * body[0]:2], body[1 + 2 * body[0]:4 + 2 * body[0]]
            if not bits & 15:  # how many bits are left to later scans
                numbers = range(first, min(last + 1, _COEFFICIENTS))
                wanted -= {(part, number) for part in parts[:4] for number in numbers}
            starts.append(place)
    return _LastScan(starts[-1], stop) if starts and not wanted else None


def _missing_rows(data: bytes, start: int) -> tuple[int, int]:
    """How many of the last rows hang on what is missing, and how many rows there are; counting stops at too many."""
    whole, missing = _rows(data + _END_MARKER), 0
    restarts = _RESTART.findall(data, start)
    following = restarts[-1][1] + 1 if restarts else 0
    for number in range(TRIES):
        rows = _rows(data + _continuation(number, following) + _END_MARKER)
        first = next((row for row in range(len(rows)) if rows[row] != whole[row]), len(rows))
        missing = max(missing, len(rows) - first)
        if missing > MOST_MISSING * len(rows):
            break
    return missing, len(whole)


def _continuation(number: int, restart: int) -> bytes:
    """Made-up data of a scan: to the next restart marker, and some beyond it, as a file may end just before one."""
    random = Random(number)
    parts = [bytes([number << 5]), random.randbytes(512).replace(b"\xff", b"\xfe")]
    for following in range(restart, restart + 8):
        parts += [bytes([0xFF, 0xD0 + following % 8]), random.randbytes(256).replace(b"\xff", b"\xfe")]
    return b"".join(parts)


def _rows(encoded: bytes) -> list[int]:
    """A checksum of each row, so that no two pictures are in memory."""
    rows: list[int] = []
    with Image.open(io.BytesIO(encoded), formats=("JPEG",)) as image:
        image.load()
        for top in range(0, image.height, _BAND):
            bottom = min(top + _BAND, image.height)
            band = memoryview(image.crop((0, top, image.width, bottom)).tobytes())
            length = len(band) // (bottom - top)
            rows.extend(zlib.crc32(band[start:start + length]) for start in range(0, len(band), length))
    return rows
