"""One file or several of one kind: CSV, TSV, JSON Lines, Parquet or tar, by their endings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.arrow_tables import ParquetTable
from vector_universe.data.sources.columns import refuse_columns
from vector_universe.data.sources.csv_table import CsvTable
from vector_universe.data.sources.json_lines import JsonLines
from vector_universe.data.sources.own_rows import is_own_schema, own_parquet_source
from vector_universe.data.sources.source import Source
from vector_universe.data.sources.table import Table, table_source
from vector_universe.data.sources.tar_members import is_packed_name, refuse_packed
from vector_universe.data.sources.web_dataset import shards_source
from vector_universe.data.splits import split_named
from vector_universe.errors import UserError

KINDS = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet",
         ".tar": "tar"}


def files_source(paths: Sequence[Path], options: LoadOptions, *, name: str) -> Source:
    """Files of one kind as one source, in the given order.

    Args:
        paths: the files; images that a table names lie in its folder, or in images/ there.
        options: columns and safety.
        name: of the source, for people.

    Raises:
        UserError: the files are of no known kind or of several, or cannot be used.
    """
    kinds = {_kind(path) for path in paths}
    if len(kinds) > 1:
        raise UserError(f"{paths[0].parent} gives files of several kinds ({', '.join(sorted(kinds))}): name those of "
                        "one kind")
    kind, splits = kinds.pop(), _splits(paths)
    if kind == "tar":
        return shards_source(paths, options, name=name, splits=splits)
    if kind != "parquet":
        read: type[CsvTable] | type[JsonLines] = CsvTable if kind == "csv" else JsonLines
        tables: list[Table] = [read(path, split) for path, split in zip(paths, splits, strict=True)]
        return table_source(tables, options, name=name, files=tuple(paths))
    shards = [ParquetTable(path, split) for path, split in zip(paths, splits, strict=True)]
    if all(is_own_schema(shard.schema) for shard in shards):
        refuse_columns(options, str(paths[0]))
        return own_parquet_source(shards, name=name, files=tuple(paths))
    return table_source(shards, options, name=name, files=tuple(paths))


def _kind(path: Path) -> str:
    if is_packed_name(path):
        refuse_packed(path)
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path} is not a folder, nor a file of a known kind: give a folder with images/ and "
                        f"metadata.csv, a table or shards ({', '.join(KINDS)}), or 'emoji'")
    return kind


def _splits(paths: Sequence[Path]) -> list[str]:
    """The split that each shard's name or folder tells ("train-00000-of-00004"), if they tell two or more apart."""
    found = []
    for path in paths:
        word = re.split(r"[-_.]", path.name)[0]
        found.append(next((word for word in (word, path.parent.name) if split_named(word)), ""))
    return found if len({split_named(split) for split in found}) > 1 else [""] * len(found)
