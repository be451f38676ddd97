"""The shards of `vu data import`: Parquet or WebDataset, each written beside its place and renamed when it is whole."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any, Protocol

from vector_universe.data.example import Example
from vector_universe.data.images import ImageError, open_image
from vector_universe.data.sources.own_rows import own_row, own_schema
from vector_universe.data.sources.places import IMAGE_ENDINGS

GROUP_ROWS = 100  # of a row group: what a reader must hold
GROUP_BYTES = 16 * 1024 * 1024


class ShardWriter(Protocol):
    """One shard being written; it lies at its path only once it is closed."""

    path: Path
    size: int  # bytes of images and texts taken so far
    examples: int

    def add(self, example: Example, encoded: bytes, number: int) -> None:
        """Take an example and its encoded image, the `number`-th of the import."""
        ...

    def close(self) -> None:
        """Put the shard in place."""
        ...


class ParquetShard:
    """Examples as rows; images are stored as they are, as compressing them again gains nothing."""

    ending = "parquet"

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq
        self.path, self._partial = path, path.with_name(path.name + ".partial")
        self._schema = own_schema()
        columns = [name for name in self._schema.names if name != "image"]
        self._writer = pq.ParquetWriter(
            self._partial, self._schema, use_dictionary=False, write_statistics=False,
            compression={"image.bytes": "none", "image.path": "none"} | {
                name if name not in ("texts", "labels", "held_out_texts") else f"{name}.list.element": "zstd"
                for name in columns})
        self._rows: list[dict[str, Any]] = []
        self._row_bytes = 0
        self.size = self.examples = 0

    def add(self, example: Example, encoded: bytes, number: int) -> None:
        row = own_row(example)
        name = f"{number:09}.{image_ending(encoded)}"
        self._rows.append({column: row.get(column) for column in self._schema.names} | {
            "image": {"bytes": encoded, "path": name},
            "metadata": json.dumps(example.metadata, ensure_ascii=False)})
        size = len(encoded) + _text_size(example)
        self._row_bytes += size
        self.size += size
        self.examples += 1
        if len(self._rows) >= GROUP_ROWS or self._row_bytes >= GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()
        os.replace(self._partial, self.path)

    def _flush(self) -> None:
        import pyarrow as pa
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows, self._row_bytes = [], 0


class TarShard:
    """Examples as pairs of members, `000000001.jpg` and `000000001.json`: WebDataset's layout."""

    ending = "tar"

    def __init__(self, path: Path) -> None:
        self.path, self._partial = path, path.with_name(path.name + ".partial")
        self._tar = tarfile.open(self._partial, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self.size = self.examples = 0

    def add(self, example: Example, encoded: bytes, number: int) -> None:
        text = json.dumps(own_row(example), ensure_ascii=False).encode()
        for ending, content in ((image_ending(encoded), encoded), ("json", text)):
            member = tarfile.TarInfo(f"{number:09}.{ending}")
            member.size = len(content)
            self._tar.addfile(member, io.BytesIO(content))
            self.size += len(content) + tarfile.BLOCKSIZE
        self.examples += 1
        self._tar.members = []  # type: ignore[attr-defined]  # it would keep every header

    def close(self) -> None:
        self._tar.close()
        os.replace(self._partial, self.path)


SHARDS: dict[str, type[ParquetShard] | type[TarShard]] = {"parquet": ParquetShard, "webdataset": TarShard}


def image_ending(encoded: bytes) -> str:
    """The usual ending for the format of an encoded image, told from its header.

    Raises:
        ImageError: it is not an image, or of a format that no source has.
    """
    with open_image(encoded) as image:
        ending = {"JPEG": "jpg", "MPO": "jpg", "JPEG2000": "jp2"}.get(image.format or "", (image.format or "").lower())
    if ending not in IMAGE_ENDINGS:
        raise ImageError(f"format {ending.upper() or 'unknown'} is not one of {', '.join(IMAGE_ENDINGS)}")
    return ending


def _text_size(example: Example) -> int:
    return len(example.id) + sum(map(len, (*example.texts, *example.labels, *example.held_out_texts, example.ocr)))
