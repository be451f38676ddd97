"""Train, validation and test: a function of the id alone, so that it never changes when rows are added or moved."""

from __future__ import annotations

import hashlib

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
