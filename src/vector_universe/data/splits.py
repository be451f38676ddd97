"""Train, validation and test: a function of the id alone, so that it never changes when rows are added or moved.

On request, what belongs together is kept on one side: copies of a picture, and rows of one channel or product.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vector_universe.data.groups import Groups
from vector_universe.data.options import LoadOptions
from vector_universe.errors import UserError

if TYPE_CHECKING:
    from vector_universe.data.dataset import ImageTextDataset

SPLITS = ("train", "validation", "test")

_NAMES = {"train": "train", "training": "train", "validation": "validation", "valid": "validation",
          "val": "validation", "dev": "validation", "test": "test", "testing": "test"}


def split_of(id: str) -> str:
    """80 % train, 10 % validation, 10 % test, by a hash of the id: independent of order, machine and other rows."""
    bucket = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") % 100
    return "train" if bucket < 80 else "validation" if bucket < 90 else "test"


def split_named(name: str) -> str | None:
    """The split that a data set's own `split` column means ("val" → "validation"); None when it means none."""
    return _NAMES.get(name.strip().lower())


def splits_of_groups(splits: Sequence[str], values: Sequence[str | None], copies: Sequence[int]) -> list[str]:
    """The splits, with all who belong together on one side.

    Rows belong together that have the same value or are copies, directly or by way of others. Where a value is among
    them, and any value's rows lie on several sides, the split is a hash of the smallest value, as that of single rows
    is one of their ids; where all values are whole already, the source's own splits stay. Copies without a value go to
    the most held-out side that one of them has: no picture of the test split is ever trained on.

    Args:
        splits: of each row, as its source or its id has it.
        values: of the column that holds rows together; None where a row has none.
        copies: of each row, equal for copies of a picture.
    """
    groups = Groups(len(splits))
    for row, (value, copy) in enumerate(zip(values, copies, strict=True)):
        groups.join_by(copy, row)
        if value is not None:
            groups.join_by(value, row)
    members: dict[int, list[int]] = defaultdict(list)
    for row, group in enumerate(groups.numbers()):
        members[group].append(row)
    torn = any(len({splits[row] for row in rows}) > 1 and any(values[row] is not None for row in rows)
               for rows in members.values())
    assigned = list(splits)
    for rows in members.values():
        named = [value for row in rows if (value := values[row]) is not None]
        split = split_of(min(named)) if named and torn else max((splits[row] for row in rows), key=SPLITS.index)
        for row in rows:
            assigned[row] = split
    return assigned


def keep_together(dataset: ImageTextDataset, options: LoadOptions,
                  advance: Callable[[int], None] | None = None) -> ImageTextDataset:
    """The data set with its splits as `options.group` and `options.group_duplicates` ask; warns of how many moved.

    Raises:
        UserError: no row has the column.
    """
    from vector_universe.data.duplicates import duplicate_groups

    values: list[str | None] = [None] * len(dataset)
    if options.group is not None:
        metadata = [json.loads(row) if row else {} for row in dataset.table["metadata"]]
        columns = sorted({column for row in metadata for column in row})
        if options.group not in columns:
            raise UserError(f"{dataset.source} has no column {options.group} to group by: "
                            + (f"it has {', '.join(columns)}" if columns else "it has none besides those in use"))
        values = [str(row[options.group]) if row.get(options.group) not in (None, "") else None for row in metadata]
    copies = list(range(len(dataset)))
    if options.group_duplicates:
        copies = duplicate_groups((example.image for example in dataset), advance=advance)
    before = list(dataset.table["split"])
    splits = splits_of_groups(before, values, copies)
    if moved := sum(old != new for old, new in zip(before, splits, strict=True)):
        what = " and ".join([f"equal {options.group}"] * (options.group is not None)
                            + ["copies"] * options.group_duplicates)
        warnings.warn(f"{moved} of {len(splits)} images of {dataset.name} were moved to another split, to keep {what} "
                      "on one side", stacklevel=2)
    return dataset.with_splits(splits)
