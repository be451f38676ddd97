"""Small pictures that stand inside a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence

from PIL import Image

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.example import Example
from vector_universe.data.images import ImageSource, decode_image
from vector_universe.data.read_ahead import read_ahead

SIDE = 112  # pixels


def thumbnails(dataset: ImageTextDataset | Sequence[Example], places: Iterable[int]) -> dict[int, str]:
    """A JPEG data URI of about 3 KB for each of these examples that can be decoded."""
    wanted = sorted(set(places))
    made = read_ahead(lambda place: _thumbnail(dataset[place].image), wanted)
    return {place: uri for place, uri in made if isinstance(uri, str)}


def _thumbnail(source: ImageSource) -> str:
    picture = decode_image(source, size=SIDE, longest=True)
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    encoded = io.BytesIO()
    picture.resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR).save(
        encoded, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode()
