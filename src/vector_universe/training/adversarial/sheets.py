"""Sheets: pictures in rows, each row with its text, for people to look at."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from vector_universe.data.fonts import system_font, wrap
from vector_universe.models.gan import Generator

TILE, GAP, CAPTION, HEADING = 128, 6, 190, 26  # pixels: a picture, between pictures, width of texts, height of heads
FONT_SIZE, LINE = 15, 19
LINES = 6  # of a caption
SHOWN, SHOWN_HELD_OUT, SEEDS = 8, 4, 4  # rows of training and of held-out texts, and pictures of each
NEVER_SEEN = "(never seen)"  # said of a held-out text
INK, QUIET, GROUND = (29, 35, 41), (110, 120, 130), (255, 255, 255)


@dataclass(frozen=True)
class Row:
    """One row of a sheet.

    Attributes:
        text: what the pictures were drawn from.
        pictures: uint8 (S, S, 3) each, or None for an empty place.
        note: said under the text, such as "held out"; may be empty.
    """

    text: str
    pictures: Sequence[np.ndarray | None]
    note: str = ""


def draw_sheet(rows: Sequence[Row], headings: Sequence[str] = ()) -> Image.Image:
    """A picture of all rows, with the texts at the left and headings over the columns."""
    top = HEADING if headings else GAP
    columns = max(len(row.pictures) for row in rows)
    canvas = Image.new("RGB", (CAPTION + columns * (TILE + GAP), top + len(rows) * (TILE + GAP)), GROUND)
    draw, font = ImageDraw.Draw(canvas), system_font(FONT_SIZE)
    for column, heading in enumerate(headings):
        draw.text((CAPTION + column * (TILE + GAP), 4), heading, QUIET, font)
    for place, row in enumerate(rows):
        y = top + place * (TILE + GAP)
        text = unicodedata.normalize("NFC", row.text)
        lines = wrap(text, font, CAPTION - 2 * GAP, LINES - bool(row.note)) or [""]
        for number, line in enumerate(lines):
            draw.text((GAP, y + number * LINE), line, INK, font)
        draw.text((GAP, y + len(lines) * LINE), row.note, QUIET, font)
        for column, picture in enumerate(row.pictures):
            if picture is not None:
                tile = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.NEAREST)
                canvas.paste(tile, (CAPTION + column * (TILE + GAP), y))
    return canvas


def write_sheet(path: Path, rows: Sequence[Row], headings: Sequence[str] = ()) -> None:
    """Write a sheet as PNG by one rename.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    draw_sheet(rows, headings).save(partial, "PNG")
    partial.replace(path)


def write_samples(path: Path, generator: Generator, texts_TD: Tensor, texts: Sequence[str], real: np.ndarray,
                  notes: Sequence[str]) -> None:
    """Write a sheet of real pictures, each beside some that are drawn from its text; of the same noise every time.

    Args:
        path: of the PNG.
        generator: draws.
        texts_TD: the texts' embeddings, unit rows.
        texts: said at the left.
        real: uint8 (T, S, S, 3), the texts' own pictures.
        notes: said under the texts.
    """
    drawn = [generator.sample(texts_TD, [seed] * len(texts)).cpu().numpy() for seed in range(SEEDS)]
    write_sheet(path, [Row(text, [real[place], *(pictures[place] for pictures in drawn)], notes[place])
                       for place, text in enumerate(texts)], ("real", *(f"noise {seed}" for seed in range(SEEDS))))
