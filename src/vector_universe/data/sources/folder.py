"""What lies in a folder: a table beside images, shards, a saved data set, or images by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import Remark
from vector_universe.data.sources.clip_benchmark import clip_benchmark_source, is_clip_benchmark
from vector_universe.data.sources.files import ARCHIVES, files_source
from vector_universe.data.sources.hugging_face import is_saved, saved_source
from vector_universe.data.sources.imported import imported_source
from vector_universe.data.sources.names import is_clutter
from vector_universe.data.sources.picture_folder import has_pictures, is_picture_folder, picture_folder_source
from vector_universe.data.sources.source import Source
from vector_universe.data.splits import split_named
from vector_universe.errors import UserError
from vector_universe.folders import folder_kind

TABLES = ("metadata.csv", "captions.csv", "captions.txt", "metadata.parquet", "metadata.jsonl", "metadata.tsv",
          "metadata.xlsx", "metadata.ods")
OTHER_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".xlsx", ".xlsm", ".xls", ".ods")  # of any name
DEEPEST = 4  # folders below the one given in which tables are looked for


def folder_source(folder: Path, options: LoadOptions) -> Source:
    """The source in a folder.

    In this order: what `vu data import` wrote, a saved Hugging Face data set, a folder of CLIP_benchmark, a table of a
    usual name, tar shards, Parquet shards, the only other table there is, tables in folders below, pictures by class or
    with captions. The tables and shards of several splits may lie in folders named by them. Files of operating systems
    and editors (`is_clutter`) are never looked at.

    Raises:
        UserError: there is none of these; or the one found cannot be used.
    """
    if folder_kind(folder) == "data":
        return imported_source(folder, options)
    if is_saved(folder):
        return saved_source(folder, options)
    if is_clip_benchmark(folder):
        return clip_benchmark_source(folder, options)
    name = folder.resolve().name
    for find in (_tables, _tars, _parquets, _other_tables):
        if files := find(folder):
            return files_source(files, options, name=name)
    if nested := _nested_tables(folder):
        source = files_source(nested, options, name=name, below=folder)
        return replace(source, read=lambda report: chain(source.read(report), _beside(folder, nested)))
    if is_picture_folder(folder):
        return picture_folder_source(folder, options)
    inside = [path for path in folder.iterdir() if not is_clutter(path.name)]
    if not inside:
        raise UserError(f"{folder} is empty: put images/ and metadata.csv (columns file_name,title,labels) into it")
    if packed := next((path for path in inside if path.suffix.lower() in ARCHIVES), None):
        raise UserError(f"{folder} has no metadata.csv, but an archive, {packed.name}: unpack it, and give the folder "
                        "that comes out")
    raise UserError(f"{folder} has no metadata.csv (nor captions.txt): add one with the columns file_name,title,labels")


def _tables(folder: Path) -> list[Path]:
    """The table of a usual name; or one in each folder named by a split, as in `imagefolder` sets."""
    for places in ([folder], _split_folders(folder)):
        found = [table for path in places if (table := _usual_table(path))]
        if found and len(found) == len(places):
            return found
    return []


def _usual_table(folder: Path) -> Path | None:
    return next((folder / table for table in TABLES if (folder / table).is_file()), None)


def _tars(folder: Path) -> list[Path]:
    return _shards(folder, ".tar")


def _parquets(folder: Path) -> list[Path]:
    return _shards(folder, ".parquet")


def _shards(folder: Path, ending: str) -> list[Path]:
    """Files of one kind in the folder, its data/, or its folders named by splits."""
    for places in ([folder], [folder / "data"], _split_folders(folder)):
        found = [path for place in places for path in _files(place) if path.suffix == ending]
        if found:
            return found
    return []


def _other_tables(folder: Path) -> list[Path]:
    """The only table of any name, or one named by each split."""
    found = [path for path in _files(folder) if path.suffix.lower() in OTHER_TABLES]
    if len(found) > 1 and not all(split_named(path.stem) for path in found):
        raise UserError(f"{folder} has several tables ({', '.join(path.name for path in found[:5])}): give one of "
                        "them, or call it metadata.csv")
    return found


def _nested_tables(folder: Path) -> list[Path]:
    """Tables of a usual name in folders below, of each branch the topmost."""
    found: list[Path] = []
    level = [folder]
    for _ in range(DEEPEST):
        level = [path for parent in level for path in sorted(parent.iterdir())
                 if path.is_dir() and not path.is_symlink() and not is_clutter(path.name)]
        tables = {path: table for path in level if (table := _usual_table(path))}
        found += tables.values()
        level = [path for path in level if path not in tables]
    return sorted(found)


def _beside(folder: Path, tables: Sequence[Path]) -> Iterator[Remark]:
    """Folders with pictures beside those that have a table."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not is_clutter(path.name) and not any(table.is_relative_to(path) for table in tables) \
                and has_pictures(path):
            yield Remark("not_read", path.name, None, "the folder has pictures, but no table as those beside it")


def _split_folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and split_named(path.name)]


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.is_file() and not is_clutter(path.name)]
