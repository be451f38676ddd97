"""What one item of a data set is, whatever the source it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vector_universe.data.images import ImageSource


@dataclass(frozen=True)
class Example:
    """One image with everything that is said about it.

    Attributes:
        id: unique in its data set and stable between runs (the file name, or an emoji's code points).
        image: path or encoded bytes; decoded late, by `decode_image`.
        texts: title or captions; empty in label-only sets.
        labels: classes or tags; may be empty.
        held_out_texts: texts kept out of training on purpose, to be tried as unseen queries.
        ocr: text read off the picture, kept apart from `texts`.
        split: "train", "validation" or "test".
        metadata: the remaining columns of the source.
    """

    id: str
    image: ImageSource
    texts: list[str]
    labels: list[str]
    split: str = "train"
    held_out_texts: list[str] = field(default_factory=list)
    ocr: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The text that stands for the item where there is room for one: its first text, else its labels."""
        return self.texts[0] if self.texts else ", ".join(self.labels)

    @property
    def prompts(self) -> list[str]:
        """The texts that the image is learned with and asked for by: its own, or its labels where it has none."""
        return self.texts or [", ".join(self.labels)]
