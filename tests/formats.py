"""The same small data set in every format that can be read."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from vector_universe.data import Example
from vector_universe.data.images import encoded_bytes


@dataclass(frozen=True)
class Item:
    """One picture and what is said about it."""

    name: str
    image: bytes
    title: str
    labels: tuple[str, ...]
    split: str
    artist: str


def picture(colour: str, format: str = "PNG", side: int = 8) -> bytes:
    """An encoded square of one colour."""
    encoded = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(encoded, format)
    return encoded.getvalue()


ITEMS = (
    Item("a.png", picture("red"), "one, with a comma", ("x",), "train", "Klee"),
    Item("b.jpg", picture("green", "JPEG"), '빨간 "원"', ("y", "z z"), "validation", ""),
    Item("c.webp", picture("blue", "WEBP"), "", ("x", "z z"), "test", "Ünal"),
    Item("d.gif", picture("white", "GIF"), "a line\nand another", (), "", "Klee"),
)


def write_images(folder: Path) -> None:
    """Write the pictures into images/."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for item in ITEMS:
        (folder / "images" / item.name).write_bytes(item.image)


def rows(labels: Callable[[tuple[str, ...]], object]) -> list[dict]:
    """The table that goes with images/."""
    return [{"file_name": item.name, "title": item.title, "labels": labels(item.labels), "split": item.split,
             "artist": item.artist} for item in ITEMS]


def write_csv(folder: Path, name: str = "metadata.csv", delimiter: str = ",", encoding: str = "utf-8",
              end: str = "\n") -> Path:
    write_images(folder)
    with (folder / name).open("w", newline="", encoding=encoding) as file:
        table = csv.DictWriter(file, list(rows("|".join)[0]), delimiter=delimiter, lineterminator=end)
        table.writeheader()
        table.writerows(rows("|".join))
    return folder


def write_jsonl(folder: Path) -> Path:
    write_images(folder)
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(list)))
    return folder / "pairs.jsonl"


def write_parquet_of_names(folder: Path) -> Path:
    write_images(folder)
    pq.write_table(pa.Table.from_pylist(rows(list)), folder / "metadata.parquet")
    return folder


def image_rows() -> list[dict]:
    """The same with the images in the table, as Hugging Face stores them."""
    found = rows(list)
    for row, item in zip(found, ITEMS, strict=True):
        row["image"] = {"bytes": item.image, "path": row.pop("file_name")}
    return found


def write_parquet_of_images(folder: Path) -> Path:
    """Two shards."""
    folder.mkdir()
    for number in range(2):
        pq.write_table(pa.Table.from_pylist(image_rows()[2 * number:2 * number + 2]),
                       folder / f"part-{number}.parquet")
    return folder


def write_parquet_of_bytes(folder: Path) -> Path:
    """A plain binary column, and ids in another."""
    folder.mkdir()
    found = [row | {"image": item.image, "name": item.name} for row, item in zip(rows(list), ITEMS, strict=True)]
    pq.write_table(pa.Table.from_pylist([{k: v for k, v in row.items() if k != "file_name"} for row in found]),
                   folder / "all.parquet")
    return folder / "all.parquet"


def write_saved(folder: Path) -> Path:
    import datasets
    table = datasets.Dataset.from_list(image_rows()).cast_column("image", datasets.Image())
    table.save_to_disk(str(folder))
    return folder


def write_tars(folder: Path) -> Path:
    """Two shards with `.json`; what it lacks of a row, the row lacks."""
    folder.mkdir()
    for number in range(2):
        with tarfile.open(folder / f"{number:03}.tar", "w") as tar:
            for item, row in list(zip(ITEMS, rows(list), strict=True))[2 * number:2 * number + 2]:
                stem = item.name.partition(".")[0]
                add_member(tar, item.name, item.image)
                add_member(tar, f"{stem}.json", json.dumps({k: v for k, v in row.items() if k != "file_name"}).encode())
    return folder


def add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Put bytes into a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def loaded(examples) -> list[Example]:
    """Examples with the bytes of their images instead of places."""
    return [replace(example, image=encoded_bytes(example.image)) for example in examples]
