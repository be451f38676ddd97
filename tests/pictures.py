"""Pictures made for the tests: coloured shapes, small enough to learn in seconds."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {"red": (220, 30, 40), "green": (30, 160, 60), "blue": (40, 70, 220), "yellow": (240, 200, 30),
           "purple": (140, 50, 170), "black": (20, 20, 20)}
SHAPES = ("circle", "square", "triangle", "bar", "cross")
SIZES = ("small", "large")


def shape(colour: str, form: str, size: str) -> Image.Image:
    """A picture of 80 x 80 pixels."""
    image = Image.new("RGB", (80, 80), "white")
    draw = ImageDraw.Draw(image)
    reach = 16 if size == "small" else 36
    low, high, fill = 40 - reach, 40 + reach, COLOURS[colour]
    if form == "circle":
        draw.ellipse((low, low, high, high), fill)
    elif form == "square":
        draw.rectangle((low, low, high, high), fill)
    elif form == "triangle":
        draw.polygon(((40, low), (low, high), (high, high)), fill)
    elif form == "bar":
        draw.rectangle((low, 34, high, 46), fill)
    else:
        draw.line((low, low, high, high), fill, 9)
        draw.line((low, high, high, low), fill, 9)
    return image


def write_shapes(folder: Path) -> Path:
    """Write all 60 shapes as `images/` + `metadata.csv`."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, (colour, form, size) in enumerate(product(COLOURS, SHAPES, SIZES)):
        name = f"{number:02}.png"
        shape(colour, form, size).save(folder / "images" / name)
        rows.append((name, f"{size} {colour} {form}", f"{colour}|{form}"))
    write_table(folder, rows)
    return folder


def write_table(folder: Path, rows: list[tuple[str, str, str]]) -> None:
    """Write `metadata.csv` from (file_name, title, labels)."""
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file_name", "title", "labels"))
        table.writerows(rows)
