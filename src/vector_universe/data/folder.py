"""A folder of images beside a CSV of titles, captions and labels.

`images/` + `metadata.csv` (one row an image, or one row a caption), and Flickr8k's `Images/` + `captions.txt`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.example import Example
from vector_universe.data.images import ImageError, open_image
from vector_universe.data.skipped import SkippedRow
from vector_universe.data.splits import split_named, split_of
from vector_universe.errors import UserError

TABLES = ("metadata.csv", "captions.csv", "captions.txt")
IMAGE_FOLDERS = ("images", "Images")
IMAGE_COLUMNS = ("file_name", "image", "filename")
TEXT_COLUMNS = ("title", "caption", "text")
LABEL_COLUMNS = ("labels", "label")

csv.field_size_limit(16 * 1024 * 1024)


def load_folder(folder: Path) -> ImageTextDataset:
    """Read `folder` into a data set; rows whose image or text cannot be used are skipped and listed.

    Several rows of one image become its several texts. Labels are split on `,`, `|` or `;`. A `split` column is
    followed where it names train, validation or test; other images are split by a hash of their file name.

    Raises:
        UserError: no folder, no table, a table without the columns, or not one usable row.
    """
    table = _find_table(folder)
    examples: dict[str, Example] = {}
    skipped: list[SkippedRow] = []
    broken: set[str] = set()
    for row_number, row in _rows(table):
        name = row["image"]
        if not name:
            skipped.append(SkippedRow("", row_number, "no file name"))
            continue
        if name in broken:
            continue
        labels = list(dict.fromkeys(label.strip() for label in re.split(r"[,|;]", row["labels"]) if label.strip()))
        if name in examples:
            text = row["text"]
            if text and text not in examples[name].texts:
                examples[name].texts.append(text)
            examples[name].labels.extend(label for label in labels if label not in examples[name].labels)
            continue
        try:
            path = _locate(folder, name)
            open_image(path).close()
        except ImageError as error:
            broken.add(name)
            skipped.append(SkippedRow(name, row_number, str(error)))
            continue
        if not row["text"] and not labels:
            skipped.append(SkippedRow(name, row_number, "no text and no label"))
            continue
        examples[name] = Example(id=name, image=str(path), texts=[row["text"]] if row["text"] else [], labels=labels,
                                 split=split_named(row["split"]) or split_of(name), metadata=row["metadata"])
    if not examples:
        why = f" (row {skipped[0].row}, {skipped[0].file or 'unnamed'}: {skipped[0].reason})" if skipped else ""
        raise UserError(f"{table} has no usable row{why}: give it at least one image with a title or a label")
    return ImageTextDataset.from_examples(list(examples.values()), name=folder.resolve().name, source=str(folder),
                                          skipped=skipped)


def _find_table(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: give a folder with images/ and metadata.csv, or 'emoji'")
    for name in TABLES:
        if (folder / name).is_file():
            return folder / name
    if not any(folder.iterdir()):
        raise UserError(f"{folder} is empty: put images/ and metadata.csv (columns file_name,title,labels) into it")
    raise UserError(f"{folder} has no metadata.csv (nor captions.txt): add one with the columns file_name,title,labels")


def _rows(table: Path) -> Iterator[tuple[int, dict]]:
    """Yield (row number, {image, text, labels, split, metadata}) with every value stripped."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, restval="")
            columns = [column.strip() for column in reader.fieldnames or []]
            if not columns:
                raise UserError(f"{table} is empty: its first line must name columns such as file_name,title,labels")
            image, text, labels = (_column(columns, names) for names in (IMAGE_COLUMNS, TEXT_COLUMNS, LABEL_COLUMNS))
            if image is None or (text is None and labels is None):
                raise UserError(f"{table} has the columns {', '.join(columns)}: it needs one of "
                                f"{', '.join(IMAGE_COLUMNS)} and one of {', '.join(TEXT_COLUMNS + LABEL_COLUMNS)}")
            used = {image, text, labels, "split"}
            reader.fieldnames = columns
            for number, row in enumerate(reader, 1):
                row.pop(None, None)  # cells beyond the header
                value = {column: " ".join(cell.split()) for column, cell in row.items()}
                yield number, {"image": value[image], "text": value[text] if text else "",
                               "labels": value[labels] if labels else "", "split": value.get("split", ""),
                               "metadata": {column: cell for column, cell in value.items() if column not in used}}
    except UnicodeDecodeError as error:
        raise UserError(f"{table} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{table} is not a CSV table ({error})") from None


def _column(columns: list[str], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in columns), None)


def _locate(folder: Path, name: str) -> Path:
    root = folder.resolve()
    try:
        for place in (*(root / images for images in IMAGE_FOLDERS), root):
            path = (place / name).resolve()
            if not path.is_relative_to(root):
                raise ImageError("its path leaves the data folder")
            if path.is_file():
                return path
    except ImageError:
        raise
    except (OSError, ValueError):  # a name of 10,000 characters, or with a NUL in it
        raise ImageError("no file can have this name") from None
    raise ImageError("file not found")
