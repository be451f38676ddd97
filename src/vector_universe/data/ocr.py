"""Text burnt into pictures, read off by an OCR engine and kept apart from the titles, in `Example.ocr`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.duplicates import image_digest
from vector_universe.data.images import ImageError, ImageSource, decode_image
from vector_universe.data.ocr_cache import OcrCache, OcrLine

MIN_SCORE = 0.8  # below it, what the engine gives for small print is mostly not what stands there
DECODED_SIDE = 1024  # JPEGs are decoded to at least twice this: burnt-in text is larger than a page's


class OcrEngine(Protocol):
    """What reads a picture. `name` holds its version and settings: results of another name are read again."""

    name: str

    def read(self, picture: Image.Image) -> list[OcrLine]:
        """The lines of text in an RGB picture, in any order, with scores from 0 to 1.

        Raises:
            OcrError: the engine fails on this picture.
        """
        ...


class OcrError(Exception):
    """The engine fails on one picture; the message is its reason."""


def read_ocr(dataset: ImageTextDataset, cache: str | Path | None = None, advance: Callable[[int], None] | None = None,
             *, engine: OcrEngine | None = None, min_score: float = MIN_SCORE) -> ImageTextDataset:
    """Read the text off every picture of a data set; the same examples with `ocr` filled in.

    Each picture is read once: what the engine saw is kept in `cache` by the digest of the encoded picture and the
    engine's name, line by line, so that a killed run goes on where it was and another `min_score` costs nothing. A
    picture that cannot be decoded has no text, as has one on which the engine fails, which is also warned of.

    Args:
        dataset: the examples; what their `ocr` held before is replaced.
        cache: a file of JSON lines, made where it is missing; None for ~/.cache/vector-universe/ocr.jsonl.
        advance: called with 1 as each picture is done.
        engine: what reads; None for `RapidOcr`, made only when a picture is not in the cache.
        min_score: lines in which the engine trusts less are left out, from 0 to 1.

    Raises:
        UserError: the extra `ocr` is not installed, or the cache cannot be written.
        ValueError: `min_score` lies outside 0 to 1.
    """
    from vector_universe.data.ocr_engine import RapidOcr, rapid_ocr_name

    if not 0 <= min_score <= 1:
        raise ValueError(f"min_score is {min_score}: it must lie between 0 and 1")
    name = engine.name if engine else rapid_ocr_name()
    texts, failures = [], []
    with OcrCache(cache) as known:
        for example in dataset:
            lines: Sequence[OcrLine] | None = []
            try:
                digest = image_digest(example.image)
                lines = known.get(digest, name)
                if lines is None:
                    picture = _decode(example.image)
                    engine = engine or RapidOcr()
                    lines = engine.read(picture)
                    known.put(digest, name, lines)
            except ImageError:
                pass  # whoever uses the picture itself lists it
            except OcrError as error:
                failures.append(f"{example.id} ({error})")
            texts.append(joined([line for line in lines or [] if line.score >= min_score]))
            if advance:
                advance(1)
    if failures:
        warnings.warn(f"no text was read off {len(failures)} pictures on which the OCR engine failed, "
                      f"first {failures[0]}", stacklevel=2)
    return dataset.with_ocr(texts)


def joined(lines: Sequence[OcrLine]) -> str:
    """The lines as one text in reading order: rows from top to bottom, each from left to right.

    A line belongs to the row begun above it if its middle lies higher than the mean lower edge of that row.
    """
    rows: list[list[OcrLine]] = []
    for line in sorted(lines, key=lambda line: (line.top + line.bottom, line.left)):
        if rows and (line.top + line.bottom) / 2 < sum(other.bottom for other in rows[-1]) / len(rows[-1]):
            rows[-1].append(line)
        else:
            rows.append([line])
    ordered = (line for row in rows for line in sorted(row, key=lambda line: line.left))
    return " ".join(" ".join(line.text for line in ordered).split())


def _decode(source: ImageSource) -> Image.Image:
    picture = decode_image(source, 2 * DECODED_SIDE, longest=True)
    picture.thumbnail((2 * DECODED_SIDE, 2 * DECODED_SIDE))
    return picture
