"""Items by image, title and burnt-in text at once: one vector each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vector_universe.errors import UserError
from vector_universe.index.store import Item
from vector_universe.progress import StageProgress

if TYPE_CHECKING:
    from vector_universe.models import DualEncoder

_STAGE = "embedding titles and burnt-in text"


def fused_vectors(model: DualEncoder, items: Sequence[Item], images_ND: NDArray[np.float32],
                  progress: StageProgress | None) -> NDArray[np.float32]:
    """The vectors (N, D) of items by their images, first texts and burnt-in texts, as far as they have them.

    Labels are not read: an item without title or burnt-in text is known by what it has.

    Raises:
        UserError: the model returns something that is no vector.
    """
    titles = [item.texts[0] if item.texts else "" for item in items]
    burnt_in = [item.ocr for item in items]
    if progress is not None:
        progress(_STAGE, 0, 2)
    titles_ND = _embed(model, titles, images_ND.shape[1])
    if progress is not None:
        progress(_STAGE, 1, 2)
    fused_ND = model.fuse_vectors(images_ND, titles_ND, _embed(model, burnt_in, images_ND.shape[1]))
    if progress is not None:
        progress(_STAGE, 2, 2)
    if not np.isfinite(fused_ND).all():
        raise UserError("the model fuses vectors into NaN and cannot index anything: train it again")
    return fused_ND.astype(np.float32)


def _embed(model: DualEncoder, texts: Sequence[str], width: int) -> NDArray[np.float32] | None:
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
