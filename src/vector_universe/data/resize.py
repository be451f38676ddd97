"""Resampling of pictures: Pillow's filters, the two that models use by torch, in a third of the time."""

from __future__ import annotations

import numpy as np
from PIL import Image

RESAMPLING = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR,
              "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS,
              "box": Image.Resampling.BOX, "hamming": Image.Resampling.HAMMING}
BY_TORCH = ("bilinear", "bicubic")


def resize(picture: Image.Image, width: int, height: int, resampling: str) -> np.ndarray:
    """An RGB picture resampled, uint8 (height, width, 3); by either library the same to a grey level, rarely two.

    Args:
        picture: RGB.
        width, height: in pixels.
        resampling: a key of `RESAMPLING`.
    """
    if picture.size == (width, height):
        return np.asarray(picture)
    if resampling not in BY_TORCH:
        return np.asarray(picture.resize((width, height), RESAMPLING[resampling]))
    from torch import from_numpy
    from torch.nn.functional import interpolate
    # torch adds the batch axis, before the channels are moved: numpy's has no stride, which hides the order of memory
    # ("channels last") for which torch has its fast code.
    pixels_1CHW = from_numpy(np.array(picture))[None].permute(0, 3, 1, 2)
    resized_1CHW = interpolate(pixels_1CHW, (height, width), mode=resampling, antialias=True)
    return resized_1CHW[0].permute(1, 2, 0).numpy()
