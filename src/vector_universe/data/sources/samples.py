"""A picture and the small files of its name: `a.jpg` with `a.txt`, `a.caption`, `a.cls` or `a.json`, in a tar or a
folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vector_universe.data.example import Example
from vector_universe.data.images import ImageError, ImageSource, encoded_bytes, encoded_size
from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import SkippedRow
from vector_universe.data.sources.columns import (
    ANSWER_COLUMNS,
    LABEL_COLUMNS,
    TEXT_COLUMNS,
    Columns,
    first_column,
)
from vector_universe.data.sources.encoding import decode_text
from vector_universe.data.sources.names import IMAGE_ENDINGS
from vector_universe.data.sources.own_rows import is_own, own_example
from vector_universe.data.sources.places import check_header
from vector_universe.data.sources.seen import SeenIds
from vector_universe.data.sources.table import make_example
from vector_universe.errors import UserError

TEXT_ENDINGS = ("json", "txt", "caption", "cls")  # anything else, pickles before all, is never opened
LONGEST_TEXT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Member:
    """One file of a sample: its name, which is never used as a path, and where its bytes lie."""

    name: str
    place: ImageSource


@dataclass(frozen=True)
class Sample:
    """Files of one key, by the ending of their name.

    Attributes:
        split: of a sample that does not say its own.
        prefix: before the id that its image's name gives.
        labels: that the place of the sample says.
    """

    key: str
    members: Mapping[str, Member]
    split: str = ""
    prefix: str = ""
    labels: tuple[str, ...] = ()


def sample_item(sample: Sample, number: int, options: LoadOptions, seen: SeenIds,
                read: Callable[[Mapping[str, Any]], dict[str, Any]] = dict) -> Example | SkippedRow:
    """The example that a sample is, or why it is none.

    Args:
        sample: the files.
        number: of the sample, from 1.
        options: columns; a column is a key of the `.json` member, or `txt`, `caption` or `cls` for these members.
        seen: ids so far.
        read: what the text members mean, by column; a ValueError is the reason to leave the sample out.
    """
    ending = options.image_column or next((ending for ending in sample.members if ending in IMAGE_ENDINGS), None)
    image = sample.members.get(ending or "")
    if ending is None or image is None:
        return SkippedRow(sample.key, number, "no image")
    try:
        check_header(image.place)
        values = read(sample_values(sample))
        if is_own(values):
            example = own_example(values, image.place)
            return example if seen.add(example.id) else SkippedRow(example.id, number, "duplicate id")
    except (ImageError, ValueError) as error:
        return SkippedRow(image.name, number, str(error))
    row = _columns(ending, values, options).row(number, values | {ending: image.name}, sample.split, sample.prefix)
    row.labels.extend(label for label in sample.labels if label not in row.labels)
    return make_example([row], image.place, seen)


def sample_values(sample: Sample) -> dict[str, Any]:
    """What the text members say.

    Raises:
        ValueError: one is too large, of no known encoding or not JSON; the message is the reason.
    """
    values: dict[str, Any] = {}
    for ending in TEXT_ENDINGS:
        member = sample.members.get(ending)
        if member is None:
            continue
        if (size := encoded_size(member.place)) > LONGEST_TEXT:
            raise ValueError(f"its .{ending} is too large ({size:,} bytes, limit {LONGEST_TEXT:,})")
        try:
            text = decode_text(encoded_bytes(member.place), f"its .{ending}")
        except UserError as error:
            raise ValueError(str(error)) from None
        if ending != "json":
            values[ending] = text
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"its .json is not JSON ({error})") from None
        if not isinstance(found, dict):
            raise ValueError("its .json is not a JSON object")
        values |= found
    return values


def _columns(ending: str, values: Mapping[str, Any], options: LoadOptions) -> Columns:
    """Those of one sample: its JSON may have other keys than the next."""
    names = tuple(values)
    texts = options.text_columns or _named(names, ("txt", *TEXT_COLUMNS))
    question = None if texts else first_column(names, ("question",))
    answer = first_column(names, ANSWER_COLUMNS) if question else None
    return Columns(ending, texts, options.label_columns or _named(names, ("cls", *LABEL_COLUMNS)), options.id_column,
                   question=question if answer else None, answer=answer, split=first_column(names, ("split",)))


def _named(names: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    found = first_column(names, wanted)
    return (found,) if found else ()
