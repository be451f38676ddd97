"""From examples to rows of the table: pictures, titles and both together as vectors, thumbnails, and what failed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vector_universe.data.duplicates import DECODED_SIDE, image_digest, look_at
from vector_universe.data.images import ImageError, ImageSource, encoded_bytes
from vector_universe.data.read_ahead import read_ahead
from vector_universe.data.skipped import SkippedRow
from vector_universe.errors import UserError
from vector_universe.index.table.metadata import cast
from vector_universe.index.table.rows import Item, VectorColumn, to_table

if TYPE_CHECKING:
    import pyarrow as pa

    from vector_universe.data.example import Example
    from vector_universe.index.table.generation import Vectors
    from vector_universe.models import DualEncoder

THUMBNAIL_SIDE = 128
_CHUNK = 128  # pictures embedded by one call, and held in memory decoded


@dataclass(frozen=True)
class Known:
    """What is already there of an item whose picture has not changed."""

    image_D: NDArray[np.float16]
    look: int
    thumbnail: bytes


@dataclass(frozen=True)
class Embedder:
    """Makes rows; whichever engine it runs in, the rows are the same.

    Attributes:
        model: embeds pictures and texts.
        schema: of the table.
        source: the name of the data set.
        vectors: what items are searched by; "fused" makes fused vectors besides.
        columns: of the table, by the name of the metadata.
        id_prefix: put before every id.
    """

    model: DualEncoder
    schema: pa.Schema
    source: str
    vectors: Vectors
    columns: Mapping[str, str] = field(default_factory=dict)
    id_prefix: str = ""

    def rows(self, examples: Iterable[Example],
             known: Mapping[str, Known] | None = None) -> Iterator[tuple[pa.Table, list[SkippedRow], int]]:
        """Rows of the examples in order, at most 128 at a time; what cannot be read; how many pictures were embedded.

        Args:
            examples: read as they come.
            known: by the item's id; its picture is not read again.

        Raises:
            UserError: the model returns something that is no vector.
        """
        known = known or {}

        def read(example: Example) -> tuple[Item, Image.Image | Known]:
            return self._read(example, known.get(self.id_prefix + example.id))

        waiting: list[tuple[Item, Image.Image | Known]] = []
        skipped: list[SkippedRow] = []
        for example, found in read_ahead(read, examples):
            if isinstance(found, ImageError):
                skipped.append(SkippedRow(example.id, None, str(found)))
            else:
                waiting.append(found)
            if len(waiting) + len(skipped) >= _CHUNK:
                yield self._embed(waiting, skipped)
                waiting, skipped = [], []
        if waiting or skipped:
            yield self._embed(waiting, skipped)

    def _read(self, example: Example, known: Known | None) -> tuple[Item, Image.Image | Known]:
        encoded = encoded_bytes(example.image)
        picture: Image.Image | Known
        if known is None:
            picture = decoded = self.model.framing.decode(encoded)
            look, small = look_at(reduced(decoded)).hash, thumbnail(decoded)
        else:
            picture, look, small = known, known.look, known.thumbnail
        metadata = {column: cast(example.metadata.get(name), self.schema.field(column).type)
                    for name, column in self.columns.items()}
        item = Item(self.id_prefix + example.id, self.source, example.title, list(example.texts), list(example.labels),
                    example.split, example.ocr, picture_digest(encoded), said_digest(example), look, small, metadata)
        return item, picture

    def _embed(self, found: Sequence[tuple[Item, Image.Image | Known]],
               skipped: list[SkippedRow]) -> tuple[pa.Table, list[SkippedRow], int]:
        items = [item for item, _ in found]
        new = {place: picture for place, (_, picture) in enumerate(found) if isinstance(picture, Image.Image)}
        dimension = self.schema.field("image").type.list_size
        images_ND = np.zeros((len(found), dimension), np.float32)
        if new:
            images_ND[list(new)] = self.model.embed_images(list(new.values()))
        for place, (_, picture) in enumerate(found):
            if isinstance(picture, Known):
                images_ND[place] = picture.image_D
        titles_ND = _texts(self.model, [item.texts[0] if item.texts else "" for item in items], dimension)
        vectors: dict[VectorColumn, NDArray[np.float32] | None] = {"image": images_ND, "text": titles_ND}
        if self.vectors == "fused" and items:
            burnt_in_ND = _texts(self.model, [item.ocr for item in items], dimension)
            vectors["fused"] = self.model.fuse_vectors(images_ND, titles_ND, burnt_in_ND)
        return to_table(self.schema, items, {name: _checked(rows, name) for name, rows in vectors.items()}), \
            skipped, len(new)


def thumbnail(picture: Image.Image) -> bytes:
    """A WebP picture with a long side of at most 128 px."""
    small = picture.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    small.save(encoded, "WEBP", quality=82, method=4)
    return encoded.getvalue()


def reduced(picture: Image.Image) -> Image.Image:
    """A picture no larger than its look needs, which is the same."""
    factor = min(picture.size) // DECODED_SIDE
    return picture.reduce(factor) if factor > 1 else picture


def picture_digest(source: ImageSource) -> bytes:
    """The first 16 bytes of `image_digest`.

    Raises:
        ImageError: the file cannot be read.
    """
    return bytes.fromhex(image_digest(source))[:16]


def said_digest(example: Example) -> bytes:
    """16 bytes of a hash of all that is said about a picture: a change of it changes the row."""
    said = (example.texts, example.labels, example.split, example.ocr, sorted(example.metadata.items(), key=repr))
    return hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).digest()[:16]


def _texts(model: DualEncoder, texts: Sequence[str], width: int) -> NDArray[np.float32] | None:
    """Unit rows of texts, zeros where there is none, None where all are; each distinct text is embedded once."""
    places: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        if text.strip():
            places.setdefault(text, []).append(place)
    if not places:
        return None
    rows_ND = np.zeros((len(texts), width), np.float32)
    for rows, vector_D in zip(places.values(), model.embed_texts(list(places)), strict=True):
        rows_ND[rows] = vector_D
    return rows_ND


def _checked(rows_ND: NDArray[np.float32] | None, what: str) -> NDArray[np.float16] | None:
    if rows_ND is None:
        return None
    if not np.isfinite(rows_ND).all():
        raise UserError(f"the model returns NaN ({what} vectors) and cannot index anything: train it again")
    return rows_ND.astype(np.float16)
