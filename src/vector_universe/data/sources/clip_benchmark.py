"""Folders of CLIP_benchmark: tar shards by split, with class names and prompts in text files beside them.

`test/0.tar`, `test/1.tar`, … and `test/nshards.txt`; at the top `classnames.txt` (a class a line, which the integers of
`.cls` members count from 0), `zeroshot_classification_templates.txt`, and `dataset_type.txt`: "retrieval" where `.txt`
members hold a caption a line, "multilabel" where `.npy` members hold a row of zeros and ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.source import Source
from vector_universe.data.sources.values import as_text
from vector_universe.data.sources.web_dataset import shards_source
from vector_universe.data.splits import split_named
from vector_universe.errors import UserError

CLASS_NAMES = "classnames.txt"
SHARDS = "nshards.txt"
TYPE = "dataset_type.txt"


def is_clip_benchmark(folder: Path) -> bool:
    """Whether a folder named by a split holds nshards.txt."""
    return any(split_named(path.name) and (path / SHARDS).is_file() for path in folder.iterdir())


def clip_benchmark_source(folder: Path, options: LoadOptions) -> Source:
    """All splits of such a folder as one source; ids are `split/key.ending`.

    Raises:
        UserError: a shard that nshards.txt counts is missing, or its labels are of a kind that is not read.
    """
    if (kind := "".join(_lines(folder / TYPE)).lower()) == "multilabel":
        raise UserError(f"{folder} has several labels an image in .npy files, which are not read: convert them to "
                        ".json members such as {\"labels\": [\"cat\", \"dog\"]}")
    splits = sorted(path for path in folder.iterdir() if split_named(path.name) and (path / SHARDS).is_file())
    paths = [shard for split in splits for shard in _shards(split)]
    reading = Members(tuple(class_names(folder)), kind == "retrieval")
    source = shards_source(paths, options, name=folder.resolve().name, splits=[path.parent.name for path in paths],
                           read=reading.read)
    deciding = [folder / CLASS_NAMES, folder / TYPE, *(split / SHARDS for split in splits)]
    return replace(source, files=(*paths, *(path for path in deciding if path.is_file())))


def class_names(folder: str | Path) -> list[str]:
    """The classes that classnames.txt lists, in its order; none without such a file."""
    return [as_text(line) for line in _lines(Path(folder) / CLASS_NAMES)]


@dataclass(frozen=True)
class Members:
    """What the text members of a sample mean.

    Attributes:
        classes: names that `.cls` numbers; none where it stays a number.
        captions: whether each line of `.txt` is a text of its own.
    """

    classes: Sequence[str]
    captions: bool

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a sample by column, with names in place of numbers.

        Raises:
            ValueError: `.cls` names no class; the message is the reason.
        """
        found = dict(values)
        if self.captions and isinstance(found.get("txt"), str):
            found["txt"] = found["txt"].splitlines()
        if self.classes and "cls" in found:
            text = as_text(found["cls"])
            if not re.fullmatch(r"[0-9]{1,9}", text):
                raise ValueError(f"its .cls is {text[:20]!r}, not the number of a class")
            if int(text) >= len(self.classes):
                raise ValueError(f"its .cls is {text}, but {CLASS_NAMES} has {len(self.classes)} classes, from 0")
            found["cls"] = [self.classes[int(text)]]  # a list, so that a comma in it does not part it
        return found


def _shards(folder: Path) -> list[Path]:
    """The shards of a split in the order of their numbers."""
    count = "".join(_lines(folder / SHARDS))
    paths = sorted(folder.glob("*.tar"), key=lambda path: (int(path.stem) if path.stem.isdecimal() else -1, path.name))
    if not count.isdecimal() or not paths or len(paths) < int(count):
        raise UserError(f"{folder} has {len(paths)} tar files, but its {SHARDS} says {count or 'nothing'}: download "
                        "the missing ones, or mend the number")
    return paths


def _lines(path: Path) -> list[str]:
    """The lines of a small text file, stripped; none where there is no such file.

    Raises:
        UserError: it is not UTF-8.
    """
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()] if path.is_file() else []
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8: save it as UTF-8") from None
