"""Which way up a picture is, by its EXIF data."""

from __future__ import annotations

from PIL import Image

# EXIF's orientation, and what sets a picture upright that is stored so.
_TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
          5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
          8: Image.Transpose.ROTATE_90}
_ORIENTATION = 0x0112


def orientation(image: Image.Image) -> int:
    """EXIF's, 1 to 8; 1, upright, where the EXIF data cannot be read: the picture still can."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def set_upright(picture: Image.Image, orientation: int) -> Image.Image:
    """The picture as it is meant to be seen."""
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)
