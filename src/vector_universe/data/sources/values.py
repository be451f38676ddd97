"""Cells of any table as plain text: the same content reads the same, whatever format it was stored in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any


def as_text(value: Any) -> str:
    """One cell as a text with single spaces; "" for null, NaN, bytes and nested values."""
    if isinstance(value, str):
        return encodable(" ".join(value.split()))
    if value is None or isinstance(value, (bytes, bytearray, memoryview, Mapping, list, tuple)):
        return ""
    if isinstance(value, float) and math.isnan(value):
        return ""
    return encodable(" ".join(str(value).split()))


def as_texts(value: Any) -> list[str]:
    """A cell that holds one text or a list of them; empty ones are left out."""
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in as_texts(item)]
    text = as_text(value)
    return [text] if text else []


def as_metadata(value: Any) -> Any:
    """A cell as JSON can hold it: numbers and nested values stay, bytes become null, dates text."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, Mapping):
        return {encodable(str(key)): as_metadata(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_metadata(item) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return None
    return encodable(value.isoformat() if hasattr(value, "isoformat") else str(value))


def encodable(text: str) -> str:
    """The text with halves of surrogate pairs, which JSON and file names can smuggle in, made question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def unique(values: Iterable[str]) -> list[str]:
    """Each value once, in the order of first appearance."""
    return list(dict.fromkeys(values))
