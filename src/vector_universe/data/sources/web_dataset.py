"""WebDataset shards: tar files whose members share a key (`dir/0001.jpg`, `dir/0001.json`), read in place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from vector_universe.data.images import FileSlice
from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import SkippedRow, unread_remarks
from vector_universe.data.sources.columns import named_columns, refuse_columns
from vector_universe.data.sources.names import IMAGE_ENDINGS, is_clutter
from vector_universe.data.sources.own_rows import is_own
from vector_universe.data.sources.samples import TEXT_ENDINGS, Member, Sample, sample_item, sample_values
from vector_universe.data.sources.seen import SeenIds
from vector_universe.data.sources.source import Item, Report, Source
from vector_universe.data.sources.tar_members import TruncatedTar, refuse_packed, tar_members
from vector_universe.data.sources.values import encodable
from vector_universe.errors import UserError

LOOKED_AT = 100  # samples whose fields are the columns


def shards_source(paths: Sequence[Path], options: LoadOptions, *, name: str, splits: Sequence[str] = (),
                  read: Callable[[Mapping[str, Any]], dict[str, Any]] = dict) -> Source:
    """Tar shards as one source.

    Args:
        paths: the shards, in order.
        options: columns, as `sample_item` takes them.
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
        """Examples, whose images are slices of the shards, what was left out, and which members were not read."""
        seen, number, unread = SeenIds(), 0, Counter[str]()
        before, total = 0, sum(path.stat().st_size for path in self.paths)
        for path, split in zip(self.paths, self.splits, strict=True):
            for sample in _samples(path, self.options.image_column, unread):
                if isinstance(sample, SkippedRow):
                    yield sample
                    continue
                number += 1
                sample = replace(sample, split=split, prefix=f"{split}/" if split else "")
                yield sample_item(sample, number, self.options, seen, self.read)
                place = next(iter(sample.members.values())).place
                assert isinstance(place, FileSlice)
                report(before + place.offset, total)
            before += path.stat().st_size
        report(total, total)
        yield from unread_remarks(unread, "member")

    def check_columns(self) -> None:
        """Raises UserError if a named column is in none of the first samples."""
        named = named_columns(self.options)
        if not named:
            return
        found: dict[str, None] = {}
        for sample in islice(_samples(self.paths[0], self.options.image_column, Counter()), LOOKED_AT):
            if isinstance(sample, Sample):
                values = _values_or_none(sample)
                if is_own(values):
                    refuse_columns(self.options, str(self.paths[0]))
                found |= dict.fromkeys(chain(sample.members, values))
        for column in named:
            if column not in found:
                raise UserError(f"{self.paths[0]} has no column {column!r}: its columns are {', '.join(found)}")


def _samples(path: Path, wanted: str | None, unread: Counter[str]) -> Iterator[Sample | SkippedRow]:
    """Neighbouring members of one key together; what a damaged tar holds up to there, then one row about the rest.

    Args:
        path: the tar.
        wanted: an ending of images beside the usual ones.
        unread: counts the members that are neither images nor texts, by their ending.
    """
    key, cut = "", None
    members: dict[str, Member] = {}
    links: list[str] = []
    try:
        for member in tar_members(path, links.append):
            name = encodable(member.name.removeprefix("./"))
            if any(map(is_clutter, name.split("/"))):
                continue
            found, ending = _key(name)
            if found != key:
                yield from _parted(key, members, wanted, unread)
                key, members = found, {}
            if ending in members:
                yield SkippedRow(name, None, "its name stands in the tar twice: the first one is read")
            else:
                members[ending] = Member(name, member.place)
    except TruncatedTar as error:
        cut = error
    if not (cut is not None and cut.name and _key(encodable(cut.name.removeprefix("./")))[0] == key):
        yield from _parted(key, members, wanted, unread)
    yield from (SkippedRow(encodable(link), None, "a link in the tar, which is not followed") for link in links)
    if cut is not None:
        yield SkippedRow(f"{path.name}/{encodable(cut.name)}" if cut.name else path.name, None, str(cut))


def _parted(key: str, members: Mapping[str, Member], wanted: str | None, unread: Counter[str]) -> Iterator[Sample]:
    """Members of one key as one sample; or as several, where the names of images hold dots ("IMG 22.05.jpg").

    What follows the first dot names a member, as in "0001.seg.png". But where no image has a plain ending, or one with
    dots has a text of its very name, the dots belong to the names.
    """
    plain = {ending: member for ending, member in members.items()
             if ending == wanted or ending in IMAGE_ENDINGS or ending in TEXT_ENDINGS}
    dotted: dict[str, dict[str, Member]] = {}
    for ending, member in members.items():
        stem, _, last = ending.rpartition(".")
        if ending not in plain and stem and (last in IMAGE_ENDINGS or last in TEXT_ENDINGS):
            dotted.setdefault(member.name[:-len(last) - 1], {})[last] = member
    has_image = wanted in members if wanted else any(ending in IMAGE_ENDINGS for ending in plain)
    apart = {name: found for name, found in dotted.items() if any(ending in IMAGE_ENDINGS for ending in found)
             and (not has_image or any(ending in TEXT_ENDINGS for ending in found))}
    shared = {} if has_image else {ending: member for ending, member in plain.items() if ending in TEXT_ENDINGS}
    if plain and not (apart and len(shared) == len(plain)):
        yield Sample(key, plain)
    for name, found in apart.items():
        yield Sample(name, shared | found)
    read = {id(member) for found in (plain, *apart.values()) for member in found.values()}
    images = [ending for ending in plain if ending in IMAGE_ENDINGS]
    unread.update(ending for ending, member in members.items()
                  if id(member) not in read or (ending in images[1:] and wanted is None))


def _key(name: str) -> tuple[str, str]:
    """Key and lower-case ending of a member: "dir/a", "jpg" for "dir/a.jpg"."""
    folder, slash, base = name.rpartition("/")
    stem, _, ending = base.partition(".")
    return folder + slash + stem, ending.lower()


def _values_or_none(sample: Sample) -> dict[str, Any]:
    try:
        return sample_values(sample)
    except ValueError:
        return {}
