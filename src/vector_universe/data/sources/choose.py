"""Which source is meant by what was given: a built-in name, a folder, files, or a data set on the Hub."""

from __future__ import annotations

import glob
import re
from itertools import product
from pathlib import Path

from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.columns import refuse_columns
from vector_universe.data.sources.places import is_url, refuse_url
from vector_universe.data.sources.source import Source
from vector_universe.errors import UserError

BRACES = re.compile(r"\{([^{}]*)\}")
MOST_FILES = 1_000_000


def open_source(source: str | Path, options: LoadOptions) -> Source:
    """Find out what `source` is, and look at its columns; nothing else is read yet.

    Raises:
        UserError: there is nothing that can be used; the message says what to do.
    """
    given = str(source)
    if given in ("emoji", "emoji-noto"):
        refuse_columns(options, given)
        return _built_in(given)
    if is_url(given):
        raise refuse_url(given)
    path = Path(source)
    if path.is_dir():
        from vector_universe.data.sources.folder import folder_source
        return folder_source(path, options)
    if not path.exists():
        from vector_universe.data.sources.hugging_face import HUB_ID, hub_source
        if not re.search(r"[*?\[{]", given):
            if HUB_ID.fullmatch(given) and path.suffix not in (".csv", ".tar", ".parquet", ".jsonl"):
                return hub_source(given, options)
            raise UserError(f"{given} is not a folder: give a folder with images/ and metadata.csv, or 'emoji'")
    from vector_universe.data.sources.files import files_source
    paths = [path] if path.exists() else expand(given)
    name = path.stem if len(paths) == 1 else paths[0].parent.resolve().name
    return files_source(paths, options, name=name)


def expand(pattern: str) -> list[Path]:
    """Files of a pattern with `*`, `?`, `[…]` and braces: `{a,b}`, `{000..012}`.

    Raises:
        UserError: there is none, or one of a range is missing.
    """
    found = []
    for name in _braces(pattern):
        matches = sorted(glob.glob(name)) if glob.has_magic(name) else [name]
        if not glob.has_magic(name) and not Path(name).is_file():
            raise UserError(f"{name} does not exist, though {pattern} names it")
        found += [Path(match) for match in matches if Path(match).is_file()]
    if not found:
        raise UserError(f"no file matches {pattern}")
    return list(dict.fromkeys(found))


def _braces(pattern: str) -> list[str]:
    pieces = BRACES.split(pattern)
    choices = [[piece] if place % 2 == 0 else _choices(piece) for place, piece in enumerate(pieces)]
    count = 1
    for options in choices:
        count *= len(options)
    if count > MOST_FILES:
        raise UserError(f"{pattern} names {count:,} files: the limit is {MOST_FILES:,}")
    return ["".join(parts) for parts in product(*choices)]


def _choices(inside: str) -> list[str]:
    span = re.fullmatch(r"(\d{1,12})\.\.(\d{1,12})", inside)
    if span is None:
        return inside.split(",")
    first, last = int(span[1]), int(span[2])
    if last - first >= MOST_FILES:
        raise UserError(f"{{{inside}}} names {last - first + 1:,} files: the limit is {MOST_FILES:,}")
    width = len(span[1]) if span[1].startswith("0") or len(span[1]) == len(span[2]) else 0
    return [str(number).zfill(width) for number in range(first, last + 1)]


def _built_in(name: str) -> Source:
    from vector_universe.data.sources.emoji import load_emoji, load_noto_emoji
    dataset = load_emoji() if name == "emoji" else load_noto_emoji()
    return Source(name, name, lambda report: iter((*dataset.skipped, *dataset)), attribution=dataset.attribution)
