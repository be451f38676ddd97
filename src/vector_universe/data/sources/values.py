"""Cells of any table as plain text: the same content reads the same, whatever format it was stored in."""

from __future__ import annotations

import ast
import html
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_LIST = 100_000  # characters of a cell that is looked at as a list

# Entities with their semicolon alone: "AT&T" and "a=1&copy=2" are no entities. What programs write for "no value".
_ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_BLANKS = frozenset({"", "nan", "none", "null", "n/a", "na", "nil", "-", "–", "?"})
# Escape, bell, NUL and the like, and what turns the direction of writing: they act on a terminal or a page.
_CONTROLS = re.compile("[\\x00-\\x08\\x0e-\\x1b\\x7f-\\x84\\x86-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ufeff]")
_NUMPY_LIST = re.compile(r"""\[\s*(?:'[^']*'|"[^"]*")(?:\s+(?:'[^']*'|"[^"]*"))+\s*\]""")
_NAMES = ("name", "label", "title", "caption", "text")  # of a nested value: {"id": 3, "name": "cat"}
_BETWEEN_LABELS = re.compile("[,|;]")
_LIST_ENDS = {"]": "[", ")": "(", "}": "{"}
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")


def as_text(value: Any) -> str:
    """One cell as a text: single spaces, one Unicode form (NFC), HTML entities decoded once, no control characters;
    "" for null, NaN, bytes and nested values."""
    if isinstance(value, str):
        return _plain(_decode_entities(value) if "&" in value else value)
    if value is None or isinstance(value, (bytes, bytearray, memoryview, Mapping, list, tuple)):
        return ""
    if isinstance(value, float) and math.isnan(value):
        return ""
    return as_text(str(value))


def as_name(value: Any) -> str:
    """The name of a file as it stands: each space and each letter's form may matter."""
    if isinstance(value, str):
        return value if value.isascii() else encodable(value)
    return as_text(value)


def as_texts(value: Any) -> list[str]:
    """A cell that holds one text or a list of them, also one written out as JSON or Python would; empty ones are left
    out, and of a nested value its name is taken."""
    if isinstance(value, str):
        written = written_list(value) if value.rstrip()[-1:] in _LIST_ENDS else None
        if written is None or not all(isinstance(item, str) for item in written):
            text = as_text(value)
            return [text] if text else []
        value = written
    if isinstance(value, Mapping):
        value = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in as_texts(item)]
    text = as_text(value)
    return [text] if text else []


def as_labels(value: Any) -> list[str]:
    """A cell of labels: a list, one written out, or texts between `,`, `|` and `;`."""
    if isinstance(value, str):
        written = written_list(value) if value.rstrip()[-1:] in _LIST_ENDS else None
        if written is None or (written and not as_texts(written)):  # a list of something else must not be lost
            value = _decode_entities(value) if "&" in value else value  # first: an entity ends with what parts labels
            return [label for label in map(_plain, _BETWEEN_LABELS.split(value)) if label]
        value = written
    return as_texts(value)


def written_list(text: str) -> list[Any] | None:
    """The list that a text writes out, as JSON, Python or numpy do; None if it is none."""
    text = text.strip()
    if text[-1:] not in _LIST_ENDS or text[:1] not in _LIST_ENDS.values() or len(text) > LONGEST_LIST:
        return None
    if _NUMPY_LIST.fullmatch(text):  # which Python would read as one text
        return [single or double for single, double in _QUOTED.findall(text)]
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, (list, tuple)):
            return list(found)
        return sorted(found, key=str) if isinstance(found, (set, frozenset)) else None
    return None


def is_blank(text: str) -> bool:
    """Whether a cell says in words that it holds nothing: "nan", "N/A", "-"."""
    return text.strip().casefold() in _BLANKS


def as_metadata(value: Any) -> Any:
    """A cell as JSON can hold it: numbers and nested values stay, bytes become null, dates text."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, Mapping):
        return {_plain(str(key)): as_metadata(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_metadata(item) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return None
    return encodable(value.isoformat() if hasattr(value, "isoformat") else str(value))


def encodable(text: str) -> str:
    """The text with halves of surrogate pairs, which JSON and file names can smuggle in, made question marks."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "replace").decode()
    return text


def unique(values: Iterable[str]) -> list[str]:
    """Each value once, in the order of first appearance."""
    return list(dict.fromkeys(values))


def _plain(text: str) -> str:
    if not text.isprintable():
        text = _CONTROLS.sub("", text)
    text = " ".join(text.split())
    return text if text.isascii() else unicodedata.normalize("NFC", encodable(text))


def _decode_entities(text: str) -> str:
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text)
