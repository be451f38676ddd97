"""A decoded picture of any mode as RGB, 8 bits a channel, on white."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vector_universe.data.image_error import ImageError

DEEP_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


def rgb(image: Image.Image) -> Image.Image:
    """A picture of any mode as RGB: transparency laid on white, 16-bit grey scaled, colour profiles not applied.

    Raises:
        ImageError: a mode without a way to RGB.
    """
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and transparent is None:
        return image  # `convert` would copy it
    try:
        if image.mode in DEEP_GREY:
            image = _deep_grey(image, transparent)
        elif image.mode == "LAB":
            image = _lab(image)
        elif image.mode in PREMULTIPLIED:
            image = image.convert(PREMULTIPLIED[image.mode])
        elif image.mode == "RGB" and isinstance(transparent, tuple) and max(transparent) > 255:
            image = image.copy()  # 16-bit RGB, of which Pillow keeps the upper bytes, but not of the transparent colour
            image.info["transparency"] = tuple(value >> 8 for value in transparent)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB")
    except ValueError:
        raise ImageError(f"mode {image.mode} cannot be shown in RGB") from None


def _deep_grey(image: Image.Image, transparent: object) -> Image.Image:
    """Grey of 16 bits, or in floating point (0 to 1, or to 255 where some exceed 1), as 8 bits."""
    values = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=np.inf, neginf=0)
    top = 65535.0
    if image.mode == "F":
        top = 1.0 if values.max() <= 1 else 255.0
    grey = np.clip(values * np.float32(255 / top) + 0.5, 0, 255).astype(np.uint8)
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _lab(image: Image.Image) -> Image.Image:
    try:
        from PIL import ImageCms
        lab_to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"),
                                             "LAB", "RGB")
        found = ImageCms.applyTransform(image, lab_to_rgb)
    except (ImportError, ImageCms.PyCMSError):
        found = None
    if found is None:
        raise ImageError("mode LAB cannot be shown in RGB")
    return found
