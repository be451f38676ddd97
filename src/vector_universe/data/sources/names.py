"""A file by a name that is nearly its own: other letter case, Unicode form, slashes, spaces or ending."""

from __future__ import annotations

import html
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from vector_universe.data.images import ImageError

IMAGE_ENDINGS = ("jpg", "jpeg", "png", "webp", "gif", "avif", "bmp", "tif", "tiff", "jp2", "ppm", "jfif", "jpe",
                 "heic", "heif")
IMAGE_NAME = re.compile(rf".+\.({'|'.join(IMAGE_ENDINGS)})", re.IGNORECASE | re.DOTALL)
FOLDERS_HELD = 256  # listings of folders that are kept
NEAREST = 20  # missing files of one source for which the nearest name is looked for
NEAREST_AMONG = 5_000  # files of a folder, beyond which it takes too long

_CLUTTER = re.compile(r"\.(?!\.?$).*|~\$.*|thumbs\.db|desktop\.ini|__macosx|@eadir|\$recycle\.bin",
                      re.IGNORECASE | re.DOTALL)


def is_clutter(name: str) -> bool:
    """Whether a file or folder is an operating system's or an editor's own: `.DS_Store`, `._a.jpg`, `~$list.xlsx`,
    `Thumbs.db`, `__MACOSX`. It is never data."""
    return _CLUTTER.fullmatch(name) is not None


def plain_name(name: str) -> str:
    """What names that look the same have in common: letter case, Unicode form and kinds of spaces do not count."""
    visible = "".join(letter for letter in unicodedata.normalize("NFKC", name)
                      if unicodedata.category(letter) not in ("Cc", "Cf"))
    return " ".join(visible.split()).casefold()


def visible_name(name: str) -> str:
    """A name for messages: what cannot be seen, or looks like an ordinary space, is written out as `\\u202f`."""
    return "".join(letter if letter == " " or (letter.isprintable() and not letter.isspace())
                   else letter.encode("unicode_escape").decode() for letter in name)


def readings(name: str) -> Iterator[str]:
    """The name as it stands, then what else may be meant by it: of Windows, of a URL, of a web page, with the spaces
    around it gone; each once."""
    seen = set()
    for one in (name, name.strip()):
        for slashed in (one, one.replace("\\", "/")):
            for decoded in (slashed, unquote(slashed), html.unescape(slashed)):
                if decoded and decoded not in seen:
                    seen.add(decoded)
                    yield decoded


class NearNames:
    """Looks for files by nearly their names; folders are listed once, and only when a name as it stands is missing."""

    def __init__(self) -> None:
        self._listed = lru_cache(maxsize=FOLDERS_HELD)(_list_folder)
        self._nearest_left = NEAREST

    def find(self, place: Path, name: str) -> Path | None:
        """The one file below `place` that `name` nearly names; None if there is none.

        Raises:
            ImageError: there are several.
        """
        path, parts = place, name.split("/")
        for depth, part in enumerate(parts, 1):
            if part in ("", "."):
                continue
            if part == "..":
                return None  # never out of the folder by a guess
            last = depth == len(parts)
            if not last and (path / part).is_dir():
                path = path / part
                continue
            found = self._listed(str(path)).get(plain_name(part), ())
            if last and not found:
                found = self._without_ending(path, part)
            if len(found) > 1:
                shown = " and ".join(visible_name(one) for one in found[:3])
                raise ImageError(f"file not found as it is written, and several are like it: {shown}")
            if not found:
                return None
            path = path / found[0]
        return path if path.is_file() else None

    def nearest(self, place: Path, name: str) -> str:
        """The name of a file that is most like a missing one; "" where none is like it, or after too many."""
        self._nearest_left -= 1
        folder = place.joinpath(*Path(name).parent.parts)
        if not folder.is_dir():  # a path of another machine
            folder, name = place, re.split(r"[\\/]", name)[-1]
        names = {plain: found[0] for plain, found in self._listed(str(folder)).items()}
        if self._nearest_left < 0 or not names or len(names) > NEAREST_AMONG:
            return ""
        like = get_close_matches(plain_name(Path(name).name), names, n=1, cutoff=0.75)
        return names[like[0]] if like else ""

    def _without_ending(self, folder: Path, name: str) -> tuple[str, ...]:
        """A name without an ending names the picture of any, and one with an ending the file that has none."""
        listed = self._listed(str(folder))
        if IMAGE_NAME.fullmatch(name):
            return listed.get(plain_name(name.rpartition(".")[0]), ())
        return tuple(found for ending in IMAGE_ENDINGS for found in listed.get(f"{plain_name(name)}.{ending}", ()))


def _list_folder(folder: str) -> dict[str, tuple[str, ...]]:
    """The names in a folder by their `plain_name`; nothing where it cannot be listed."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    try:
        for name in sorted(os.listdir(folder)):
            if not is_clutter(name):
                found[plain_name(name)].append(name)
    except OSError:
        return {}
    return {plain: tuple(names) for plain, names in found.items()}
