"""One decoder for training, evaluation, indexing and serving: encoded image in, RGB picture out."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

# Above this many pixels an image is refused from its header alone, before a byte of it is decoded:
# a PNG of 481 KB can unpack to 661 MB.
MAX_PIXELS = 64_000_000


@dataclass(frozen=True)
class FileSlice:
    """Encoded bytes that lie somewhere in a larger file, such as a member of a tar shard: read late, never copied."""

    path: str
    offset: int
    length: int


ImageSource = str | Path | bytes | FileSlice

Image.MAX_IMAGE_PIXELS = None  # our own limit above is checked first, and is an error rather than a warning


class ImageError(ValueError):
    """An image cannot be read; the message is the reason, in a few words ("truncated", "empty file"…)."""


def encoded_size(source: ImageSource) -> int:
    """How many bytes the encoded image takes.

    Raises:
        ImageError: there is no such file.
    """
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, FileSlice):
        return source.length
    try:
        return Path(source).stat().st_size
    except OSError:
        raise ImageError("file not found") from None


def encoded_bytes(source: ImageSource) -> bytes:
    """The encoded image itself.

    Raises:
        ImageError: it cannot be read, or its file ends before it does.
    """
    if isinstance(source, bytes):
        return source
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
        ImageError: missing, empty, not an image, or larger than `MAX_PIXELS`.
    """
    if isinstance(source, FileSlice):
        source = encoded_bytes(source)
    if isinstance(source, bytes):
        if not source:
            raise ImageError("empty file (0 bytes)")
        opened: io.BytesIO | Path = io.BytesIO(source)
    else:
        opened = Path(source)
        if not opened.is_file():
            raise ImageError("file not found")
        if opened.stat().st_size == 0:
            raise ImageError("empty file (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(opened)
    except UnidentifiedImageError:
        raise ImageError("not an image") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"unreadable header ({error})") from None
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        image.close()
        raise ImageError(f"too large ({image.width}x{image.height} pixels, limit {MAX_PIXELS:,})")
    return image


def decode_image(source: ImageSource, size: int | None = None) -> Image.Image:
    """Decode an image to RGB, upright by its EXIF orientation, transparency laid on white.

    Args:
        source: a path or the encoded bytes.
        size: the side in pixels that the caller will resize to; lets JPEG decode at a fraction of its full scale.

    Raises:
        ImageError: the image is missing, broken or too large; the message is the reason.
    """
    image = open_image(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if size is not None:
                image.draft("RGB", (2 * size, 2 * size))
            image.load()
            image = ImageOps.exif_transpose(image)
            return rgb(image)
    except ImageError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError, IndexError) as error:
        reason = "truncated" if "truncated" in str(error).lower() else f"cannot be decoded ({error})"
        raise ImageError(reason) from None
    finally:
        image.close()


def square(image: Image.Image, size: int) -> Image.Image:
    """Resize the whole picture onto a white square of `size` pixels, keeping its proportions.

    Nothing is cropped away: posters and thumbnails carry their subject, and their text, at the edges.
    """
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    reducing_gap = 2.0 if scale < 1 else None
    resized = image.resize((width, height), Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR,
                           reducing_gap=reducing_gap)
    canvas = Image.new("RGB", (size, size), "white")
    canvas.paste(resized, ((size - width) // 2, (size - height) // 2))
    return canvas


def rgb(image: Image.Image) -> Image.Image:
    """A decoded picture of any mode as RGB: transparency laid on white, 16-bit grey scaled.

    Raises:
        ImageError: a mode without a way to RGB (LAB).
    """
    if image.mode in ("I", "I;16", "I;16B", "F"):  # 16-bit grey: scaled, as convert("L") would clip it
        top = 255 if image.mode == "F" else 65535
        image = image.point(lambda value: value * (255 / top)).convert("L")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image)
    try:
        return image.convert("RGB")
    except ValueError:
        raise ImageError(f"mode {image.mode} cannot be shown in RGB") from None
