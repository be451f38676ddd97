"""Which columns of a table hold what, and what one row of it says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Any

from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.values import as_metadata, as_text, as_texts, unique
from vector_universe.errors import UserError

IMAGE_COLUMNS = ("file_name", "image", "filename", "image_path", "file_path", "path", "img", "jpg", "png",
                 "webp", "image_id")  # img2dataset calls bytes by their format
TEXT_COLUMNS = ("title", "caption", "text", "captions", "texts")
LABEL_COLUMNS = ("labels", "label", "class", "cls")
ID_COLUMNS = ("id", "key")
ANSWER_COLUMNS = ("answer", "answers", "multiple_choice_answer")


@dataclass(frozen=True)
class Row:
    """One row of a table, before its image is looked for.

    Attributes:
        number: counted from 1 over the whole source.
        id: of the example that it belongs to: what the id column says, else the image's name, else the number.
        name: of the image's file; "" if it has none.
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
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def identity(self, number: int, values: Mapping[str, Any], prefix: str = "") -> tuple[str, str, str | bytes | None]:
        """`id`, `name` and `image` of a row."""
        cell = values.get(self.image)
        image: str | bytes | None
        if isinstance(cell, Mapping):
            name, encoded = as_text(cell.get("path")), cell.get("bytes")
            if isinstance(encoded, bytes) and encoded:
                image = encoded
                name = PurePath(name).name if PurePath(name).is_absolute() else name
            else:
                image = name or None
        elif isinstance(cell, bytes):
            name, image = "", cell or None
        else:
            name = as_text(cell)
            image = name or None
        id = as_text(values.get(self.id)) if self.id else ""
        if not id:
            id = prefix + (name or (as_text(values.get(self.fallback_id)) if self.fallback_id else "") or str(number))
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
        metadata = {column: as_metadata(value) for column, value in values.items() if column not in self._used}
        asked: dict[str, Any] = {}
        if self.question and self.answer:
            question, answers = as_text(values.get(self.question)), as_texts(values.get(self.answer))
            texts += [f"{question} {answer}".strip() for answer in answers or [""]]
            asked = {"question": question, "answer": answers[0] if len(answers) == 1 else answers}
        return Row(number, id, name, image, unique(filter(None, texts)),
                   unique(label for column in self.labels for label in self._labels(column, values.get(column))),
                   as_text(values.get("split")) or split, metadata, asked, table)

    @cached_property
    def _used(self) -> set[str | None]:
        return {self.image, *self.texts, *self.labels, self.id, self.question, self.answer, "split"}

    def _labels(self, column: str, value: Any) -> list[str]:
        names = self.classes.get(column)
        if names:
            numbers = value if isinstance(value, (list, tuple)) else [value]
            return [names[number] for number in numbers if isinstance(number, int) and 0 <= number < len(names)]
        if isinstance(value, str):
            return [label for label in map(as_text, re.split(r"[,|;]", value)) if label]
        return as_texts(value)


def refuse_columns(options: LoadOptions, place: str) -> None:
    """Raises UserError if columns are named for a source that has none to choose from."""
    if options.image_column or options.text_columns or options.label_columns or options.id_column:
        raise UserError(f"{place} has no columns to choose from: leave out --image-column, --text-columns, "
                        "--label-columns and --id-column")


def choose_columns(columns: Sequence[str], options: LoadOptions, place: str,
                   classes: Mapping[str, Sequence[str]] | None = None) -> Columns:
    """The columns that the options name, else those of the usual names.

    Args:
        columns: those that are there.
        place: the table, for messages.
        classes: names of labels that are stored as numbers, by column.

    Raises:
        UserError: a named column is not there, or no image column, or neither texts nor labels.
    """
    named = (options.image_column, *options.text_columns, *options.label_columns, options.id_column)
    for name in named:
        if name is not None and name not in columns:
            raise UserError(f"{place} has no column {name!r}: its columns are {', '.join(columns)}")
    image = options.image_column or _first(columns, IMAGE_COLUMNS)
    texts = options.text_columns or tuple(filter(None, [_first(columns, TEXT_COLUMNS, image)]))
    labels = options.label_columns or tuple(filter(None, [_first(columns, LABEL_COLUMNS, image)]))
    question = answer = None
    if not texts and "question" in columns:
        question, answer = "question", _first(columns, ANSWER_COLUMNS)
    if image is None or not (texts or labels or answer):
        raise UserError(f"{place} has the columns {', '.join(columns)}: it needs one of {', '.join(IMAGE_COLUMNS)} "
                        f"and one of {', '.join(TEXT_COLUMNS + LABEL_COLUMNS)}, or question and answer")
    return Columns(image, texts, labels, options.id_column, _first(columns, ID_COLUMNS, image),
                   question if answer else None, answer, classes or {})


def _first(columns: Sequence[str], names: Sequence[str], taken: str | None = None) -> str | None:
    return next((name for name in names if name in columns and name != taken), None)
