"""Which columns of a table hold what, and what one row of it says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Any

from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.names import IMAGE_NAME, visible_name
from vector_universe.data.sources.values import (
    as_labels,
    as_metadata,
    as_name,
    as_text,
    as_texts,
    is_blank,
    unique,
)
from vector_universe.errors import UserError

# As `plain_column` makes them; img2dataset calls bytes by their format.
IMAGE_COLUMNS = ("file_name", "image", "filename", "image_path", "file_path", "filepath", "path", "img", "jpg", "png",
                 "webp", "file", "fname", "image_file", "image_name", "image_filename", "image_file_name", "img_path",
                 "img_name", "thumbnail", "picture", "photo", "image_id")
TEXT_COLUMNS = ("title", "caption", "text", "captions", "texts", "titles")
TEXT_ENDINGS = ("_title", "_caption")  # "Video Title", "product_title"
LABEL_COLUMNS = ("labels", "label", "class", "cls")
ID_COLUMNS = ("id", "key")
ANSWER_COLUMNS = ("answer", "answers", "multiple_choice_answer")


def plain_column(name: str) -> str:
    """What counts of a column's name: "File Name", "file-name" and "FILE_NAME" are file_name."""
    return re.sub(r"[\W_]+", "_", name.strip("\ufeff \t").casefold()).strip("_")


@dataclass(frozen=True)
class Row:
    """One row of a table, before its image is looked for.

    Attributes:
        number: counted from 1 over the whole source.
        id: of the example that it belongs to: what the id column says, else the image's name, else the number.
        name: of the image's file as it stands; "" if it has none.
        image: the name once more, or encoded bytes; None if the row has no image.
        asked: question and answer of the row.
        table: which of several it stands in, from 0.
    """

    number: int
    id: str
    name: str
    image: str | bytes | None
    texts: list[str]
    labels: list[str]
    split: str
    metadata: dict[str, Any]
    asked: dict[str, Any] = field(default_factory=dict)
    table: int = 0


@dataclass(frozen=True)
class Columns:
    """The columns of a table by what they hold.

    Attributes:
        split: the column of splits.
        id: the column that was asked for; `fallback_id` is used where that and the image's file name are missing.
        classes: names of labels that are stored as numbers, by column.
    """

    image: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    id: str | None = None
    fallback_id: str | None = None
    question: str | None = None
    answer: str | None = None
    split: str | None = None
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def identity(self, number: int, values: Mapping[str, Any], prefix: str = "") -> tuple[str, str, str | bytes | None]:
        """`id`, `name` and `image` of a row."""
        cell = values.get(self.image)
        image: str | bytes | None
        if isinstance(cell, Mapping):
            name, encoded = as_name(cell.get("path")), cell.get("bytes")
            if isinstance(encoded, bytes) and encoded:
                image = encoded
                name = PurePath(name).name if PurePath(name).is_absolute() else name
            else:
                image = name or None
        elif isinstance(cell, bytes):
            name, image = "", cell or None
        else:
            name = as_name(cell)
            image = name or None
        id, shown = as_text(values.get(self.id)) if self.id else "", as_text(name)
        if not shown and image == name:
            image = None  # nothing but spaces
        if not id:
            fallback = as_text(values.get(self.fallback_id)) if self.fallback_id and not shown else ""
            id = prefix + (shown or fallback or str(number))
        return id, name, image

    def row(self, number: int, values: Mapping[str, Any], split: str = "", prefix: str = "",
            table: int = 0) -> Row:
        """What a row says.

        Texts have runs of white space made one space. A question and its answer become the text "question answer",
        one for each answer; both are kept in the metadata as well, as lists with one entry a row of the image.

        Args:
            number: of the row.
            values: its cells by column.
            split: used where the row has no split of its own.
            prefix: what stands before an id that no column gives.
            table: which of several it stands in.
        """
        id, name, image = self.identity(number, values, prefix)
        texts = [text for column in self.texts for text in as_texts(values.get(column))]
        metadata = {column if column.isprintable() else as_text(column): as_metadata(value)
                    for column, value in values.items() if column not in self._used}
        asked: dict[str, Any] = {}
        if self.question and self.answer:
            question, answers = as_text(values.get(self.question)), as_texts(values.get(self.answer))
            texts += [f"{question} {answer}".strip() for answer in answers or [""]]
            asked = {"question": question, "answer": answers[0] if len(answers) == 1 else answers}
        return Row(number, id, name, image, unique(filter(None, texts)),
                   unique(label for column in self.labels for label in self._labels(column, values.get(column))),
                   (self._split(values, self.split) if self.split else "") or split, metadata, asked, table)

    @cached_property
    def _used(self) -> set[str | None]:
        return {self.image, *self.texts, *self.labels, self.id, self.question, self.answer, self.split}

    def _split(self, values: Mapping[str, Any], column: str) -> str:
        named = column in self.classes
        split = ", ".join(self._labels(column, values.get(column))) if named else as_text(values.get(column))
        return "" if is_blank(split) else split

    def _labels(self, column: str, value: Any) -> list[str]:
        names = self.classes.get(column)
        if names:
            numbers = value if isinstance(value, (list, tuple)) else [value]
            return [names[number] for number in numbers if isinstance(number, int) and 0 <= number < len(names)]
        return as_labels(value)


def refuse_columns(options: LoadOptions, place: str) -> None:
    """Raises UserError if columns are named for a source that has none to choose from."""
    if named_columns(options):
        raise UserError(f"{place} has no columns to choose from: leave out --image-column, --text-columns, "
                        "--label-columns and --id-column")


def choose_columns(columns: Sequence[str], options: LoadOptions, place: str,
                   classes: Mapping[str, Sequence[str]] | None = None) -> Columns:
    """The columns that the options name, else those of the usual names, however these are written.

    Args:
        columns: those that are there.
        place: the table, for messages.
        classes: names of labels that are stored as numbers, by column.

    Raises:
        UserError: a named column is not there, or no image column, or neither texts nor labels.
    """
    for name in named_columns(options):
        if name not in columns:
            raise UserError(f"{place} has no column {name!r}: its columns are {_listed(columns)}")
    image = options.image_column or first_column(columns, IMAGE_COLUMNS)
    texts = options.text_columns or tuple(filter(None, [first_column(columns, TEXT_COLUMNS, image)
                                                        or _only_text(columns, image)]))
    labels = options.label_columns or tuple(filter(None, [first_column(columns, LABEL_COLUMNS, image)]))
    question = answer = None
    if not texts and (question := first_column(columns, ("question",))):
        answer = first_column(columns, ANSWER_COLUMNS)
    if image is None and any(IMAGE_NAME.fullmatch(name.strip()) for name in columns):
        raise UserError(f"{place} has no names of columns: its first line is data ({_listed(columns)}); put a line "
                        "such as file_name,title before it")
    if image is None:
        raise UserError(f"{place} has the columns {_listed(columns)}, and none is known to name the images, as "
                        "file_name or image would: say which does by --image-column COLUMN")
    if not (texts or labels or answer):
        raise UserError(f"{place} has the columns {_listed(columns)}, and none is known to hold texts or labels, as "
                        "title, caption or labels would: say which does by --text-columns COLUMN or --label-columns "
                        "COLUMN")
    return Columns(image, texts, labels, options.id_column, first_column(columns, ID_COLUMNS, image),
                   question if answer else None, answer, first_column(columns, ("split",), image), classes or {})


def named_columns(options: LoadOptions) -> tuple[str, ...]:
    """The columns that the options name."""
    named = (options.image_column, *options.text_columns, *options.label_columns, options.id_column)
    return tuple(name for name in named if name is not None)


def first_column(columns: Sequence[str], names: Sequence[str], taken: str | None = None) -> str | None:
    """The first of the usual names that is there, written just so before written otherwise; None if none is."""
    plain: dict[str, str] = {}
    for column in columns:
        if column != taken:
            plain.setdefault(plain_column(column), column)
    return next((name if name in columns else plain[name] for name in names if name != taken
                 and (name in columns or name in plain)), None)


def _only_text(columns: Sequence[str], taken: str | None) -> str | None:
    found = [column for column in columns if column != taken and plain_column(column).endswith(TEXT_ENDINGS)]
    return found[0] if len(found) == 1 else None


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(visible_name(column) for column in columns[:20])
    return shown + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")
