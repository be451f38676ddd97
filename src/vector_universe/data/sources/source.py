"""What every source is: a name, and a stream of examples that can be read again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vector_universe.data.example import Example
from vector_universe.data.skipped import Remark, SkippedRow
from vector_universe.errors import UserError

Item = Example | SkippedRow | Remark
Report = Callable[[int, int], None]  # (done, total) in whatever the source counts: bytes, rows or folders


def unreported(done: int, total: int) -> None:
    """A `Report` for readers without a progress bar."""


def part_of(report: Report, before: int, total: int) -> Report:
    """A `Report` for one file of several: `before` was done in those before it, of `total` in all."""
    return lambda done, _: report(before + done, total)


@dataclass(frozen=True)
class Source:
    """One source, found and understood, of which nothing but its columns has been read yet.

    Attributes:
        name: short name for people.
        place: what was given, or the table that was found there; for messages.
        read: starts a new stream of its examples, of the rows that were left out and of what is to be remarked, in a
            fixed order, one in memory at a time; every id occurs once.
        files: the tables or shards that are read.
        complete: whether these files alone decide what is read; not so where they name images.
        holds_images: whether the images come as bytes, so that random access needs a copy of them.
        attribution: credit that must be shown with the pictures; "" if none is due.
    """

    name: str
    place: str
    read: Callable[[Report], Iterator[Item]]
    files: tuple[Path, ...] = ()
    complete: bool = False
    holds_images: bool = False
    attribution: str = ""

    def items(self, report: Report = unreported) -> Iterator[Item]:
        """The stream.

        Raises:
            UserError: it ends without one example; or the source turns out to be unreadable on the way.
        """
        first_skipped: SkippedRow | None = None
        usable = False
        for item in self.read(report):
            if isinstance(item, Example):
                usable = True
            elif first_skipped is None and isinstance(item, SkippedRow):
                first_skipped = item
            yield item
        if not usable:
            row = f"row {first_skipped.row}, " if first_skipped and first_skipped.row else ""
            why = f" ({row}{first_skipped.file or 'unnamed'}: {first_skipped.reason})" if first_skipped else ""
            raise UserError(f"{self.place} has no usable row{why}: give it at least one image with a title or a label")
