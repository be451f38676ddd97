"""Texts of any language in pictures: a font of the system, and lines of a given width."""

from __future__ import annotations

import math

from PIL import ImageFont

# (file name, face) of fonts that draw Korean; Pillow looks them up in the system's font folders.
FONTS = (("NotoSansCJK-Regular.ttc", 1), ("NotoSansKR-Regular.otf", 0), ("NanumGothic.ttf", 0),
         ("AppleSDGothicNeo.ttc", 0), ("malgun.ttf", 0), ("DejaVuSans.ttf", 0))

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def system_font(size: int) -> Font:
    """The first of `FONTS` that is installed, else Pillow's own, which draws Latin letters alone."""
    for name, face in FONTS:
        try:
            return ImageFont.truetype(name, size, index=face)
        except OSError:  # not on this system
            continue
    return ImageFont.load_default(size)


def wrap(text: str, font: Font, width: int, lines: int) -> list[str]:
    """Break a text into at most `lines` lines, between words where it can; the last line ends with … if cut."""
    rest = " ".join(text.split())
    wrapped: list[str] = []
    while rest and len(wrapped) < lines - 1 and font.getlength(rest) > width:
        fitting = max(1, _fitting(rest, font, width))
        space = rest.rfind(" ", 0, fitting + 1)
        cut = space if space > 0 else fitting
        wrapped.append(rest[:cut])
        rest = rest[cut:].lstrip()
    return [*wrapped, shorten(rest, font, width)] if rest else wrapped


def shorten(text: str, font: Font, width: int) -> str:
    """A text in one line of at most `width` pixels; it ends with … if cut."""
    line = " ".join(text.split())
    if font.getlength(line) <= width:
        return line
    return line[:_fitting(line, font, width - math.ceil(font.getlength("…")))].rstrip() + "…"


def _fitting(text: str, font: Font, width: int) -> int:
    """How many leading characters fit into `width` pixels."""
    low, high = 0, min(len(text), width)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low
