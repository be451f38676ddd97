"""One look at every example: its picture is read and decoded once, and only what is compared later is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.duplicates import DECODED_SIDE, Look, look_at
from vector_universe.data.images import ImageError, ImageSource, decode_with_remark, encoded_bytes, open_image
from vector_universe.data.read_ahead import read_ahead
from vector_universe.data.upright import orientation

SAME_COLOUR = 2  # of 255: what JPEG makes of one colour
MODES = {"CMYK": "CMYK", "P": "palette", "PA": "palette", "I": "16-bit", "I;16": "16-bit", "I;16B": "16-bit",
         "I;16L": "16-bit", "F": "32-bit float", "LAB": "LAB", "YCbCr": "", "HSV": "HSV"}
TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")


@dataclass(frozen=True)
class Picture:
    """What is kept of a picture.

    Attributes:
        fault: why it cannot be decoded; "" if it can.
        digest: SHA-256 of its encoded bytes; None with a fault.
        look: what near-duplicates are told by; None with a fault.
        width, height: in pixels, from the header.
        modes: what is unusual: "CMYK", "palette", "animated"…
        uniform: of one colour.
        remark: what is damaged of a picture that is used all the same; "" if nothing is.
    """

    fault: str = ""
    digest: bytes | None = None
    look: Look | None = None
    width: int = 0
    height: int = 0
    modes: tuple[str, ...] = ()
    uniform: bool = False
    remark: str = ""


@dataclass(frozen=True)
class Seen:
    """An example without its pixels; `place` is its position in the data set, from 0."""

    place: int
    id: str
    split: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    picture: Picture


def scan(dataset: ImageTextDataset, advance: Callable[[int], None] | None = None) -> list[Seen]:
    """Look at each example of a data set, in its order; pictures in threads, a bounded number ahead.

    Takes about 1.5 KB of memory an example.

    Args:
        dataset: what to look at.
        advance: called with the number of examples done since the last call.
    """
    seen: list[Seen] = []
    for example, picture in read_ahead(lambda example: look_closely(example.image), dataset):
        assert isinstance(picture, Picture)  # a broken image is its fault, not an error
        seen.append(Seen(len(seen), example.id, example.split, tuple(example.texts), tuple(example.labels), picture))
        if advance:
            advance(1)
    return seen


def look_closely(source: ImageSource) -> Picture:
    """Header, digest and look of one image; what is wrong with it is its `fault`, never an exception."""
    try:
        encoded = encoded_bytes(source)
        width, height, modes = _header(encoded)
        decoded, remark = decode_with_remark(encoded, size=DECODED_SIDE)
        return Picture("", hashlib.sha256(encoded).digest(), look_at(decoded), width, height, modes, _uniform(decoded),
                       remark)
    except ImageError as error:
        return Picture(str(error))
    except Exception as error:  # a decoder's own bug must not end the run
        return Picture(f"cannot be decoded ({type(error).__name__}: {error})")


def _header(encoded: bytes) -> tuple[int, int, tuple[str, ...]]:
    with open_image(encoded) as image:
        modes = [MODES.get(image.mode, "")]
        if image.mode in TRANSPARENT or "transparency" in image.info:
            modes.append("transparency")
        if getattr(image, "is_animated", False):
            modes.append("animated")
        if _orientation(image) not in (0, 1):
            modes.append("EXIF-rotated")
        return image.width, image.height, tuple(filter(None, modes))


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the whole picture to look for it behind the pixels
    return orientation(image)


def _uniform(picture: Image.Image) -> bool:
    extremes = picture.getextrema()
    return all(high - low <= SAME_COLOUR for low, high in extremes)  # type: ignore[misc]
