"""A PNG with damaged chunks beside its pixels, such as a text or a date: the same picture without them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}  # one without the others makes no sense; without all, the first picture stays
_SEEN = {b"tRNS"}  # may be left out by the letter of the format, but without it another picture is seen
_AROUND = 12  # bytes of a chunk besides its body: length, name, checksum


@dataclass(frozen=True)
class _Chunk:
    """Where a chunk lies, and whether it may be left out but its checksum is wrong, or the file ends within it."""

    name: bytes
    start: int
    stop: int
    damaged: bool


def mended_png(encoded: bytes) -> tuple[bytes, str] | None:
    """The picture without its damaged chunks, and a remark; None if there are none that may be left out.

    Chunks that make the picture stay as they are, damaged or not.
    """
    chunks = list(_chunks(encoded))
    damaged = {chunk.name for chunk in chunks if chunk.damaged}
    if not damaged:
        return None
    animation = _ANIMATION if damaged & _ANIMATION else set()
    parts, place = [], 0
    for chunk in chunks:
        if chunk.damaged or chunk.name in animation:
            parts.append(encoded[place:chunk.start])
            place = chunk.stop
    names = ", ".join(sorted(name.decode("ascii") for name in damaged))
    return b"".join([*parts, encoded[place:]]), f"without its damaged chunk{'s' * (len(damaged) > 1)} {names}"


def _chunks(encoded: bytes) -> Iterator[_Chunk]:
    """The chunks of a PNG, as far as they follow each other; pixels are passed over unread."""
    place = len(SIGNATURE)
    while encoded[place + 4:place + 8].isalpha() and place + 8 <= len(encoded):
        length, name = int.from_bytes(encoded[place:place + 4], "big"), encoded[place + 4:place + 8]
        stop = place + _AROUND + length
        damaged = False
        if name[:1].islower() and name not in _SEEN:  # the letter's case says whether the picture needs the chunk
            checksum = zlib.crc32(memoryview(encoded)[place + 4:stop - 4])
            damaged = checksum != int.from_bytes(encoded[stop - 4:stop], "big")
        yield _Chunk(name, place, stop, damaged)
        place = stop
