"""WebDataset shards: tar files whose members share a key (`dir/0001.jpg`, `dir/0001.json`), read in place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from vector_universe.data.images import ImageError, encoded_bytes
from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import SkippedRow
from vector_universe.data.sources.columns import ANSWER_COLUMNS, LABEL_COLUMNS, TEXT_COLUMNS, Columns, refuse_columns
from vector_universe.data.sources.own_rows import is_own, own_example
from vector_universe.data.sources.places import IMAGE_ENDINGS, check_header
from vector_universe.data.sources.seen import SeenIds
from vector_universe.data.sources.source import Item, Report, Source
from vector_universe.data.sources.table import make_example
from vector_universe.data.sources.tar_members import Member, TruncatedTar, refuse_packed, tar_members
from vector_universe.data.sources.values import encodable
from vector_universe.errors import UserError

TEXT_ENDINGS = ("txt", "cls", "json")  # anything else, pickles before all, is never opened
LONGEST_TEXT = 16 * 1024 * 1024
LOOKED_AT = 100  # samples whose fields are the columns


@dataclass(frozen=True)
class Sample:
    """Members of one key, by what follows the first dot of their name."""

    key: str
    members: Mapping[str, Member]


def shards_source(paths: Sequence[Path], options: LoadOptions, *, name: str, splits: Sequence[str] = (),
                  read: Callable[[Mapping[str, Any]], dict[str, Any]] = dict) -> Source:
    """Tar shards as one source.

    Args:
        paths: the shards, in order.
        options: columns; a column is a key of the `.json` member, or `txt` or `cls` for these members.
        name: of the source, for people.
        splits: the split of each shard's samples that do not say theirs; it then stands before their ids.
        read: what the text members of a sample mean, by column; a ValueError is the reason to leave it out.

    Raises:
        UserError: a shard is compressed, or a named column is in none of the first samples.
    """
    for path in paths:
        refuse_packed(path)
    shards = Shards(tuple(paths), options, tuple(splits) or ("",) * len(paths), read)
    shards.check_columns()
    return Source(name, str(paths[0]), shards.items, files=tuple(paths), complete=True)


@dataclass(frozen=True)
class Shards:
    """The shards of one data set."""

    paths: tuple[Path, ...]
    options: LoadOptions
    splits: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], dict[str, Any]] = dict

    def items(self, report: Report) -> Iterator[Item]:
        """Examples, whose images are slices of the shards, and what was left out."""
        seen, number = SeenIds(), 0
        before, total = 0, sum(path.stat().st_size for path in self.paths)
        for path, split in zip(self.paths, self.splits, strict=True):
            for sample in _samples(path, self.options.image_column):
                if isinstance(sample, SkippedRow):
                    yield sample
                    continue
                number += 1
                yield self._item(sample, number, split, seen)
                report(before + next(iter(sample.members.values())).place.offset, total)
            before += path.stat().st_size
        report(total, total)

    def check_columns(self) -> None:
        """Raises UserError if a named column is in none of the first samples."""
        named = (*self.options.text_columns, *self.options.label_columns, self.options.id_column,
                 self.options.image_column)
        if not any(named):
            return
        found: dict[str, None] = {}
        for sample in islice(_samples(self.paths[0], self.options.image_column), LOOKED_AT):
            if isinstance(sample, Sample):
                values = _values_or_none(sample)
                if is_own(values):
                    refuse_columns(self.options, str(self.paths[0]))
                found |= dict.fromkeys(chain(sample.members, values))
        for column in named:
            if column is not None and column not in found:
                raise UserError(f"{self.paths[0]} has no column {column!r}: its columns are {', '.join(found)}")

    def _item(self, sample: Sample, number: int, split: str, seen: SeenIds) -> Item:
        ending = self.options.image_column or next((end for end in sample.members if end in IMAGE_ENDINGS), None)
        image = sample.members.get(ending or "")
        if ending is None or image is None:
            return SkippedRow(sample.key, number, "no image")
        try:
            check_header(image.place)
            values = self.read(_values(sample))
            if is_own(values):
                example = own_example(values, image.place)
                return example if seen.add(example.id) else SkippedRow(example.id, number, "duplicate id")
        except (ImageError, ValueError) as error:
            return SkippedRow(image.name, number, str(error))
        row = self._columns(ending, values).row(number, values | {ending: image.name}, split,
                                                  f"{split}/" if split else "")
        return make_example([row], image.place, seen)

    def _columns(self, ending: str, values: Mapping[str, Any]) -> Columns:
        """Those of one sample: its JSON may have other keys than the next."""
        texts = self.options.text_columns or _first(values, ("txt", *TEXT_COLUMNS))
        answers = _first(values, ANSWER_COLUMNS) if not texts and "question" in values else ()
        return Columns(ending, texts, self.options.label_columns or _first(values, LABEL_COLUMNS),
                       self.options.id_column, question="question" if answers else None,
                       answer=answers[0] if answers else None)


def _first(values: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in values)[:1]


def _samples(path: Path, wanted: str | None) -> Iterator[Sample | SkippedRow]:
    """Neighbouring members of one key together; what a damaged tar holds up to there, then one row about the rest.

    Of members that are neither images nor texts only those with the ending `wanted` are told of.
    """
    key = ""
    members: dict[str, Member] = {}
    cut: TruncatedTar | None = None
    try:
        for member in tar_members(path):
            name = encodable(member.name.removeprefix("./"))
            found, ending = _key(name)
            if found.rpartition("/")[2] == "":
                continue  # a hidden file
            if found != key:
                if members:
                    yield Sample(key, members)
                key, members = found, {}
            if ending in IMAGE_ENDINGS or ending in TEXT_ENDINGS or ending == wanted:
                members[ending] = Member(name, member.place)
    except TruncatedTar as error:
        cut = error
    lost = cut is not None and cut.name and _key(encodable(cut.name.removeprefix("./")))[0] == key
    if members and not lost:
        yield Sample(key, members)
    if cut is not None:
        yield SkippedRow(f"{path.name}/{encodable(cut.name)}" if cut.name else path.name, None, str(cut))


def _key(name: str) -> tuple[str, str]:
    """Key and lower-case ending of a member: "dir/a", "jpg" for "dir/a.jpg"."""
    folder, slash, base = name.rpartition("/")
    stem, _, ending = base.partition(".")
    return folder + slash + stem, ending.lower()


def _values_or_none(sample: Sample) -> dict[str, Any]:
    try:
        return _values(sample)
    except ValueError:
        return {}


def _values(sample: Sample) -> dict[str, Any]:
    """What the text members say.

    Raises:
        ValueError: one is too large, not UTF-8 or not JSON; the message is the reason.
    """
    values: dict[str, Any] = {}
    for ending in TEXT_ENDINGS:
        member = sample.members.get(ending)
        if member is None:
            continue
        if member.place.length > LONGEST_TEXT:
            raise ValueError(f"its .{ending} is too large ({member.place.length:,} bytes, limit {LONGEST_TEXT:,})")
        try:
            text = encoded_bytes(member.place).decode("utf-8-sig")
            if ending != "json":
                values[ending] = text
                continue
            found = json.loads(text)
        except UnicodeDecodeError:
            raise ValueError(f"its .{ending} is not UTF-8") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"its .json is not JSON ({error})") from None
        if not isinstance(found, dict):
            raise ValueError("its .json is not a JSON object")
        values |= found
    return values
