"""What a file is that is no image, told from its first bytes: a web page saved as .jpg, a video, an archive…"""

from __future__ import annotations

import re
from pathlib import Path

LOOKED_AT = 4096  # bytes from the beginning

_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")

# Bytes at a place, and what they are a sign of; the first that fits counts.
_SIGNS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "a PDF document"),
    (0, b"%!PS", "a PostScript drawing (EPS)"),
    (0, b"8BPS", "a Photoshop file (PSD), export it as PNG"),
    (0, b"\0\0\1\0", "a Windows icon (ICO), export it as PNG"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL, convert it to JPEG or PNG"),
    (0, b"\xff\x0a", "JPEG XL, convert it to JPEG or PNG"),
    (8, b"CR\2", "a camera's raw file (Canon CR2), export it as JPEG"),
    (4, b"ftypcrx ", "a camera's raw file (Canon CR3), export it as JPEG"),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file (Fujifilm RAF), export it as JPEG"),
    (0, b"IIRO", "a camera's raw file (Olympus ORF), export it as JPEG"),
    (0, b"IIRS", "a camera's raw file (Olympus ORF), export it as JPEG"),
    (0, b"MMOR", "a camera's raw file (Olympus ORF), export it as JPEG"),
    (0, b"IIU\0", "a camera's raw file (Panasonic RW2), export it as JPEG"),
    (0, b"FOVb", "a camera's raw file (Sigma X3F), export it as JPEG"),
    (128, b"DICM", "a medical picture (DICOM), export it as PNG"),
    (0, b"SIMPLE  =", "an astronomer's picture (FITS), export it as PNG"),
    (0, b"v/1\1", "OpenEXR, export it as PNG"),
    (0, b"#?RADIANCE", "Radiance HDR, export it as PNG"),
    (0, b"qoif", "QOI, convert it to PNG"),
    (4, b"ftypavi", "an AVIF with a damaged header"),
    (4, b"ftypmif1", "a HEIF picture of a kind that is not read, convert it to JPEG or PNG"),
    (4, b"ftypmsf1", "a HEIF picture of a kind that is not read, convert it to JPEG or PNG"),
    (4, b"ftypqt  ", "a video (QuickTime)"),
    (4, b"moov", "a video (QuickTime)"),
    (4, b"mdat", "a video (QuickTime)"),
    (4, b"wide", "a video (QuickTime)"),
    (4, b"ftypM4A", "sound (M4A)"),
    (4, b"ftyp", "a video (MP4)"),
    (8, b"AVI LIST", "a video (AVI)"),
    (8, b"WAVE", "sound (WAV)"),
    (0, b"ID3", "sound (MP3)"),
    (0, b"OggS", "sound or a video (Ogg)"),
    (0, b"FLV\1", "a video (Flash)"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"PK\5\6", "an empty ZIP archive"),
    (0, b"\x1f\x8b", "compressed data (gzip)"),
    (0, b"BZh", "compressed data (bzip2)"),
    (0, b"\xfd7zXZ\0", "compressed data (xz)"),
    (0, b"\x28\xb5\x2f\xfd", "compressed data (Zstandard)"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\7", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document or a Thumbs.db"),
    (0, b"\0\5\x16\7", "a side file of macOS (AppleDouble)"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, `git lfs pull` fetches the file"),
    (0, b"\xff\xd8\xff", "a JPEG with a damaged header"),
    (0, b"\x89PNG", "a PNG with a damaged header"),
    (0, b"GIF8", "a GIF with a damaged header"),
    (8, b"WEBPVP8", "a WebP with a damaged header"),
    (0, b"II*\0", "a TIFF with a damaged header, or a camera's raw file"),
    (0, b"MM\0*", "a TIFF with a damaged header, or a camera's raw file"))

_HTML = re.compile(rb"<(!doctype html|html|head|body|script)\b", re.IGNORECASE)
_JSON = re.compile(rb'[\[{]\s*(["\[{}\]]|-?\d)')
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]")


def first_bytes(content: Path | bytes) -> bytes:
    """The first `LOOKED_AT` bytes of a file or of what it holds, fewer if it is shorter; none if it cannot be read."""
    if isinstance(content, bytes):
        return content[:LOOKED_AT]
    try:
        with content.open("rb") as file:
            return file.read(LOOKED_AT)
    except OSError:
        return b""


def is_heic(start: bytes) -> bool:
    """Whether a file is HEIC, by its brand or one of those it says to go with."""
    if start[4:8] != b"ftyp":
        return False
    box = start[8:min(int.from_bytes(start[:4], "big"), 256)]
    brands = {box[place:place + 4] for place in (0, *range(8, len(box), 4))}
    return not brands.isdisjoint(_HEIC) and not brands & {b"avif", b"avis"}


def what_it_is(start: bytes) -> str:
    """In a few words, what begins with these bytes, the `first_bytes` of a file; "" if they tell nothing."""
    if is_heic(start):
        return "a HEIC with a damaged header"
    for place, sign, what in _SIGNS:
        if start.startswith(sign, place):
            return what
    if start.startswith(b"\x1a\x45\xdf\xa3"):
        return "a video (WebM)" if b"webm" in start[:64] else "a video (Matroska)"
    if start and not start.strip(b"\0"):
        return "nothing but zeros"
    return _text(start)


def _text(start: bytes) -> str:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"<svg" in text and text.startswith(b"<"):
        return "a drawing (SVG), export it as PNG"
    if text.startswith(b"<") and _HTML.search(text):
        return "a web page (HTML)"
    if text.startswith(b"<?xml"):
        return "an XML document"
    if _JSON.match(text):
        return "JSON"
    # A character that is cut off at the end is no sign of anything else.
    words = start.decode("utf-8", "replace").rstrip("\ufffd")
    return "plain text" if words.strip() and not _CONTROL.search(words) else ""
