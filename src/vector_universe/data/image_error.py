"""The one error of an image that cannot be read."""

from __future__ import annotations

LONGEST_REASON = 100


class ImageError(ValueError):
    """An image cannot be read; the message is the reason, in a few words ("truncated", "empty file"…)."""


def few_words(error: Exception) -> str:
    """What a decoder says of a damaged file, as a part of one line; its kind where it says nothing."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= LONGEST_REASON else words[:LONGEST_REASON - 1] + "…"
