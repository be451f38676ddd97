"""Texts and queries in one spelling, so that a match does not hang on case, punctuation or spaces.

The spelling: Unicode NFKC, lower case, and every run of characters that are no letters, marks or numbers becomes one
space; none at the ends. "Cat's   eye,\tNGC-6543!" is "cat s eye ngc 6543".
"""

from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

END = 10  # stands after every text of a haystack; a normalised text has no such byte
_SPACE = 32
_ASCII = np.array([ord(chr(byte).lower()) if byte >= 128 or chr(byte).isalnum() else _SPACE for byte in range(128)]
                  + list(range(128, 256)), dtype=np.uint8)


def normalise(texts: pa.Array) -> Any:
    """The definition: an array of strings in, their spelling out."""
    # Arrow's own utf8_normalize leaves NFKC decomposed
    composed = pa.array([unicodedata.normalize("NFKC", text) for text in texts.to_pylist()], pa.string())
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(pc.utf8_lower(composed), r"[^\pL\pM\pN]+", " "))


def haystack(texts: pa.Array) -> np.ndarray:
    """All texts normalised in one string of bytes: a space, the text, a space, `END`, and so on.

    No query that begins and ends with a letter, or with one space, can match across two texts. Plain ASCII, which is
    most of what there is, takes a way of its own through a table of 256 bytes to the same result.

    Args:
        texts: an array of strings without nulls, less than 2 GB.
    """
    plain = pc.string_is_ascii(texts)
    if not pc.all(plain, min_count=0).as_py():
        other = pc.invert(plain)
        texts = pc.replace_with_mask(texts, other, normalise(texts.filter(other)))
    lengths = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    one = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    joined = pc.binary_join(one, " \n ")[0].as_buffer()
    raw = np.full(joined.size + 3, _SPACE, dtype=np.uint8)
    raw[1:-2] = np.frombuffer(joined, dtype=np.uint8)
    spelled = _ASCII[raw]
    spelled[np.cumsum(lengths + 3) - 1] = END
    space = spelled == _SPACE
    again = space.copy()
    again[0] = False
    again[1:] &= space[:-1]
    return spelled[~again]
