"""A picture of the matches: a grid of thumbnails with title and score, to look at or to share."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from vector_universe.index.search.matches import Hit

_TILE = 184
_GAP = 24
_MARGIN = 40
_HEADER = 72
_CAPTION = 76
_TITLE_LINES = 2
_PAPER, _CARD, _INK, _FAINT = "#f6f7f9", "#ffffff", "#1c2330", "#7a8496"

# (file name, face) of fonts that draw Korean; Pillow looks them up in the system's font folders.
_FONTS = (("NotoSansCJK-Regular.ttc", 1), ("NotoSansKR-Regular.otf", 0), ("NanumGothic.ttf", 0),
          ("AppleSDGothicNeo.ttc", 0), ("malgun.ttf", 0), ("DejaVuSans.ttf", 0))

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def grid_picture(hits: Sequence[Hit], thumbnails: Sequence[bytes], query_text: str, path: Path) -> None:
    """Write a PNG with the matches in reading order, best first, in the squarest grid (9 matches: 3 × 3).

    Args:
        hits: the matches.
        thumbnails: their encoded pictures, one a hit.
        query_text: drawn above the grid.
        path: where the PNG goes.
    """
    columns = max(1, math.ceil(math.sqrt(len(hits))))
    rows = max(1, math.ceil(len(hits) / columns))
    width = 2 * _MARGIN + columns * _TILE + (columns - 1) * _GAP
    height = _MARGIN + _HEADER + rows * (_TILE + _CAPTION) + (rows - 1) * _GAP + _MARGIN // 2
    canvas = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    heading = _font(26)
    draw.text((_MARGIN, _MARGIN - 8), _shorten(query_text, heading, width - 2 * _MARGIN), fill=_INK, font=heading)
    for number, (hit, encoded) in enumerate(zip(hits, thumbnails, strict=True)):
        left = _MARGIN + number % columns * (_TILE + _GAP)
        top = _MARGIN + _HEADER - 16 + number // columns * (_TILE + _CAPTION + _GAP)
        _draw_match(canvas, draw, hit, encoded, left, top)
    canvas.save(path, "PNG")


def _draw_match(canvas: Image.Image, draw: ImageDraw.ImageDraw, hit: Hit, encoded: bytes, left: int, top: int) -> None:
    draw.rounded_rectangle((left, top, left + _TILE, top + _TILE), radius=10, fill=_CARD)
    inner = _TILE - 16
    picture = Image.open(io.BytesIO(encoded)).convert("RGB")
    scale = inner / max(picture.size)
    picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))),
                             Image.Resampling.LANCZOS)
    canvas.paste(picture, (left + (_TILE - picture.width) // 2, top + (_TILE - picture.height) // 2))
    title, small = _font(15), _font(13)
    y = top + _TILE + 8
    for line in _wrap(hit.title or hit.id, title, _TILE, _TITLE_LINES):
        draw.text((left, y), line, fill=_INK, font=title)
        y += 21
    if hit.score is not None:
        draw.text((left, y + 2), f"{hit.score:.3f}", fill=_FAINT, font=small)


def _font(size: int) -> Font:
    for name, face in _FONTS:
        try:
            return ImageFont.truetype(name, size, index=face)
        except OSError:  # not on this system
            continue
    return ImageFont.load_default(size)


def _wrap(text: str, font: Font, width: int, lines: int) -> list[str]:
    """Break a text into at most `lines` lines, between words where it can; the last line ends with … if cut."""
    rest = " ".join(text.split())
    wrapped: list[str] = []
    while rest and len(wrapped) < lines - 1 and font.getlength(rest) > width:
        fitting = max(1, _fitting(rest, font, width))
        space = rest.rfind(" ", 0, fitting + 1)
        cut = space if space > 0 else fitting
        wrapped.append(rest[:cut])
        rest = rest[cut:].lstrip()
    return [*wrapped, _shorten(rest, font, width)] if rest else wrapped


def _shorten(text: str, font: Font, width: int) -> str:
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
