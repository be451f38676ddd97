"""From the stream of a source to a data set that can be read at any place, with the rows that were left out."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from vector_universe.data.arrow_spool import ArrowSpool, as_dataset, map_table
from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.example import Example
from vector_universe.data.options import LoadOptions
from vector_universe.data.rows import to_row
from vector_universe.data.skipped import Remark, Remarks, SkippedRow
from vector_universe.data.sources import Report, Source
from vector_universe.errors import UserError
from vector_universe.folders import replace_text

VERSION = 2  # of what is kept in the cache
SPARE_BYTES = 1024**3  # of the disk that are left free


def collect(source: Source, given: str, options: LoadOptions, report: Report) -> ImageTextDataset:
    """Read a source into a data set.

    A large table of a source whose files alone decide what is in it (shards) is kept in the cache of `datasets` and
    read from there the next time; any other is made anew, and takes disk only while it is in use.

    Raises:
        UserError: nothing can be used, or the images, which must be copied, do not fit the disk.
    """
    import datasets
    key = _key(source, options)
    path = Path(datasets.config.HF_DATASETS_CACHE) / "vector_universe" / f"{key or uuid.uuid4().hex}.arrow"
    if key and path.is_file():
        try:
            notes = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            skipped = [SkippedRow(**row) for row in notes["skipped"]]
            remarks = [Remark(**row) for row in notes["remarks"]]
            return _dataset(source, given, as_dataset(map_table(path), key), skipped, remarks)
        except (OSError, ValueError, KeyError, TypeError):
            pass  # one of a version to come, or damaged: made anew
    if source.holds_images:
        _check_space(source, given, path.parent)
    skipped = []
    noted = Remarks()
    with ArrowSpool(path, keep=bool(key)) as spool:
        for item in source.items(report):
            if isinstance(item, Example):
                spool.add(to_row(item))
            elif isinstance(item, Remark):
                noted.add(item)
            else:
                skipped.append(item)
        said = noted.all()
        if spool.on_disk and key:  # before the table, so that there is no table without it
            replace_text(path.with_suffix(".json"), json.dumps({"skipped": [asdict(row) for row in skipped],
                                                                "remarks": [asdict(remark) for remark in said]}))
        return _dataset(source, given, spool.finish(key or path.stem), skipped, said)


def _dataset(source: Source, given: str, table, skipped: list[SkippedRow],
             remarks: Sequence[Remark]) -> ImageTextDataset:
    return ImageTextDataset(table, name=source.name, source=given, skipped=skipped, attribution=source.attribution,
                            remarks=remarks)


def _key(source: Source, options: LoadOptions) -> str:
    """Stands for the files and how they are read; "" if other files matter as well."""
    if not source.complete:
        return ""
    read_by = replace(options, group=None, group_duplicates=False)  # which act on what was read
    digest = hashlib.sha256(f"{VERSION} {read_by}".encode())
    for path in source.files:
        status = path.stat()
        digest.update(f"{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "replace"))
    return digest.hexdigest()[:32]


def _check_space(source: Source, given: str, cache: Path) -> None:
    needed = sum(path.stat().st_size for path in source.files)
    place = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(place).free - SPARE_BYTES
    if needed > free:
        raise UserError(f"{given} needs {needed / 1e9:.1f} GB of cache in {cache}, where {max(free, 0) / 1e9:.1f} GB "
                        f"can be used: vu data import {given} --out FOLDER --format webdataset makes shards that need "
                        "none, or set HF_DATASETS_CACHE")
