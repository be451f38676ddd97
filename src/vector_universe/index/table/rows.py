"""What the table of a universe holds of each item: its columns, and the sums that tell damage from data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xxhash
from numpy.typing import NDArray

from vector_universe.index.table.full_text import words_of

if TYPE_CHECKING:
    import pyarrow as pa

VectorColumn = Literal["image", "text", "fused"]
VECTOR_COLUMNS: tuple[VectorColumn, ...] = ("image", "text", "fused")
SAID = ("id", "source", "title", "texts", "labels", "split", "ocr")
# Written after an item is embedded, when all items are at hand; null until then.
DERIVED = ("x", "y", "topic", "predicted_label", "predicted_probability")


@dataclass(frozen=True)
class Item:
    """One item before it is embedded: what is said about it and what its picture looks like.

    Attributes:
        image_digest: 16 bytes of the sha256 of the encoded picture.
        said_digest: 16 bytes of a hash of everything else that the data says.
        look: perceptual hash of 64 bits.
        thumbnail: WebP, at most 128 px long.
        metadata: by column, already of the column's type.
    """

    id: str
    source: str
    title: str
    texts: list[str]
    labels: list[str]
    split: str
    ocr: str
    image_digest: bytes
    said_digest: bytes
    look: int
    thumbnail: bytes
    metadata: Mapping[str, Any]


def schema_of(dimension: int, metadata: Mapping[str, pa.DataType]) -> pa.Schema:
    """The columns of the table.

    Vectors are kept in half precision: a cosine moves by about 1e-5, half the bytes are read.

    Args:
        dimension: D.
        metadata: the data's own columns, by name.
    """
    import pyarrow as pa

    # Without a declared key, two concurrent merge_inserts of the same id would leave two rows.
    key = {"lance-schema:unenforced-primary-key": "true"}
    fields = [pa.field("id", pa.string(), nullable=False, metadata=key)]
    fields += [pa.field(name, pa.list_(pa.string()) if name in ("texts", "labels") else pa.string())
               for name in SAID[1:]]
    fields += [pa.field("image_digest", pa.binary(16)), pa.field("said_digest", pa.binary(16)),
               pa.field("look", pa.uint64()), pa.field("thumbnail", pa.binary()), pa.field("words", pa.string()),
               pa.field("said_sum", pa.uint64())]
    for name in VECTOR_COLUMNS:
        fields += [pa.field(name, pa.list_(pa.float16(), dimension)), pa.field(sum_of(name), pa.uint64())]
    fields += [pa.field("x", pa.float32()), pa.field("y", pa.float32()), pa.field("topic", pa.int32()),
               pa.field("predicted_label", pa.string()), pa.field("predicted_probability", pa.float32())]
    return pa.schema([*fields, *(pa.field(name, type) for name, type in metadata.items())])


def metadata_columns(schema: pa.Schema) -> dict[str, pa.DataType]:
    """The data's own columns of a table."""
    ours = set(schema_of(1, {}).names)
    return {field.name: field.type for field in schema if field.name not in ours}


def to_table(schema: pa.Schema, items: Sequence[Item],
             vectors: Mapping[VectorColumn, NDArray[np.float16] | None]) -> pa.Table:
    """N items and their vectors as rows.

    Args:
        schema: of `schema_of`.
        items: N items.
        vectors: by column, (N, D) float16; a row of zeros, like a column that is missing, is null.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {name: [getattr(item, name) for item in items]
                               for name in (*SAID, "image_digest", "said_digest", "look", "thumbnail")}
    columns["words"] = [words_of([item.title, *item.texts, *item.labels]) for item in items]
    columns["said_sum"] = [said_sum({name: getattr(item, name) for name in SAID} | dict(item.metadata),
                                    metadata_columns(schema)) for item in items]
    for column in VECTOR_COLUMNS:
        rows_ND = vectors.get(column)
        if rows_ND is not None:
            columns[column] = vector_array(rows_ND)
            columns[sum_of(column)] = vector_sums(rows_ND)
    columns |= {name: [item.metadata.get(name) for item in items] for name in metadata_columns(schema)}
    arrays = [pa.nulls(len(items), field.type) if (values := columns.get(field.name)) is None
              else values if isinstance(values, pa.Array) else pa.array(values, field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def vector_array(rows_ND: NDArray[np.float16]) -> pa.FixedSizeListArray:
    """Vectors as an Arrow column; a row of zeros is null."""
    import pyarrow as pa

    rows_ND = np.ascontiguousarray(rows_ND, np.float16)
    return pa.FixedSizeListArray.from_arrays(pa.array(rows_ND.ravel()), rows_ND.shape[1],
                                             mask=pa.array(~rows_ND.any(axis=1)))


def sum_of(column: str) -> str:
    """The column that holds the sums of a column of vectors."""
    return f"{column}_sum"


def vector_sums(rows_ND: NDArray[np.float16]) -> NDArray[np.uint64]:
    """A hash of each vector's bytes, (N,): Lance notices no flipped bit, and a wrong vector finds wrong things."""
    rows_ND = np.ascontiguousarray(rows_ND, np.float16)
    return np.fromiter((xxhash.xxh3_64_intdigest(row.data) for row in rows_ND), np.uint64, len(rows_ND))


def said_sum(row: Mapping[str, Any], own: Iterable[str]) -> int:
    """A hash of what is said about an item, by the columns `SAID` and the data's `own`; a column that is added later,
    null in this row, does not change it."""
    said = [row[name] for name in SAID] + [(name, row[name]) for name in sorted(own) if row.get(name) is not None]
    return xxhash.xxh3_64_intdigest(repr(said).encode("utf-8", "surrogatepass"))
