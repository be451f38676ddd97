"""From the name in a table to the file it means, without ever leaving the data folder unasked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from vector_universe.data.images import MAX_BYTES, FileSlice, ImageError, ImageSource, open_image
from vector_universe.data.skipped import Remark
from vector_universe.data.sources.names import (
    IMAGE_ENDINGS,
    IMAGE_NAME,
    NearNames,
    is_clutter,
    readings,
    visible_name,
)
from vector_universe.data.sources.seen import SeenIds
from vector_universe.errors import UserError

IMAGE_FOLDERS = ("images", "Images")
DOWNLOAD = "download the images first, for instance with img2dataset, whose output is read here"
OUTSIDE = "its path leaves the data folder (--allow-outside lets it)"
HEADER_BYTES = 256 * 1024  # of a slice that are read to check its header

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


def is_url(name: str) -> bool:
    """Whether a path is an address of another machine: https://…, s3://…"""
    return _URL.match(name) is not None


def refuse_url(url: str, place: str = "") -> UserError:
    """The one line about a URL, found in the file `place` or given as the source."""
    shown = url if len(url) <= 80 else url[:79] + "…"
    return UserError(f"{place} names URLs ({shown}): {DOWNLOAD}" if place else f"{shown} is a URL: {DOWNLOAD}")


class Places:
    """Where the images of one folder lie: in its images/, its Images/, or itself.

    Args:
        folder: the folder of the table; None where there is none, and every name is refused.
        allow_outside: follow names that leave the folder: `../`, absolute ones, symbolic links.
    """

    def __init__(self, folder: Path | None, allow_outside: bool = False) -> None:
        self._root = None if folder is None else folder.resolve()
        self._places = () if self._root is None else (*(self._root / name for name in IMAGE_FOLDERS), self._root)
        self._allow_outside = allow_outside
        self._parents = lru_cache(maxsize=4096)(Path.resolve)
        self._near = NearNames()
        self._named = SeenIds()
        self._folders: dict[str, None] = {}  # in which named files lie

    def locate(self, name: str) -> str:
        """The file that `name` means: as it stands, else the one file that it nearly names.

        Raises:
            ImageError: there is none or there are several, it lies outside the folder, or no file can have this name.
        """
        path = self._locate(name)
        self._named.add(path)
        self._folders.setdefault(path[:path.rfind(os.sep)])
        return path

    def unnamed(self) -> Iterator[Remark]:
        """Of each folder in which a named picture lies, how many others lie there."""
        for folder in self._folders:
            with os.scandir(folder) as files:
                others = sorted(file.name for file in files if IMAGE_NAME.fullmatch(file.name)
                                and not is_clutter(file.name) and self._named.add(file.path))
            if others:
                yield Remark("not_read", Path(folder).name, None, f"{len(others):,} pictures in this folder are named "
                             f"by no row (the first: {others[0]})")

    def _locate(self, name: str) -> str:
        if self._root is None:
            raise ImageError("the source holds no such file, only its name")
        try:
            for reading in readings(name):
                endings = ("",) if "." in reading[-6:] else ("", *(f".{ending}" for ending in IMAGE_ENDINGS))
                for place in self._places:
                    for ending in endings:
                        path = self._checked(place / (reading + ending))
                        if path.is_file():
                            return str(path)
            for reading in readings(name):
                for place in self._places:
                    if (near := self._near.find(place, reading)) is not None:
                        return str(self._checked(near))
        except ImageError:
            raise
        except (OSError, ValueError, RuntimeError):  # a name of 10,000 characters, a NUL in it, a ring of links
            raise ImageError("no file can have this name") from None
        raise ImageError(self._missing(name))

    def _missing(self, name: str) -> str:
        shown = f" ({visible_name(name)})" if visible_name(name) != name else ""
        nearest = next(filter(None, (self._near.nearest(place, name) for place in self._places)), "")
        return f"file not found{shown}" + (f"; the nearest there is {visible_name(nearest)}" if nearest else "")

    def _checked(self, path: Path) -> Path:
        path = self._resolve(path)
        if not self._allow_outside and not path.is_relative_to(self._root or path):
            raise ImageError(OUTSIDE)
        return path

    def _resolve(self, path: Path) -> Path:
        if path.name == ".." or path.is_symlink():
            return path.resolve()
        return self._parents(path.parent) / path.name  # many files share a folder, and resolving one is slow


def check_header(image: ImageSource) -> None:
    """Raise what `open_image` raises; of a slice only the beginning is read where that is enough.

    Raises:
        ImageError: missing, empty, not an image, or too large.
    """
    if isinstance(image, FileSlice):
        if image.length > MAX_BYTES:
            raise ImageError(f"too large ({image.length:,} bytes, limit {MAX_BYTES:,})")
        if image.length > HEADER_BYTES:
            try:
                open_image(FileSlice(image.path, image.offset, HEADER_BYTES)).close()
                return
            except ImageError:
                pass  # some formats keep what matters further back
    open_image(image).close()
