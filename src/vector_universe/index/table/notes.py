"""Small facts beside the table of a generation, a JSON file each: its sources, its map, its labels, its recall."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from vector_universe.data.skipped import SkippedRow
from vector_universe.errors import UserError
from vector_universe.index.table.place import Place

FOLDER = "notes"


@dataclass(frozen=True)
class SourceNote:
    """One data set that was indexed.

    Attributes:
        name: what its items say in their column `source`.
        location: what `load_dataset` is given to read it again.
        options: how, by `LoadOptions`.
        attribution: credit that is due.
        id_prefix: put before its ids.
        skipped: what could not be read at the last time.
        examples: titles to try as queries.
        columns: the column of the table by the name in the data, where the two differ.
    """

    name: str
    location: str
    options: dict[str, Any] = field(default_factory=dict)
    attribution: str = ""
    id_prefix: str = ""
    skipped: tuple[SkippedRow, ...] = ()
    examples: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)


def read_note(generation: Place, name: str) -> dict[str, Any] | None:
    """A note; None where there is none.

    Raises:
        UserError: it is damaged.
    """
    return generation.read_json(f"{FOLDER}/{name}.json")


def write_note(generation: Place, name: str, note: dict[str, Any]) -> None:
    """Write or replace a note as a whole."""
    generation.write(f"{FOLDER}/{name}.json", json.dumps(note, ensure_ascii=False, indent=1) + "\n")


def copy_note(generation: Place, to: Place, name: str) -> None:
    """Take a note over into another generation, as far as there is one."""
    note = read_note(generation, name)
    if note is not None:
        write_note(to, name, note)


def check_notes(generation: Place) -> None:
    """Read all notes.

    Raises:
        UserError: one is damaged.
    """
    for name in (generation / FOLDER).names():
        if name.endswith(".json"):
            read_note(generation, name.removesuffix(".json"))
    sources(generation)


def sources(generation: Place) -> dict[str, SourceNote]:
    """The sources of a generation, by name.

    Raises:
        UserError: a note is damaged.
    """
    notes = [read_note(generation, f"sources/{name.removesuffix('.json')}")
             for name in (generation / FOLDER / "sources").names() if name.endswith(".json")]
    found = []
    for note in notes:
        try:
            said = {"columns": {}} | note  # type: ignore[operator]  # notes of before do not say
            known = {field_.name: said[field_.name] for field_ in fields(SourceNote)}
            known["skipped"] = tuple(SkippedRow(**row) for row in known["skipped"])
            known["examples"] = tuple(known["examples"])
            found.append(SourceNote(**known))
        except (KeyError, TypeError) as error:
            raise UserError(f"{generation} is damaged (a note of its sources): make it again with "
                            "`vu index … --overwrite`") from error
    return {source.name: source for source in sorted(found, key=lambda source: source.name)}


def write_source(generation: Place, source: SourceNote) -> None:
    """Write or replace the note of a source."""
    slug = re.sub(r"[^\w-]+", "-", source.name)[:40] + "-" + hashlib.sha256(source.name.encode()).hexdigest()[:6]
    write_note(generation, f"sources/{slug}", asdict(source))
