"""Small pictures that stand inside a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.images import ImageError, ImageSource, decode_image

SIDE = 112  # pixels


def thumbnails(dataset: ImageTextDataset, places: Iterable[int]) -> dict[int, str]:
    """A JPEG data URI of about 3 KB for each of these examples that can be decoded."""
    wanted = sorted(set(places))
    with ThreadPoolExecutor() as threads:
        made = threads.map(_thumbnail, [dataset[place].image for place in wanted])
        return {place: uri for place, uri in zip(wanted, made, strict=True) if uri}


def _thumbnail(source: ImageSource) -> str:
    try:
        picture = decode_image(source, size=SIDE)
    except ImageError:
        return ""
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    encoded = io.BytesIO()
    picture.resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR).save(
        encoded, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(encoded.getvalue()).decode()
