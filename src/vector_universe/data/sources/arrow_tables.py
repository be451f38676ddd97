"""Parquet files and Hugging Face data sets: Arrow tables whose images are names or encoded bytes, never decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vector_universe.data.skipped import Remarks, SkippedRow
from vector_universe.data.sources.source import Report
from vector_universe.errors import UserError

if TYPE_CHECKING:
    import datasets
    import pyarrow as pa

ROWS_AT_ONCE = 64
BUFFER = 1024 * 1024


class ParquetTable:
    """A `Table` in a Parquet file, read in batches of a few rows.

    Args:
        path: the file.
        split: of its rows that do not say theirs.
        prefix: before its ids.

    Raises:
        UserError: it is not a Parquet file.
    """

    def __init__(self, path: Path, split: str = "", prefix: str = "") -> None:
        import pyarrow.parquet as pq
        self.path, self.place, self.split, self.prefix = path, str(path), split, prefix
        self.folder: Path | None = path.parent
        self.remarks = Remarks()
        try:
            with pq.ParquetFile(path) as file:
                self.schema, self.size = file.schema_arrow, file.metadata.num_rows
        except (OSError, ValueError) as error:  # what pyarrow raises derives from these
            raise UserError(f"{path} cannot be read as Parquet ({_first_line(error)}): write it again") from None
        self.columns: Sequence[str] = list(self.schema.names)
        self.classes = _class_names(self.schema)

    def rows(self, report: Report) -> Iterator[dict[str, Any] | SkippedRow]:
        import pyarrow.parquet as pq
        done = 0
        try:
            with pq.ParquetFile(self.path, buffer_size=BUFFER) as file:  # else a whole column of a row group
                for batch in file.iter_batches(ROWS_AT_ONCE):
                    yield from batch.to_pylist()
                    done += len(batch)
                    report(done, self.size)
        except (OSError, ValueError) as error:
            reason = (f"the file is damaged after row {done:,}: the other {self.size - done:,} rows cannot be read "
                      f"({_first_line(error)})")
            yield SkippedRow(self.path.name, None, reason)

    def holds_images(self, column: str) -> bool:
        return _holds_bytes(self.schema.field(column).type)


class HuggingFaceTable:
    """A `Table` in one split of a Hugging Face data set."""

    def __init__(self, dataset: datasets.Dataset, place: str, folder: Path | None, split: str = "") -> None:
        import datasets as library
        self.place, self.folder, self.split, self.size = place, folder, split, len(dataset)
        self.prefix = f"{split}/" if split else ""
        self.remarks = Remarks()
        for column, feature in dataset.features.items():
            if isinstance(feature, library.Image):
                dataset = dataset.cast_column(column, library.Image(decode=False))
        self.dataset = dataset
        self.columns: Sequence[str] = list(dataset.column_names)
        self.classes: dict[str, Sequence[str]] = {}
        for column, feature in dataset.features.items():
            item = getattr(feature, "feature", feature)
            if isinstance(item, library.ClassLabel):
                self.classes[column] = item.names

    def rows(self, report: Report) -> Iterator[dict[str, Any]]:
        done = 0
        for table in self.dataset.with_format("arrow").iter(ROWS_AT_ONCE):
            yield from table.to_pylist()
            done += len(table)
            report(done, self.size)

    def holds_images(self, column: str) -> bool:
        return _holds_bytes(self.dataset.features.arrow_schema.field(column).type)


def _holds_bytes(kind: pa.DataType) -> bool:
    import pyarrow.types as types
    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def _class_names(schema: pa.Schema) -> dict[str, Sequence[str]]:
    """Names of number labels, which the `datasets` library leaves in the schema of Parquet files."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: feature.get("feature", feature) for column, feature in features.items()}
        return {column: [str(name) for name in feature["names"]] for column, feature in found.items()
                if feature.get("_type") == "ClassLabel" and feature.get("names")}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
