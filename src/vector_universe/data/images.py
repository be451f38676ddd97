"""One decoder for training, evaluation, indexing and serving: encoded image in, RGB picture out."""

from __future__ import annotations

import io
import math
import os
import re
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from vector_universe.data.averaging import average_blocks
from vector_universe.data.colours import rgb
from vector_universe.data.heic import INSTALL, heic_formats
from vector_universe.data.image_error import ImageError, few_words
from vector_universe.data.mended_jpeg import mended_jpeg
from vector_universe.data.mended_png import SIGNATURE, mended_png
from vector_universe.data.not_an_image import first_bytes, is_heic, what_it_is
from vector_universe.data.upright import orientation, set_upright

# Refused from the header alone, before a pixel is decoded: a PNG of 481 KB can unpack to 661 MB.
MAX_PIXELS = 64_000_000
MAX_SIDE = 65_535  # JPEG's own limit
MAX_BYTES = 256 * 1024 * 1024  # of an encoded image; 64 million uncompressed pixels are 192 MB

# Named, so that a file cannot choose its decoder: of Pillow's others, one runs Ghostscript (EPS), and one takes its
# size from a directory that its picture need not keep to (ICO). The modules are loaded here, before any thread.
FORMATS = tuple(str(plugin.format) for plugin in (
    JpegImagePlugin.JpegImageFile, PngImagePlugin.PngImageFile, WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile, AvifImagePlugin.AvifImageFile, BmpImagePlugin.BmpImageFile,
    TiffImagePlugin.TiffImageFile, Jpeg2KImagePlugin.Jpeg2KImageFile, PpmImagePlugin.PpmImageFile))

# A picture that will be resized is decoded no smaller than this many times the side wanted where JPEG offers its
# fractions (1/2, 1/4, 1/8: as good as a filter; mean cosine of embeddings to exact decoding above .9999).
DECODED_REACH = 1.5

_NO_IMAGE = "not an image"

# What a decoder has to say about a damaged file is in the error or does not matter. Said once and for Pillow alone,
# as `catch_warnings` in threads can leave the whole program silent.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True)
class FileSlice:
    """Encoded bytes that lie somewhere in a larger file, such as a member of a tar shard: read late, never copied."""

    path: str
    offset: int
    length: int


ImageSource = str | Path | bytes | FileSlice


def encoded_size(source: ImageSource) -> int:
    """How many bytes the encoded image takes.

    Raises:
        ImageError: there is no such file, or it is a folder or a device.
    """
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, FileSlice):
        return source.length
    return _file_size(source)


def encoded_bytes(source: ImageSource) -> bytes:
    """The encoded image itself.

    Raises:
        ImageError: it cannot be read, is larger than `MAX_BYTES`, or its file ends before it does.
    """
    if isinstance(source, bytes):
        return source
    if encoded_size(source) > MAX_BYTES:
        raise ImageError(f"too large ({encoded_size(source):,} bytes, limit {MAX_BYTES:,})")
    try:
        if not isinstance(source, FileSlice):
            return Path(source).read_bytes()
        with open(source.path, "rb") as file:
            file.seek(source.offset)
            encoded = file.read(source.length)
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror})") from None
    if len(encoded) < source.length:
        raise ImageError(f"truncated: {source.path} ends within it")
    return encoded


def open_image(source: ImageSource) -> Image.Image:
    """Read the header of an image and check it; no pixel is decoded yet.

    Raises:
        ImageError: missing, empty, not an image of one of `FORMATS`, or larger than `MAX_BYTES`, `MAX_PIXELS` or
            `MAX_SIDE`.
    """
    return _open(source)[0]


def decode_image(source: ImageSource, size: int | None = None, *, longest: bool = False) -> Image.Image:
    """Decode an image to RGB, upright by its EXIF orientation, transparency laid on white; of an animation, its start.

    One that is damaged, but whole enough, is mended: `decode_with_remark` says how.

    Args:
        source: a path, the encoded bytes, or a slice of a file.
        size: what the caller will resize the shortest side to, in pixels: the picture then comes out at least
            1.5 times as large (`DECODED_REACH`) or as it is, JPEG decoded at a fraction and blocks of pixels averaged.
            None decodes every pixel.
        longest: `size` is that of the longest side.

    Raises:
        ImageError: the image is missing, broken or too large; the message is the reason.
    """
    return _decode(source, size, longest)[0]


def decode_with_remark(source: ImageSource, size: int | None = None) -> tuple[Image.Image, str]:
    """The same as `decode_image`, and what was wrong with an image that is used all the same; "" if nothing was.

    Raises:
        ImageError: see `decode_image`.
    """
    encoded = encoded_bytes(source)
    picture, remark = _decode(encoded, size)
    if not remark and encoded.startswith(SIGNATURE):
        _, remark = mended_png(encoded) or (b"", "")  # behind the pixels a decoder checks nothing
    return picture, remark


def _open(source: ImageSource) -> tuple[Image.Image, str]:
    """An image whose header was checked, and what was left out of it to read the header."""
    size = encoded_size(source)
    if size == 0:
        raise ImageError("empty file (0 bytes)")
    if size > MAX_BYTES:
        raise ImageError(f"too large ({size:,} bytes, limit {MAX_BYTES:,})")
    content = Path(source) if isinstance(source, str | Path) else encoded_bytes(source)
    try:
        return _header(content, FORMATS), ""
    except ImageError as error:
        start, reason = first_bytes(content), str(error)
    if is_heic(start):
        if not heic_formats():
            raise ImageError(f"not an image that is read yet: {INSTALL}")
        try:
            return _header(content, heic_formats()), ""
        except ImageError as error:
            reason = str(error)
    elif start.startswith(SIGNATURE) and (mended := mended_png(encoded_bytes(source))):
        return _header(mended[0], FORMATS), mended[1]
    what = what_it_is(start) if reason == _NO_IMAGE else ""
    raise ImageError(f"{reason}: {what}" if what else reason)


def _header(content: Path | bytes, formats: tuple[str, ...]) -> Image.Image:
    """An image of one of these formats, refused from its header if it is too large."""
    try:
        image = Image.open(content if isinstance(content, Path) else io.BytesIO(content), formats=formats)
    except UnidentifiedImageError:
        raise ImageError(_NO_IMAGE) from None
    except Image.DecompressionBombError as error:  # Pillow's own limit lies above ours; it says how many there are
        pixels = re.search(r"\((\d+) pixels", str(error))
        found = f"{int(pixels[1]):,} pixels, " if pixels else ""
        raise ImageError(f"too large ({found}limit {MAX_PIXELS:,})") from None
    except Exception as error:  # of a damaged file: OSError, struct.error, MemoryError, RecursionError…
        raise ImageError(f"unreadable header ({few_words(error)})") from None
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        image.close()
        raise ImageError(f"too large ({width}x{height} pixels, limit {MAX_PIXELS:,}, {MAX_SIDE:,} a side)")
    if not width * height:
        image.close()
        raise ImageError("no pixels")
    return image


def _decode(source: ImageSource, size: int | None, longest: bool = False) -> tuple[Image.Image, str]:
    """A picture, and what was wrong with it."""
    image, remark = _open(source)
    try:
        return _pixels(image, size, longest), remark
    except ImageError:
        mend = {"JPEG": mended_jpeg, "MPO": mended_jpeg, "PNG": mended_png}.get(image.format or "")
        mended = mend(encoded_bytes(source)) if mend else None
        if mended is None:
            raise
    encoded, remark = mended
    return _pixels(_header(encoded, FORMATS), size, longest), remark


def _pixels(image: Image.Image, size: int | None, longest: bool) -> Image.Image:
    """The picture of an image whose header was checked; its file is closed."""
    try:
        if size is not None:
            wanted = math.ceil(DECODED_REACH * size)
            share = wanted / max(image.size) if longest else 1
            image.draft("RGB", (max(1, int(image.width * share)), max(1, int(image.height * share)))
                        if longest else (wanted, wanted))
        image.load()
        stored = orientation(image)
        picture = rgb(image)
        if size is not None:
            picture = average_blocks(picture, size, longest=longest)
        return set_upright(picture, stored)
    except ImageError:
        raise
    except Exception as error:  # of a damaged file: OSError, struct.error, ZeroDivisionError, MemoryError…
        reason = "truncated" if "truncated" in str(error).lower() else f"cannot be decoded ({few_words(error)})"
        raise ImageError(reason) from None
    finally:
        if (file := getattr(image, "fp", None)) is not None:
            file.close()  # the file alone: image.close() would take the pixels too


def _file_size(path: str | Path) -> int:
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        link = os.path.islink(path) if "\0" not in str(path) else False
        raise ImageError("file not found" + (" (a link to nowhere)" if link else "")) from None
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise ImageError(f"file not found ({what} has its name)")
    return found.st_size
