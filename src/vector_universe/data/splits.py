"""Train, validation and test: a function of the id alone, so that it never changes when rows are added or moved.

On request, what belongs together is kept on one side: copies of a picture, and rows of one channel or product.
"""

from __future__ import annotations

import hashlib
import json
import re
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

# As Hugging Face reads them, and what is held out by its name.
_NAMES = {"train": ("train", "training"), "validation": ("validation", "valid", "val", "dev"),
          "test": ("test", "testing", "eval", "evaluation", "holdout", "hold-out", "hold_out", "hold out", "heldout",
                   "held-out", "held_out", "held out")}
_SPLIT_OF = {name: split for split, names in _NAMES.items() for name in names}
# The name, then nothing, a number, one capital (testA), or whatever follows a sign: val2017, test-A, dev_clean.
_NAMED = re.compile(rf"((?i:{'|'.join(sorted(_SPLIT_OF, key=len, reverse=True))}))([0-9]+|[A-Z])?([^A-Za-z0-9].*)?",
                    re.DOTALL)


def split_of(id: str) -> str:
    """80 % train, 10 % validation, 10 % test, by a hash of the id: independent of order, machine and other rows."""
    bucket = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") % 100
    return "train" if bucket < 80 else "validation" if bucket < 90 else "test"


def split_named(name: str) -> str | None:
    """The split that a name means ("val2017" → "validation", "eval" → "test"); None when it means none."""
    found = _NAMED.fullmatch(name.strip())
    if found is None:
        return None
    split = _SPLIT_OF[found[1].lower()]
    others = {_SPLIT_OF.get(word) for word in re.split(r"[^a-z]+", (found[3] or "").lower())} - {None}
    return None if "train" in {split} ^ others and others else split  # "train_val" is two in one



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
