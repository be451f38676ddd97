"""What is wrong with single pictures, and with rows that never became an example."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vector_universe.data.doctor.findings import Case
from vector_universe.data.doctor.scan import Seen
from vector_universe.data.skipped import Remark, SkippedRow

TINY = 32  # pixels of the short side

# The beginnings of the reasons that reading gives, and what they are called here.
REASONS = (("file not found", "image_missing"), ("no file name", "image_missing"), ("no image", "image_missing"),
           ("no file can have this name", "image_missing"), ("the source holds no such file", "image_missing"),
           ("its path leaves", "image_outside"), ("a URL", "image_outside"), ("empty file", "image_empty"),
           ("too large", "image_too_large"), ("truncated", "image_truncated"), ("not an image", "image_unreadable"),
           ("unreadable", "image_unreadable"), ("cannot be", "image_unreadable"), ("no pixels", "image_unreadable"),
           ("mode ", "image_unreadable"),
           ("its split", "split_unknown"), ("duplicate id", "duplicate_id"), ("no text", "no_text"))
BUILT_IN_GAPS = ("Twemoji has no picture of it", "the font has no picture of it")  # known, and nobody's fault


def picture_cases(seen: Iterable[Seen]) -> Iterator[Case]:
    """Pictures that are broken, mended, tiny, of one colour, or of an unusual mode."""
    for one in seen:
        picture = one.picture
        if picture.fault:
            yield Case(fault_kind(picture.fault), one.id, one.place + 1, picture.fault, one.split)
            continue
        if picture.remark:
            yield _case("image_mended", one, picture.remark)
        if min(picture.width, picture.height) < TINY:
            yield _case("image_tiny", one, f"{picture.width} × {picture.height} pixels")
        if picture.uniform:
            yield _case("image_uniform", one, "one colour")
        if picture.modes:
            yield _case("image_mode", one, ", ".join(picture.modes))


def skipped_cases(skipped: Iterable[SkippedRow]) -> Iterator[Case]:
    """Rows that the source left out, by their reasons."""
    for row in skipped:
        if row.reason not in BUILT_IN_GAPS:
            file = row.file.encode("utf-8", "backslashreplace").decode()  # a name may be no Unicode
            yield Case(fault_kind(row.reason, "row_skipped"), file, row.row, row.reason)


def remark_cases(remarks: Iterable[Remark]) -> Iterator[Case]:
    """What was read otherwise than it stands."""
    return (Case(remark.kind, remark.file, remark.row, remark.what) for remark in remarks)


def fault_kind(reason: str, otherwise: str = "image_unreadable") -> str:
    """The kind of finding that a reason for leaving something out belongs to."""
    return next((kind for beginning, kind in REASONS if reason.startswith(beginning)), otherwise)


def _case(kind: str, one: Seen, detail: str) -> Case:
    return Case(kind, one.id, one.place + 1, detail, one.split, one.place)
