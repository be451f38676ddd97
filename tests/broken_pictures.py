"""Files that are no pictures, or no longer: twelve ways in which data sets are broken, and what each is called."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))


def encoded(picture: Image.Image, format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def png(width: int, height: int, pixels: bytes, *, depth: int = 8, colour: int = 2,
        more: tuple[tuple[bytes, bytes], ...] = (), checksum: int = 0) -> bytes:
    """A PNG from its parts: rows of pixels with their filter bytes, chunks before them; `checksum` spoils PLTE's."""
    def chunk(kind: bytes, body: bytes, spoil: int = 0) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ spoil)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    chunks = [chunk(kind, body, checksum if kind == b"PLTE" else 0) for kind, body in more]
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *chunks, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")])


def _folder(path: Path) -> None:
    path.mkdir()


def _link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere.png"))


PNG, JPEG = encoded(NOISE), encoded(NOISE, "JPEG")
BOMB = png(15_000, 15_000, bytes(15_000 * 1876), depth=1, colour=0)
PALETTE = png(4, 1, b"\0\0\1\2\3", colour=3, more=((b"PLTE", bytes(range(12))),), checksum=1)

# Name of the way → the file's bytes or what makes it, and a pattern of the reason that must be given.
BROKEN: dict[str, tuple[bytes | Callable[[Path], None], str]] = {
    "empty": (b"", "empty file"),
    "truncated png": (PNG[:len(PNG) // 2], "truncated"),
    "half a jpeg": (JPEG[:len(JPEG) // 2], "truncated"),
    "text": (b"This picture is no longer available.\n", "not an image"),
    "html": (b"<!DOCTYPE html>\n<html><title>404 Not Found</title></html>\n", "not an image"),
    "zeros": (bytes(4096), "not an image"),
    "header alone": (PNG[:33], "truncated|cannot be decoded|not an image"),
    "bomb": (BOMB, "too large"),
    "wrong magic": (b"\x88" + PNG[1:], "not an image"),
    "corrupt palette": (PALETTE, "not an image|broken|unreadable"),
    "folder": (_folder, "file not found"),
    "link to nowhere": (_link_to_nowhere, "file not found"),
}


def write_broken(path: Path, way: str) -> None:
    """Write a file that is broken in this way, one of `BROKEN`."""
    content, _ = BROKEN[way]
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
