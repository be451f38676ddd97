"""One commit for rows that were written beside the table, and never an item twice."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vector_universe.errors import UserError
from vector_universe.index.scale.parts import Part
from vector_universe.index.table.item_table import TABLE, explained
from vector_universe.index.table.place import Place

if TYPE_CHECKING:
    import pyarrow as pa
    from lance import LanceDataset

_ATTEMPTS = 30


def append(place: Place, parts: Sequence[Part]) -> tuple[list[Part], set[str]]:
    """Make the rows of parts rows of the table in `place`: all at once, after those that are there.

    The table is looked through for their ids first. Lance's own append would let in what another writer has committed
    since then; an operation that names every fragment (Merge) is refused where the table is no longer the one that was
    looked at, and is tried again.

    Args:
        place: of the generation.
        parts: without an item twice among them.

    Returns:
        The parts that are in the table now, and the ids of the others' items that somebody else has written: a part
        of which one item is there already is left out as a whole.

    Raises:
        UserError: the table cannot be written; it is as it was.
    """
    import lance
    import pyarrow as pa

    uri, options = f"{place}/{TABLE}.lance", place.storage_options
    wanted = pa.array([id for part in parts for id in part.ids], pa.string())
    with explained(place):
        for attempt in range(_ATTEMPTS):
            dataset = lance.dataset(uri, storage_options=options)
            there = _there(dataset, wanted)
            taken = [part for part in parts if there.isdisjoint(part.ids)]
            added = [lance.FragmentMetadata.from_json(json.dumps(fragment))
                     for part in taken for fragment in part.fragments]
            if not added:
                return taken, there
            whole = [fragment.metadata for fragment in dataset.get_fragments()] + added  # Lance numbers the new
            try:
                lance.LanceDataset.commit(uri, lance.LanceOperation.Merge(whole, dataset.lance_schema),
                                          read_version=dataset.version, storage_options=options)
                return taken, there
            except Exception as error:  # CommitConflictError, or an OSError that says so
                if "conflict" not in str(error).lower():
                    raise
            time.sleep(random.uniform(0.05, 0.2) * (attempt + 1))
    raise UserError(f"{place} is written by others all the time, so what was embedded is not in it yet: run the same "
                    "command again, which goes on from there")


def is_whole(place: Place, part: Part) -> bool:
    """Whether the files of a part are still there: Lance clears away what nobody has committed for a week."""
    return all(place.size(f"{TABLE}.lance/data/{file['path']}") for fragment in part.fragments
               for file in fragment["files"])


def _there(dataset: LanceDataset, wanted: pa.Array) -> set[str]:
    """Which of these ids the table has."""
    import pyarrow.compute as pc

    found: set[str] = set()
    for batch in dataset.to_batches(columns=["id"]):
        ids = batch["id"]
        found.update(ids.filter(pc.is_in(ids, value_set=wanted)).to_pylist())
    return found
