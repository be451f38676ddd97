"""Pairs as a curation sees them: their texts, and a key of 128 bits that is their identity and their rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vector_universe.data.curation.shards import Columns

KEY = np.dtype([("high", "<u8"), ("low", "<u8")])


@dataclass(frozen=True)
class Texts:
    """The texts of some rows.

    Attributes:
        texts: strings without nulls.
        rows: of each, the number of its row, ascending.
    """

    texts: pa.Array
    rows: np.ndarray


def texts_of(batch: pa.RecordBatch, columns: Columns) -> Texts:
    """All texts of each row, from one column or several, of strings or lists of strings; empty ones are left out."""
    texts, rows = [], []
    for name in columns.texts:
        column = batch.column(name)
        numbers = np.arange(len(column))
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            numbers = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
            column = pc.list_flatten(column)
        column = column.cast(pa.string())
        lengths = pc.binary_length(column)
        if column.null_count or not pc.all(pc.greater(lengths, 0), min_count=0).as_py():
            there = pc.fill_null(pc.greater(lengths, 0), False)
            column, numbers = column.filter(there), numbers[there.to_numpy(zero_copy_only=False)]
        texts.append(column)
        rows.append(numbers)
    if len(texts) == 1:
        return Texts(texts[0], rows[0])
    order = np.argsort(np.concatenate(rows), kind="stable")
    return Texts(pa.concat_arrays(texts).take(pa.array(order)), np.concatenate(rows)[order])


def keys_of(batch: pa.RecordBatch, columns: Columns, seed: int) -> np.ndarray:
    """A key for each row: the hash (XXH3, 128 bits, seeded) of its id.

    The id is that of the id column. A row without one has, in its place, what names its image, if anything does, and
    its texts: whatever file the row stands in, and wherever, its key is the same.

    Returns:
        an array of `KEY`, one a row.
    """
    from xxhash import xxh3_128_digest
    ids: list[bytes | None] = [None] * len(batch)
    if columns.id:
        ids = batch.column(columns.id).cast(pa.string()).cast(pa.binary()).to_pylist()
    digests = [xxh3_128_digest(id, seed) if id else b"" for id in ids]
    if missing := [row for row, id in enumerate(ids) if not id]:
        for row, content in zip(missing, _contents(batch.take(pa.array(missing)), columns), strict=True):
            digests[row] = xxh3_128_digest(content, seed)
    return np.frombuffer(b"".join(digests), dtype=">u8").astype("<u8").view(KEY)


def _contents(batch: pa.RecordBatch, columns: Columns) -> list[bytes]:
    parts: list[list[str]] = [[""] for _ in range(len(batch))]
    if columns.image:
        parts = [[name or ""] for name in batch.column(columns.image).cast(pa.string()).to_pylist()]
    found = texts_of(batch, columns)
    for row, text in zip(found.rows.tolist(), found.texts.to_pylist(), strict=True):
        parts[row].append(text)
    return ["\0".join(("", *names)).encode() for names in parts]  # the leading NUL: never equal to an id
