"""What lies in a folder: a table beside images, shards, a saved data set, or images by class."""

from __future__ import annotations

from pathlib import Path

from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.class_folder import class_folder_source, class_folders
from vector_universe.data.sources.clip_benchmark import clip_benchmark_source, is_clip_benchmark
from vector_universe.data.sources.files import files_source
from vector_universe.data.sources.hugging_face import is_saved, saved_source
from vector_universe.data.sources.imported import imported_source
from vector_universe.data.sources.source import Source
from vector_universe.data.splits import split_named
from vector_universe.errors import UserError
from vector_universe.folders import folder_kind

TABLES = ("metadata.csv", "captions.csv", "captions.txt", "metadata.parquet", "metadata.jsonl", "metadata.tsv")
OTHER_TABLES = ("*.csv", "*.tsv", "*.jsonl", "*.ndjson")  # of any name


def folder_source(folder: Path, options: LoadOptions) -> Source:
    """The source in a folder.

    In this order: what `vu data import` wrote, a saved Hugging Face data set, a folder of CLIP_benchmark, a table of a
    usual name, tar shards, Parquet shards, the only other table there is, images by class. The tables and shards of
    several splits may lie in folders named by them.

    Raises:
        UserError: there is none of these; or the one found cannot be used.
    """
    if folder_kind(folder) == "data":
        return imported_source(folder, options)
    if is_saved(folder):
        return saved_source(folder, options)
    if is_clip_benchmark(folder):
        return clip_benchmark_source(folder, options)
    for files in (_tables(folder), _shards(folder, ".tar"), _shards(folder, ".parquet"), _other_tables(folder)):
        if files:
            return files_source(files, options, name=folder.resolve().name)
    if class_folders(folder):
        return class_folder_source(folder, options)
    if not any(folder.iterdir()):
        raise UserError(f"{folder} is empty: put images/ and metadata.csv (columns file_name,title,labels) into it")
    raise UserError(f"{folder} has no metadata.csv (nor captions.txt): add one with the columns file_name,title,labels")


def _tables(folder: Path) -> list[Path]:
    """The table of a usual name; or one in each folder named by a split, as in `imagefolder` sets."""
    for place in ([folder], _split_folders(folder)):
        found = [next((path / table for table in TABLES if (path / table).is_file()), None) for path in place]
        if found and all(found):
            return [path for path in found if path]
    return []


def _shards(folder: Path, ending: str) -> list[Path]:
    """Files of one kind in the folder, its data/, or its folders named by splits."""
    for places in ([folder], [folder / "data"], _split_folders(folder)):
        found = [path for place in places for path in sorted(place.glob(f"*{ending}")) if path.is_file()]
        if found:
            return found
    return []


def _other_tables(folder: Path) -> list[Path]:
    """The only table of any name, or one named by each split."""
    found = [path for pattern in OTHER_TABLES for path in sorted(folder.glob(pattern)) if path.is_file()]
    if len(found) > 1 and not all(split_named(path.stem) for path in found):
        raise UserError(f"{folder} has several tables ({', '.join(path.name for path in found[:5])}): give one of "
                        "them, or call it metadata.csv")
    return found


def _split_folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and split_named(path.name)]
