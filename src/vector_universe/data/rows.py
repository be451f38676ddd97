"""Examples as rows of one Arrow table, whose schema is the same for every source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vector_universe.data.example import Example
from vector_universe.data.images import FileSlice, ImageSource

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_schema() -> pa.Schema:
    """The columns of `ImageTextDataset.table`; metadata is JSON, so that every row may hold other keys."""
    import pyarrow as pa
    image = pa.struct([("bytes", pa.large_binary()), ("path", pa.string()), ("offset", pa.int64()),
                       ("length", pa.int64())])
    texts = pa.list_(pa.string())
    return pa.schema([("id", pa.string()), ("image", image), ("texts", texts), ("labels", texts),
                      ("held_out_texts", texts), ("ocr", pa.string()), ("split", pa.string()),
                      ("metadata", pa.string())])


def to_row(example: Example) -> dict[str, Any]:
    """One row of the table."""
    return {"id": example.id, "image": _image_to_row(example.image), "texts": example.texts, "labels": example.labels,
            "held_out_texts": example.held_out_texts, "ocr": example.ocr, "split": example.split,
            "metadata": json.dumps(example.metadata, ensure_ascii=False) if example.metadata else None}


def to_example(row: dict[str, Any]) -> Example:
    """The example that `to_row` made this row of."""
    return Example(id=row["id"], image=_image_from_row(row["image"]), texts=row["texts"], labels=row["labels"],
                   split=row["split"], held_out_texts=row["held_out_texts"], ocr=row["ocr"],
                   metadata=json.loads(row["metadata"]) if row["metadata"] else {})


def _image_to_row(image: ImageSource) -> dict[str, Any]:
    if isinstance(image, bytes):
        return {"bytes": image, "path": None, "offset": None, "length": None}
    if isinstance(image, FileSlice):
        return {"bytes": None, "path": image.path, "offset": image.offset, "length": image.length}
    return {"bytes": None, "path": str(image), "offset": None, "length": None}


def _image_from_row(image: dict[str, Any]) -> ImageSource:
    if image["bytes"] is not None:
        return image["bytes"]
    if image["offset"] is not None:
        return FileSlice(image["path"], image["offset"], image["length"])
    return image["path"]
