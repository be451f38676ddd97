"""A folder of pictures without a table: by class (`cat/a.jpg`), by split (`train/cat/a.jpg`), with captions beside them
(`a.jpg`, `a.txt`)."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vector_universe.data.images import ImageError
from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import SkippedRow, unread_remarks
from vector_universe.data.sources.columns import refuse_columns
from vector_universe.data.sources.names import IMAGE_ENDINGS, is_clutter, plain_name
from vector_universe.data.sources.places import IMAGE_FOLDERS, Places
from vector_universe.data.sources.samples import TEXT_ENDINGS, Member, Sample, sample_item
from vector_universe.data.sources.seen import SeenIds
from vector_universe.data.sources.source import Item, Report, Source
from vector_universe.data.sources.values import as_text
from vector_universe.data.splits import split_named

# Pictures in formats that nothing here reads: they are listed, one by one, as what is lost with them.
OTHER_PICTURES = ("svg", "psd", "ico", "jxl", "tga", "raw", "dng", "cr2", "cr3", "nef", "arw", "orf", "rw2", "xcf",
                  "ai", "eps")

_SHARD = re.compile(r"\d{4,}")  # as img2dataset numbers its folders
_ABOUT = re.compile(r"(readme|licen[cs]e|notice|credits|classes|labels|requirements|citation)\b.*", re.IGNORECASE)


def is_picture_folder(folder: Path) -> bool:
    """Whether pictures lie in folders below this one, or have captions beside them."""
    below = any(path.name not in IMAGE_FOLDERS and has_pictures(path) for path in _folders(folder))
    return below or any(_has_captions(path) for path in (folder, *(folder / name for name in IMAGE_FOLDERS)))


def picture_folder_source(folder: Path, options: LoadOptions) -> Source:
    """The pictures below `folder`, labelled by the folder they lie in; ids are their paths within it.

    Raises:
        UserError: the options name columns.
    """
    refuse_columns(options, str(folder))
    reading = PictureFolder(folder, options, Places(folder, options.allow_outside))
    return Source(folder.resolve().name, str(folder), reading.items)


@dataclass(frozen=True)
class Part:
    """A folder that holds pictures.

    Attributes:
        label: of all its pictures; "" for none.
        split: likewise; None where it should have one.
        deep: whether those in folders below belong to it.
    """

    path: Path
    label: str = ""
    split: str | None = ""
    deep: bool = True


@dataclass(frozen=True)
class PictureFolder:
    """Pictures and the small files beside them."""

    folder: Path
    options: LoadOptions
    places: Places

    def items(self, report: Report) -> Iterator[Item]:
        """Examples by folder and name, what cannot be used, and how many files of each ending were not read."""
        seen, number, unread = SeenIds(), 0, Counter[str]()
        parts = list(self._parts())
        for done, part in enumerate(parts):
            report(done, len(parts))
            for place, names in _walk(part.path, deep=part.deep):
                for found in self._samples(place, names, part, unread):
                    number += 1
                    if isinstance(found, SkippedRow):
                        yield SkippedRow(found.file, number, found.reason)
                    elif part.split is None:
                        yield SkippedRow(found.key, number, f"its folder {part.path.name} is no split, but folders "
                                                            "beside it are train, validation or test")
                    else:
                        yield self._item(found, number, seen)
        report(len(parts), len(parts))
        yield from unread_remarks(unread, "file")

    def _parts(self) -> Iterator[Part]:
        yield Part(self.folder, deep=False)
        top = [path for path in _folders(self.folder) if has_pictures(path)]
        if len(top) == 1 and _by_split(below := [path for path in _folders(top[0]) if has_pictures(path)]):
            yield Part(top[0], deep=False)  # a data set that was unpacked into a folder of its own
            top = below
        by_split = _by_split(top)
        for path in top:
            if not by_split:
                yield Part(path, "" if path.name in IMAGE_FOLDERS else path.name)
            elif split_named(path.name) is None:
                yield Part(path, split=None)
            else:
                yield Part(path, split=path.name, deep=False)
                yield from (Part(below, below.name, path.name) for below in _folders(path) if has_pictures(below))

    def _samples(self, place: Path, names: list[str], part: Part,
                 unread: Counter[str]) -> Iterator[Sample | SkippedRow]:
        """Each picture of a folder with the texts of its name, and the texts that have no picture."""
        texts: dict[str, dict[str, Member]] = {}
        pictures: list[tuple[str, str]] = []
        for name in names:
            stem, _, ending = name.rpartition(".")
            ending = ending.lower()
            if ending in IMAGE_ENDINGS:
                pictures.append((name, ending))
            elif _ABOUT.fullmatch(name):
                continue
            elif ending in TEXT_ENDINGS and stem:
                texts.setdefault(plain_name(stem), {})[ending] = Member(self._id(place / name), str(place / name))
            elif ending in OTHER_PICTURES:
                yield SkippedRow(self._id(place / name), None, f"not an image that is read: .{ending}")
            else:
                unread[ending if stem else ""] += 1
        label = "" if texts and _SHARD.fullmatch(part.label) else as_text(part.label)
        used: set[str] = set()
        for name, ending in pictures:
            stems = (plain_name(name.rpartition(".")[0]), plain_name(name))
            members = {found: member for stem in stems for found, member in texts.get(stem, {}).items()}
            used.update(stems)
            yield Sample(self._id(place / name), {ending: Member(self._id(place / name), str(place / name)), **members},
                         part.split or "", labels=(label,) if label else ())
        if used & texts.keys():
            yield from (SkippedRow(member.name, None, "no image of its name lies beside it")
                        for stem, found in texts.items() if stem not in used for member in found.values())
        else:
            unread.update(ending for found in texts.values() for ending in found)

    def _item(self, sample: Sample, number: int, seen: SeenIds) -> Item:
        try:
            sample.key.encode()
            self.places.locate(sample.key)
        except UnicodeEncodeError:
            return SkippedRow(ascii(sample.key), number, "its name is not UTF-8")
        except ImageError as error:
            return SkippedRow(sample.key, number, str(error))
        return sample_item(sample, number, self.options, seen)

    def _id(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def _by_split(folders: list[Path]) -> bool:
    """Whether folders are splits: all of them, or two kinds of splits beside others."""
    splits = [split_named(path.name) for path in folders]
    return bool(splits) and (None not in splits or len(set(splits) - {None}) > 1)


def has_pictures(folder: Path) -> bool:
    """Whether a picture lies anywhere below a folder."""
    return next(_pictures(folder, deep=True), None) is not None


def _pictures(folder: Path, *, deep: bool) -> Iterator[str]:
    return (name for _, names in _walk(folder, deep=deep) for name in names
            if name.rpartition(".")[2].lower() in IMAGE_ENDINGS)


def _has_captions(folder: Path) -> bool:
    names = [name for _, found in _walk(folder, deep=False) for name in found]
    texts = {plain_name(name.rpartition(".")[0]) for name in names if name.rpartition(".")[2].lower() in TEXT_ENDINGS}
    return any(plain_name(name) in texts or plain_name(name.rpartition(".")[0]) in texts for name in names
               if name.rpartition(".")[2].lower() in IMAGE_ENDINGS)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_clutter(path.name))


def _walk(folder: Path, *, deep: bool) -> Iterator[tuple[Path, list[str]]]:
    """Each folder with its files in the order of their names; linked folders are not entered."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if deep and not is_clutter(name))
        yield Path(place), sorted(name for name in files if not is_clutter(name))
