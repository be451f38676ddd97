"""A query by text, image, or both, as one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vector_universe.data.images import ImageError, ImageSource
from vector_universe.errors import UserError
from vector_universe.index.facts import Vectors

if TYPE_CHECKING:
    from vector_universe.models import DualEncoder


def embed_query(model: DualEncoder, vectors: Vectors, text: str | None,
                image: ImageSource | Image.Image | None) -> NDArray[np.floating[Any]]:
    """The vector (D,) of a query; both together become one as the items of the universe did.

    Raises:
        UserError: nothing to search for (blank text counts as none), or an unreadable image.
    """
    text_1D = image_1D = None
    if text is not None and text.strip():
        text_1D = model.embed_texts([text])
    if image is not None:
        try:
            image_1D = model.embed_images([image])
        except ImageError as error:
            raise UserError(f"the query image cannot be read: {error}") from error
    if text_1D is not None and image_1D is not None and vectors == "fused":
        return model.fuse_vectors(image_1D, text_1D)[0]
    parts = [rows_1D[0] for rows_1D in (text_1D, image_1D) if rows_1D is not None]
    if not parts:
        raise UserError("nothing to search for: give a text, an image, or both")
    mean_D: NDArray[np.floating[Any]] = np.mean(parts, axis=0)
    return mean_D
