"""One file or several of one kind: CSV, TSV, JSON Lines, spreadsheets, Parquet or tar, by their endings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.arrow_tables import ParquetTable
from vector_universe.data.sources.columns import named_columns, refuse_columns
from vector_universe.data.sources.csv_table import CsvTable
from vector_universe.data.sources.json_lines import JsonLines
from vector_universe.data.sources.own_rows import is_own_schema, own_parquet_source
from vector_universe.data.sources.source import Source
from vector_universe.data.sources.table import Table, table_source
from vector_universe.data.sources.tar_members import is_packed_name, refuse_packed
from vector_universe.data.sources.web_dataset import shards_source
from vector_universe.data.splits import split_named
from vector_universe.errors import UserError

ARCHIVES = (".zip", ".rar", ".7z", ".gz", ".bz2", ".xz", ".zst")
KINDS = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".xlsx": "spreadsheet",
         ".xlsm": "spreadsheet", ".xls": "spreadsheet", ".ods": "spreadsheet", ".parquet": "parquet", ".tar": "tar"}


def files_source(paths: Sequence[Path], options: LoadOptions, *, name: str, below: Path | None = None) -> Source:
    """Files of one kind as one source, in the given order; tables may be of several.

    Args:
        paths: the files; images that a table names lie in its folder, or in images/ there.
        options: columns and safety.
        name: of the source, for people.
        below: the folder of which each file's own folder, within it, stands before its ids.

    Raises:
        UserError: the files are of no known kind or of several, or cannot be used.
    """
    kinds = {_kind(path) for path in paths}
    if len(kinds) > 1 and kinds & {"tar", "parquet"}:
        raise UserError(f"{paths[0].parent} gives files of several kinds ({', '.join(sorted(kinds))}): name those of "
                        "one kind")
    splits = _splits(paths, below)
    if kinds == {"tar"}:
        return shards_source(paths, options, name=name, splits=splits)
    prefixes = [f"{split}/" if split else "" for split in splits] if below is None else [
        f"{path.parent.relative_to(below).as_posix()}/" for path in paths]
    tables = [_table(path, split, prefix, options) for path, split, prefix in zip(paths, splits, prefixes, strict=True)]
    shards = [table for table in tables if isinstance(table, ParquetTable) and is_own_schema(table.schema)]
    if len(shards) == len(tables):
        refuse_columns(options, str(paths[0]))
        return own_parquet_source(shards, name=name, files=tuple(paths))
    return table_source(tables, options, name=name, files=tuple(paths))


def _table(path: Path, split: str, prefix: str, options: LoadOptions) -> Table:
    match _kind(path):
        case "csv":
            return CsvTable(path, split, prefix, named_columns(options))
        case "jsonl":
            return JsonLines(path, split, prefix)
        case "spreadsheet":
            from vector_universe.data.sources.spreadsheet import SpreadsheetTable
            return SpreadsheetTable(path, split, prefix)
        case _:
            return ParquetTable(path, split, prefix)


def _kind(path: Path) -> str:
    if is_packed_name(path):
        refuse_packed(path)
    if path.suffix.lower() in ARCHIVES:
        raise UserError(f"{path} is an archive: unpack it, and give the folder that comes out")
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path} is not a folder, nor a file of a known kind: give a folder with images/ and "
                        f"metadata.csv, a table or shards ({', '.join(KINDS)}), or 'emoji'")
    return kind


def _splits(paths: Sequence[Path], below: Path | None) -> list[str]:
    """The split that each file's name or folder tells ("train-00000-of-00004"), if they tell two or more apart."""
    found = []
    for path in paths:
        word = re.split(r"[-_.]", path.name)[0]
        folders = [path.parent.name] if below is None else path.parent.relative_to(below).parts[::-1]
        found.append(next((word for word in (word, *folders) if split_named(word)), ""))
    return found if len({split_named(split) for split in found}) > 1 else [""] * len(found)
