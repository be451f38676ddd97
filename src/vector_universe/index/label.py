"""`vu label`: labels of one's own for every item of a universe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vector_universe.errors import UserError
from vector_universe.index.labels.labelling import NOTE, Labelling, label_columns
from vector_universe.index.labels.zero_shot_labels import check_labels
from vector_universe.index.search.neighbours import unit
from vector_universe.index.table.notes import write_note
from vector_universe.index.universe import Universe
from vector_universe.progress import StageProgress


def label_universe(location: str | Path, labels: Sequence[str], progress: StageProgress | None = None,
                   ) -> dict[str | None, int]:
    """Give every item of a universe the best of these labels, in place of earlier ones.

    Args:
        location: its folder, or s3://bucket/folder.
        labels: two or more.
        progress: called with (stage, done, total).

    Returns:
        How many items have each label, most first; None stands for those that none fits.

    Raises:
        UserError: fewer than two labels, one is blank or there twice, or there is no such universe.
    """
    if len(labels) < 2:
        raise UserError("to label is to choose: give two labels or more")
    check_labels(labels)
    universe = Universe.open(location)
    table, labelling = universe.table, Labelling(tuple(labels))
    if progress is not None:
        progress("labelling", 0, 1)
    _, half_ND = table.vectors("image")
    columns = label_columns(universe.model, unit(half_ND), labelling)
    rows = table.scan(["id"], "image IS NOT NULL", row_ids=True)
    table.merge_columns(rows["id"], columns)
    write_note(table.place, NOTE, labelling.to_json())
    table.refresh()
    table.optimize()
    if progress is not None:
        progress("labelling", 1, 1)
    return dict(Counter(columns["predicted_label"]).most_common())
