"""A picture of pictures: a grid of thumbnails with what is said of them, to look at or to share."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from vector_universe.data.fonts import shorten, system_font, wrap

if TYPE_CHECKING:
    from vector_universe.index.search.matches import Hit

_TILE = 184
_GAP = 24
_MARGIN = 40
_HEADER = 72
_TITLE, _NOTE = 21, 18  # height of a line
_NOTE_LINES = 3
_PAPER, _CARD, _INK, _FAINT = "#f6f7f9", "#ffffff", "#1c2330", "#7a8496"


@dataclass(frozen=True)
class Tile:
    """One picture of a grid.

    Attributes:
        picture: it.
        title: said under it, in as many lines as the grid has for titles.
        notes: what else is said, below the title in a faint colour; each in at most three lines.
    """

    picture: Image.Image
    title: str
    notes: tuple[str, ...] = ()


def grid_picture(hits: Sequence[Hit], thumbnails: Sequence[bytes], query_text: str, path: Path) -> None:
    """Write a PNG with the matches in reading order, best first, in the squarest grid (9 matches: 3 × 3).

    Args:
        hits: the matches.
        thumbnails: their encoded pictures, one a hit.
        query_text: drawn above the grid.
        path: where the PNG goes.
    """
    draw_grid([Tile(Image.open(io.BytesIO(encoded)), hit.title or hit.id,
                    () if hit.score is None else (f"{hit.score:.3f}",))
               for hit, encoded in zip(hits, thumbnails, strict=True)], query_text, path)


def draw_grid(tiles: Sequence[Tile], heading: str, path: Path, title_lines: int = 2) -> None:
    """Write a PNG with these pictures in reading order, in the squarest grid.

    Args:
        tiles: the pictures, and what is said of each.
        heading: drawn above the grid.
        path: where the PNG goes.
        title_lines: lines for the title of each picture; a longer one is cut.
    """
    columns = max(1, math.ceil(math.sqrt(len(tiles))))
    rows = max(1, math.ceil(len(tiles) / columns))
    width = 2 * _MARGIN + columns * _TILE + (columns - 1) * _GAP
    notes = max((len(_note_lines(tile)) for tile in tiles), default=0) or 1
    below = 16 + title_lines * _TITLE + notes * _NOTE
    height = _MARGIN + _HEADER + rows * (_TILE + below) + (rows - 1) * _GAP + _MARGIN // 2
    canvas = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    font = system_font(26)
    draw.text((_MARGIN, _MARGIN - 8), shorten(heading, font, width - 2 * _MARGIN), fill=_INK, font=font)
    for number, tile in enumerate(tiles):
        left = _MARGIN + number % columns * (_TILE + _GAP)
        top = _MARGIN + _HEADER - 16 + number // columns * (_TILE + below + _GAP)
        _draw_tile(canvas, draw, tile, left, top, title_lines)
    canvas.save(path, "PNG")


def _draw_tile(canvas: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, left: int, top: int,
               title_lines: int) -> None:
    draw.rounded_rectangle((left, top, left + _TILE, top + _TILE), radius=10, fill=_CARD)
    picture = tile.picture.convert("RGB")
    scale = (_TILE - 16) / max(picture.size)
    picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))),
                             Image.Resampling.LANCZOS)
    canvas.paste(picture, (left + (_TILE - picture.width) // 2, top + (_TILE - picture.height) // 2))
    title, small = system_font(15), system_font(13)
    y = top + _TILE + 8
    for line in wrap(tile.title, title, _TILE, title_lines):
        draw.text((left, y), line, fill=_INK, font=title)
        y += _TITLE
    for line in _note_lines(tile):
        draw.text((left, y + 2), line, fill=_FAINT, font=small)
        y += _NOTE


def _note_lines(tile: Tile) -> list[str]:
    return [line for note in tile.notes for line in wrap(note, system_font(13), _TILE, _NOTE_LINES)]
