"""From a data set to the parts of a universe: vectors, thumbnails, and the list of what could not be read."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vector_universe.data.images import ImageError
from vector_universe.data.read_ahead import read_ahead
from vector_universe.data.skipped import SkippedRow
from vector_universe.errors import UserError
from vector_universe.index.store import Item
from vector_universe.progress import StageProgress

if TYPE_CHECKING:
    from vector_universe.data import ImageTextDataset
    from vector_universe.data.example import Example
    from vector_universe.models import DualEncoder

THUMBNAIL_SIDE = 128
_CHUNK = 128  # pictures embedded by one call, and held in memory decoded
_EXAMPLE_QUERIES = 6


@dataclass(frozen=True)
class Embedded:
    """N items with their vectors (N, D), float32, L2-normalised; and what was left out."""

    items: list[Item]
    vectors_ND: NDArray[np.float32]
    skipped: list[SkippedRow]


def embed_dataset(model: DualEncoder, dataset: ImageTextDataset, progress: StageProgress | None) -> Embedded:
    """Embed every readable image of a data set and make its thumbnail.

    Raises:
        UserError: no image is readable, two items share an id, or the model returns something that is no vector.
    """
    items: list[Item] = []
    vectors: list[NDArray[np.float32]] = []
    skipped: list[SkippedRow] = []
    total = len(dataset)

    def read(example: Example) -> tuple[Image.Image, bytes]:
        picture = model.framing.decode(example.image)  # once, for both
        return picture, thumbnail(picture)

    pictures: list[Image.Image] = []
    for done, (example, found) in enumerate(read_ahead(read, _unique(dataset)), 1):
        if isinstance(found, ImageError):
            skipped.append(SkippedRow(example.id, None, str(found)))
        else:
            pictures.append(found[0])
            items.append(Item(example.id, example.title, list(example.texts), list(example.labels),
                              example.split, found[1], example.ocr))
        if len(pictures) == _CHUNK or (done == total and pictures):
            vectors.append(_embed(model, pictures))
            pictures = []
        if progress is not None:
            progress("embedding images", done, total)
    if not items:
        reason = f" (the first: {skipped[0].file}: {skipped[0].reason})" if skipped else ""
        raise UserError(f"nothing to index: none of the {total} images of {dataset.name} can be read{reason}")
    return Embedded(items, np.concatenate(vectors), skipped)


def thumbnail(picture: Image.Image) -> bytes:
    """A WebP picture with a long side of at most 128 px."""
    small = picture.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    small.save(encoded, "WEBP", quality=82, method=4)
    return encoded.getvalue()


def example_queries(items: Sequence[Item]) -> list[str]:
    """Short titles to try first: one from each of the most frequent labels, then from all over the set."""
    counts = Counter(label for item in items for label in item.labels[:1])
    labels = [label for label, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_EXAMPLE_QUERIES]]
    first_titles = {label: [item.title for item in items if item.labels[:1] == [label]] for label in labels}
    spread = [items[number * len(items) // _EXAMPLE_QUERIES].title for number in range(_EXAMPLE_QUERIES)]
    candidates = [titles[len(titles) // 2] for titles in first_titles.values()] + spread
    short = [title for title in candidates if 0 < len(title.strip()) <= 60]
    return list(dict.fromkeys(short))[:_EXAMPLE_QUERIES]


def _unique(dataset: ImageTextDataset) -> Iterator[Example]:
    seen: set[str] = set()
    for example in map(dataset.__getitem__, range(len(dataset))):
        if example.id in seen:
            raise UserError(f"two items of the data set share the id {example.id!r}: ids must be unique")
        seen.add(example.id)
        yield example


def _embed(model: DualEncoder, pictures: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Vectors (N, D) of decoded pictures."""
    vectors_ND = model.embed_images(pictures)
    if vectors_ND.shape[0] != len(pictures) or not np.isfinite(vectors_ND).all():
        raise UserError("the model returns NaN or missing vectors and cannot index anything: train it again")
    return vectors_ND.astype(np.float32)
