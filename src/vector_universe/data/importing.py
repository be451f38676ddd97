"""`vu data import`: any source, one example at a time, into shards that need no other file."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vector_universe.data.example import Example
from vector_universe.data.images import ImageError, encoded_bytes
from vector_universe.data.options import LoadOptions
from vector_universe.data.shard_writers import SHARDS, ShardWriter
from vector_universe.data.skipped import Remark, Remarks, SkippedRow
from vector_universe.data.sources import Report, Source, open_source
from vector_universe.data.sources.imported import INDEX, read_index
from vector_universe.data.sources.source import unreported
from vector_universe.errors import UserError
from vector_universe.folders import claim_folder, replace_text

JOURNAL = "unfinished.json"  # the shards that are whole, while the import is under way
SKIPPED = "skipped.csv"


@dataclass(frozen=True)
class Imported:
    """What an import wrote."""

    folder: Path
    examples: int
    shards: int
    skipped: int
    bytes: int
    remarks: tuple[Remark, ...] = ()

    def summary(self) -> str:
        """One line for people."""
        line = f"{self.examples:,} examples in {self.shards:,} shards ({self.bytes / 1e6:,.1f} MB), in {self.folder}"
        return line + (f"; {self.skipped:,} rows were skipped, see {self.folder / SKIPPED}" if self.skipped else "")


def import_data(source: str | Path, out: str | Path, options: LoadOptions, *, format: str = "parquet",
                shard_mb: int = 256, report: Report = unreported) -> Imported:
    """Write the examples of a source as shards, with `index.json`, which is written last, and `skipped.csv`.

    Images are copied as they are, never encoded again; loading the folder gives the very same examples. Memory is
    bounded by one row group. After a kill the same command goes on behind the last whole shard, if the files given
    are as they were; else it begins anew.

    Args:
        source: as for `load_dataset`.
        out: folder to write; new, empty, or one of the same import.
        options: columns and safety.
        format: "parquet" or "webdataset".
        shard_mb: a shard is ended when its images and texts exceed so many megabytes.
        report: called with (done, total) as reading goes on.

    Raises:
        UserError: the source cannot be used, or `out` holds something else.
    """
    if format not in SHARDS:
        raise UserError(f"there is no format {format!r}: choose one of {', '.join(SHARDS)}")
    if shard_mb < 1:
        raise UserError(f"shard_mb is {shard_mb}: it must be at least 1")
    if options.group or options.group_duplicates:
        raise UserError("vu data import keeps the splits of its source: give --group and --group-duplicates to the "
                        "verb that reads the import")
    opened = open_source(source, options)
    settings = {"source": os.path.abspath(source) if Path(source).exists() else str(source),
                "options": json.loads(json.dumps(asdict(options))), "format": format, "shard_mb": shard_mb,
                "files": [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in opened.files]}
    out = Path(out)
    claim_folder(out, "data")
    index = read_index(out)
    if index is not None:
        if index["settings"] != settings:
            raise UserError(f"{out} holds another import (of {index['settings']['source']}): give --out another folder")
        return imported(out, index)
    return Import(opened, out, settings, format, shard_mb * 1_000_000).run(report)


@dataclass(frozen=True)
class Import:
    """One import under way."""

    source: Source
    out: Path
    settings: dict[str, Any]
    format: str
    shard_bytes: int

    def run(self, report: Report) -> Imported:
        """Go on behind the shards that are whole, or begin anew where the source is not as it was."""
        try:
            return self._write(self._whole_shards(), report)
        except SourceChanged:
            return self._write([], report)

    def _write(self, shards: list[dict[str, Any]], report: Report) -> Imported:
        self._clear({shard["file"] for shard in shards})
        ends = {shard["read"]: shard["last"] for shard in shards}
        done, number = max(ends, default=0), 0
        unread: list[SkippedRow] = []
        remarks = Remarks()
        skipped = sum(len(shard["unread"]) for shard in shards)
        writer: ShardWriter | None = None
        with (self.out / f"{SKIPPED}.partial").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["file", "row", "reason"])
            table.writerows(row for shard in shards for row in shard["unread"])
            for item in self.source.items(report):
                if isinstance(item, Remark):
                    remarks.add(item)
                    continue
                if isinstance(item, Example):
                    number += 1
                    if number <= done:
                        if ends.get(number, item.id) != item.id:
                            raise SourceChanged
                        continue
                    writer = writer or self._new_shard(len(shards))
                    try:
                        writer.add(item, encoded_bytes(item.image), number)
                    except ImageError as error:
                        item = SkippedRow(item.id, None, str(error))
                        unread.append(item)
                    else:
                        if writer.size >= self.shard_bytes:
                            shards.append(self._close(writer, number, item.id, unread))
                            self._note(shards)
                            writer, unread = None, []
                        continue
                table.writerow((item.file, item.row or "", item.reason))
                skipped += 1
            if number < done:
                raise SourceChanged
        if writer is not None:
            shards.append(self._close(writer, number, "", unread))
        return self._finish(shards, skipped, remarks.all())

    def _new_shard(self, number: int) -> ShardWriter:
        kind = SHARDS[self.format]
        return kind(self.out / f"shard-{number:05}.{kind.ending}")

    def _whole_shards(self) -> list[dict[str, Any]]:
        """What a killed import of the same settings had finished."""
        try:
            journal = json.loads((self.out / JOURNAL).read_text(encoding="utf-8"))
            whole = all((self.out / shard["file"]).stat().st_size == shard["bytes"] for shard in journal["shards"])
            return journal["shards"] if whole and journal["settings"] == self.settings else []
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def _clear(self, keep: set[str]) -> None:
        """Remove the shards, whole or half, that a killed import left and this one does not go on from."""
        for path in self.out.iterdir():
            if path.name.startswith("shard-") and path.name not in keep:
                path.unlink()

    def _close(self, writer: ShardWriter, read: int, last: str, unread: list[SkippedRow]) -> dict[str, Any]:
        writer.close()
        return {"file": writer.path.name, "bytes": writer.path.stat().st_size, "examples": writer.examples,
                "read": read, "last": last, "unread": [[row.file, "", row.reason] for row in unread]}

    def _note(self, shards: list[dict[str, Any]]) -> None:
        replace_text(self.out / JOURNAL, json.dumps({"settings": self.settings, "shards": shards}))

    def _finish(self, shards: list[dict[str, Any]], skipped: int, remarks: Sequence[Remark]) -> Imported:
        if not any(shard["examples"] for shard in shards):
            raise UserError(f"{self.source.place} has no image that can be read")
        os.replace(self.out / f"{SKIPPED}.partial", self.out / SKIPPED)
        index = {"name": self.source.name, "attribution": self.source.attribution, "skipped": skipped,
                 "remarks": [asdict(remark) for remark in remarks],
                 "examples": sum(shard["examples"] for shard in shards), "settings": self.settings,
                 "shards": [{key: shard[key] for key in ("file", "bytes", "examples")} for shard in shards]}
        replace_text(self.out / INDEX, json.dumps(index, indent=1, ensure_ascii=False) + "\n")
        (self.out / JOURNAL).unlink(missing_ok=True)
        return imported(self.out, index)


class SourceChanged(Exception):
    """What the source gives now is not what it gave before the kill."""


def imported(folder: Path, index: dict[str, Any]) -> Imported:
    """What the index of an import says."""
    return Imported(folder, index["examples"], len(index["shards"]), index["skipped"],
                    sum(shard["bytes"] for shard in index["shards"]),
                    tuple(Remark(**remark) for remark in index.get("remarks", ())))
