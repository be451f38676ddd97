"""Shards of texts, read as a stream: Parquet, JSON lines and CSV, the same columns in each."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from vector_universe.errors import UserError

PARQUET, JSON_LINES, CSV = (".parquet",), (".jsonl", ".ndjson", ".json"), (".csv", ".tsv", ".txt")
TEXTS, IDS = ("title", "caption", "text", "texts"), ("id", "key")
IMAGES = ("file_name", "filename", "image", "image_path", "path", "url")
UNIT_ROWS = 1_000_000  # row groups of one Parquet file are worked on in parts of about so many rows
ROWS, BLOCK = 1 << 15, 1 << 22  # read at once: most rows of Parquet, about so many bytes of any file


@dataclass(frozen=True)
class Unit:
    """A part of the texts that one process reads from beginning to end: a file, or row groups of a Parquet file.

    Attributes:
        path: the file.
        groups: first row group and the one after the last; None for all of a file of lines.
    """

    path: str
    groups: tuple[int, int] | None = None


@dataclass(frozen=True)
class Columns:
    """Which columns hold what.

    Attributes:
        texts: one or several columns of strings, or of lists of strings.
        id: of ids; None where there is none.
        image: that names the image; it stands in for an id together with the texts.
    """

    texts: tuple[str, ...]
    id: str | None = None
    image: str | None = None

    @property
    def used(self) -> list[str]:
        """All of them, without what is not there."""
        return [*self.texts, *(name for name in (self.id, self.image) if name)]


def _of_folder(folder: Path) -> list[str]:
    """Its shards; what lies beside Parquet files, such as a list of skipped rows, is none.

    Raises:
        UserError: they are tars.
    """
    files = sorted(folder.iterdir())
    if any(file.suffix == ".tar" for file in files):
        raise UserError(f"{folder} holds tars: bring them into Parquet by vu data import {folder} --out FOLDER")
    of_kinds = ([str(file) for file in files if file.suffix in endings] for endings in (PARQUET, JSON_LINES, CSV))
    return next(filter(None, of_kinds), [])


def find_shards(sources: Sequence[str]) -> list[str]:
    """The files that paths, folders and patterns such as `texts/*.parquet` name, each once, in order of their names.

    Raises:
        UserError: one of them names no file, or a file of another format.
    """
    found: set[str] = set()
    for source in sources:
        path = Path(source)
        if path.is_dir():
            names = _of_folder(path)
        else:
            names = [source] if path.exists() else sorted(glob.glob(source, recursive=True))
        if not names:
            raise UserError(f"{source} names no file: give Parquet, JSONL or CSV files, a folder of them, or a pattern")
        for name in names:
            if Path(name).suffix not in PARQUET + JSON_LINES + CSV:
                raise UserError(f"{name} is no shard of texts: give Parquet (.parquet), JSON lines (.jsonl) or CSV")
        found.update(names)
    if not found:
        raise UserError("no shards: give Parquet, JSONL or CSV files with a column of texts")
    return sorted(found)


def units_of(shards: Sequence[str]) -> list[Unit]:
    """The parts that the work is divided into: small enough to lose one by a kill."""
    units = []
    for path in shards:
        if Path(path).suffix not in PARQUET:
            units.append(Unit(path))
            continue
        first, rows = 0, 0
        with _parquet(path) as file:
            for group in range(file.num_row_groups):
                rows += file.metadata.row_group(group).num_rows
                if rows >= UNIT_ROWS or group + 1 == file.num_row_groups:
                    units.append(Unit(path, (first, group + 1)))
                    first, rows = group + 1, 0
    return units


def find_columns(path: str, texts: Sequence[str], id_column: str | None) -> Columns:
    """Choose the columns by their names, written small or large, from the first shard.

    Raises:
        UserError: there is no column of texts, or not the one that was named.
    """
    schema = schema_of(path)
    for name in (*texts, *([id_column] if id_column else [])):
        if name not in schema.names:
            raise UserError(f"{path} has no column {name}: it has {', '.join(schema.names)}")
    small = {name.lower(): name for name in reversed(schema.names)}
    usual = [small[name] for name in TEXTS if name in small]
    chosen = tuple(texts) or tuple(name for name in usual if is_text(schema.field(name).type))
    if not chosen:
        raise UserError(f"{path} has the columns {', '.join(schema.names)}: "
                        "say by --text-columns which holds the texts")
    for name in chosen:
        if not is_text(schema.field(name).type):
            raise UserError(f"{path}: the column {name} holds {schema.field(name).type}, no texts: "
                            "give another by --text-columns")
    found = id_column or next((small[name] for name in IDS if name in small and small[name] not in chosen), None)
    image = next((small[name] for name in IMAGES if name in small and small[name] not in chosen
                  and _is_string(schema.field(small[name]).type)), None)
    return Columns(chosen, found, None if found else image)


def is_text(kind: pa.DataType) -> bool:
    """A column of strings or of lists of strings."""
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return _is_string(kind.value_type if is_list else kind)


def schema_of(path: str) -> pa.Schema:
    """The columns of a shard; every column of a CSV is text."""
    suffix = Path(path).suffix
    if suffix in PARQUET:
        with _parquet(path) as file:
            return file.schema_arrow
    try:
        if suffix in JSON_LINES:
            first = next(_blocks(path), b"")
            return pa.json.read_json(BytesIO(first)).schema if first.strip() else pa.schema([])
        return pa.schema([(name, pa.string()) for name in _csv(path, None).schema.names])
    except (pa.ArrowInvalid, StopIteration) as error:
        raise UserError(f"{path} cannot be read ({_one_line(error)})") from None


def read(unit: Unit, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a unit in order; memory for some thousands of them.

    Args:
        unit: what to read.
        columns: only these; by itself all.

    Raises:
        UserError: a file that is broken or lacks a column.
    """
    try:
        suffix = Path(unit.path).suffix
        if suffix in PARQUET:
            assert unit.groups is not None
            with _parquet(unit.path) as file:
                _require(unit.path, file.schema_arrow.names, columns)
                groups = list(range(*unit.groups))
                chosen = None if columns is None else list(columns)
                yield from file.iter_batches(_rows_at_once(file.metadata, groups), groups, chosen, use_threads=False)
        elif suffix in JSON_LINES:
            yield from _read_json_lines(unit.path, columns)
        else:
            with _csv(unit.path, columns) as reader:
                yield from reader
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise UserError(f"{unit.path} cannot be read ({_one_line(error)})") from None


def _read_json_lines(path: str, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    schema = None
    for block in _blocks(path):
        if schema is None:
            whole = pa.json.read_json(BytesIO(block)).schema
            _require(path, whole.names, columns)
            schema = whole if columns is None else pa.schema([whole.field(name) for name in columns])
        options: Any = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        yield from pa.json.read_json(BytesIO(block), parse_options=options).to_batches()


def _blocks(path: str) -> Iterator[bytes]:
    """Whole lines, some megabytes at once."""
    with open(path, "rb") as file:
        if file.read(3) != b"\xef\xbb\xbf":
            file.seek(0)
        while block := file.read(BLOCK):
            block += file.readline()
            if block.strip():
                yield block


def _csv(path: str, columns: Sequence[str] | None) -> Any:
    parse = pa.csv.ParseOptions(newlines_in_values=True, delimiter="\t" if path.endswith(".tsv") else ",")
    reading = pa.csv.ReadOptions(block_size=BLOCK, use_threads=False)
    names = pa.csv.open_csv(path, reading, parse).schema.names
    _require(path, names, columns)
    convert = pa.csv.ConvertOptions(column_types={name: pa.string() for name in names}, strings_can_be_null=False,
                                    include_columns=list(columns) if columns else [])
    return pa.csv.open_csv(path, reading, parse, convert)


def _require(path: str, names: Sequence[str], columns: Sequence[str] | None) -> None:
    for name in columns or ():
        if name not in names:
            raise UserError(f"{path} has no column {name}, unlike the first shard: it has {', '.join(names)}")


def _parquet(path: str) -> Any:
    try:
        return pa.parquet.ParquetFile(path, buffer_size=1 << 20)  # without, a whole column of a row group is read
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise UserError(f"{path} is no Parquet file that can be read ({_one_line(error)})") from None


def _rows_at_once(metadata: Any, groups: Sequence[int]) -> int:
    """Fewer where there are pictures in the rows."""
    parts = [metadata.row_group(group) for group in groups]
    row_bytes = sum(part.total_byte_size for part in parts) / max(1, sum(part.num_rows for part in parts))
    return max(1, min(ROWS, int(4 * BLOCK / max(row_bytes, 1))))


def _is_string(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
