"""What lies in a folder: a table beside images, shards, a saved data set, or images by class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.class_folder import class_folder_source, class_folders
from vector_universe.data.sources.files import files_source
from vector_universe.data.sources.hugging_face import is_saved, saved_source
from vector_universe.data.sources.imported import imported_source
from vector_universe.data.sources.source import Source
from vector_universe.data.splits import split_named
from vector_universe.errors import UserError
from vector_universe.folders import folder_kind

TABLES = ("metadata.csv", "captions.csv", "captions.txt", "metadata.parquet", "metadata.jsonl", "metadata.tsv")
OTHER_TABLES = ("*.csv", "*.tsv", "*.jsonl", "*.ndjson")  # any name, if it is the only one


def folder_source(folder: Path, options: LoadOptions) -> Source:
    """The source in a folder.

    In this order: what `vu data import` wrote, a saved Hugging Face data set, a table of a usual name, tar shards,
    Parquet shards, the only other table there is, images by class.

    Raises:
        UserError: there is none of these; or the one found cannot be used.
    """
    if folder_kind(folder) == "data":
        return imported_source(folder, options)
    if is_saved(folder):
        return saved_source(folder, options)
    name = folder.resolve().name
    for table in TABLES:
        if (folder / table).is_file():
            return files_source([folder / table], options, name=name, folder=folder)
    for ending in (".tar", ".parquet"):
        shards = _shards(folder, ending)
        if shards:
            return files_source(shards, options, name=name, folder=folder)
    tables = [path for pattern in OTHER_TABLES for path in sorted(folder.glob(pattern)) if path.is_file()]
    if len(tables) == 1:
        return files_source(tables, options, name=name, folder=folder)
    if tables:
        raise UserError(f"{folder} has several tables ({', '.join(path.name for path in tables[:5])}): give one of "
                        "them, or call it metadata.csv")
    if class_folders(folder):
        return class_folder_source(folder, options)
    if not any(folder.iterdir()):
        raise UserError(f"{folder} is empty: put images/ and metadata.csv (columns file_name,title,labels) into it")
    raise UserError(f"{folder} has no metadata.csv (nor captions.txt): add one with the columns file_name,title,labels")


def _shards(folder: Path, ending: str) -> Sequence[Path]:
    """Files of one kind in the folder, its data/, or its folders named by splits."""
    for places in ([folder], [folder / "data"], [path for path in sorted(folder.iterdir()) if split_named(path.name)]):
        found = [path for place in places for path in sorted(place.glob(f"*{ending}")) if path.is_file()]
        if found:
            return found
    return []
