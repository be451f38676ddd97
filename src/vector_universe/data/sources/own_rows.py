"""The rows that `vu data import` writes: the whole example, word for word, so that nothing is guessed on reading."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vector_universe.data.example import Example
from vector_universe.data.images import ImageSource
from vector_universe.data.skipped import SkippedRow
from vector_universe.data.sources.seen import SeenIds
from vector_universe.data.sources.source import Item, Report, Source, part_of

if TYPE_CHECKING:
    import pyarrow as pa

    from vector_universe.data.sources.arrow_tables import ParquetTable

FORMAT = "vector_universe_example"  # key in JSON and in the schema of Parquet files
VERSION = 1


def own_row(example: Example) -> dict[str, Any]:
    """All of an example but its image, as JSON can hold it."""
    return {FORMAT: VERSION, "id": example.id, "texts": example.texts, "labels": example.labels,
            "held_out_texts": example.held_out_texts, "ocr": example.ocr, "split": example.split,
            "metadata": example.metadata}


def is_own(row: Mapping[str, Any]) -> bool:
    """Whether `own_row` made this row."""
    return row.get(FORMAT) == VERSION


def own_example(row: Mapping[str, Any], image: ImageSource) -> Example:
    """The example that `own_row` was given.

    Raises:
        ValueError: a part of it is missing or of another type; the message is the reason.
    """
    try:
        lists = [[*map(_string, row[column])] for column in ("texts", "labels", "held_out_texts")]
        return Example(_string(row["id"]), image, lists[0], lists[1], split=_string(row["split"]),
                       held_out_texts=lists[2], ocr=_string(row["ocr"]), metadata=dict(row["metadata"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a row of vu data import ({error})") from None


def own_schema() -> pa.Schema:
    """The columns of imported Parquet; readable by `datasets` too, with an Image feature."""
    import pyarrow as pa
    text, texts = {"_type": "Value", "dtype": "string"}, pa.list_(pa.string())
    features = {"id": text, "image": {"_type": "Image"}, **{
        column: {"_type": "List", "feature": text} for column in ("texts", "labels", "held_out_texts")},
        "ocr": text, "split": text, "metadata": text}
    return pa.schema(
        [("id", pa.string()), ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("texts", texts),
         ("labels", texts), ("held_out_texts", texts), ("ocr", pa.string()), ("split", pa.string()),
         ("metadata", pa.string())],
        metadata={FORMAT: str(VERSION), "huggingface": json.dumps({"info": {"features": features}})})


def is_own_schema(schema: pa.Schema) -> bool:
    """Whether a Parquet file was written by `vu data import`."""
    return (schema.metadata or {}).get(FORMAT.encode()) == str(VERSION).encode()


def own_parquet_source(tables: list[ParquetTable], *, name: str, files: tuple[Path, ...]) -> Source:
    """Imported Parquet shards as one source."""
    def read(report: Report) -> Iterator[Item]:
        seen, number, before, total = SeenIds(), 0, 0, sum(table.size for table in tables)
        for table in tables:
            for values in table.rows(part_of(report, before, total)):
                number += 1
                yield _item(values, number, seen)
            before += table.size
    return Source(name, tables[0].place, read, files=files, complete=True, holds_images=True)


def _item(values: dict[str, Any] | SkippedRow, number: int, seen: SeenIds) -> Item:
    if isinstance(values, SkippedRow):
        return SkippedRow(values.file, number, values.reason)
    try:
        example = own_example(values | {"metadata": json.loads(values["metadata"])}, values["image"]["bytes"])
    except (KeyError, TypeError, ValueError) as error:
        return SkippedRow(str(values.get("id")), number, f"not a row of vu data import ({error})")
    return example if seen.add(example.id) else SkippedRow(example.id, number, "duplicate id")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
