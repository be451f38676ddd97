"""A folder of images by class: `cat/a.jpg`, or `train/cat/a.jpg` where every folder on top names a split."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vector_universe.data.example import Example
from vector_universe.data.images import ImageError
from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import SkippedRow
from vector_universe.data.sources.columns import refuse_columns
from vector_universe.data.sources.places import IMAGE_ENDINGS, IMAGE_FOLDERS, Places, check_header
from vector_universe.data.sources.source import Item, Report, Source
from vector_universe.data.splits import split_named, split_of


def class_folders(folder: Path) -> dict[Path, tuple[str, str]]:
    """Each folder of images with its label and its split ("" for none); empty if `folder` is not by class."""
    top = _folders(folder)
    if top and all(split_named(path.name) for path in top):
        found = {path: (path.name, split.name) for split in top for path in _folders(split)}
    else:
        found = {path: (path.name, "") for path in top if path.name not in IMAGE_FOLDERS}
    return found if any(next(_images(path), None) for path in found) else {}


def class_folder_source(folder: Path, options: LoadOptions) -> Source:
    """The images below `folder`, labelled by the folder they lie in; ids are their paths within it.

    Raises:
        UserError: the options name columns.
    """
    refuse_columns(options, str(folder))
    reading = ClassFolders(folder, class_folders(folder), Places(folder, options.allow_outside))
    return Source(folder.resolve().name, str(folder), reading.items)


@dataclass(frozen=True)
class ClassFolders:
    """Folders of images, one a class."""

    folder: Path
    classes: dict[Path, tuple[str, str]]
    places: Places

    def items(self, report: Report) -> Iterator[Item]:
        """Examples by class and name, and the images that cannot be used."""
        number = 0
        for done, (path, (label, split)) in enumerate(self.classes.items()):
            report(done, len(self.classes))
            for image in _images(path):
                number += 1
                yield self._item(image.relative_to(self.folder).as_posix(), number, label, split)
        report(len(self.classes), len(self.classes))

    def _item(self, id: str, number: int, label: str, split: str) -> Item:
        try:
            id.encode()
            path = self.places.locate(id)
            check_header(path)
        except UnicodeEncodeError:
            return SkippedRow(ascii(id), number, "its name is not UTF-8")
        except ImageError as error:
            return SkippedRow(id, number, str(error))
        return Example(id, path, [], [label], split_named(split) or split_of(id))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> Iterator[Path]:
    """Image files below a folder, in the order of their names; linked folders are not entered."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name.rpartition(".")[2].lower() in IMAGE_ENDINGS and not name.startswith("."):
                yield Path(place, name)
