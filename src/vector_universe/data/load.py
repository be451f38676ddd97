"""`load_dataset`: the one door through which every source comes in."""

from __future__ import annotations

from pathlib import Path

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.options import LoadOptions

DEFAULT = LoadOptions()


def load_dataset(source: str | Path, options: LoadOptions = DEFAULT) -> ImageTextDataset:
    """Load a data set.

    Args:
        source: a folder with `images/` + `metadata.csv` (or Flickr8k's `captions.txt`), or the name of a built-in:
            "emoji" (Twemoji pictures) or "emoji-noto" (the same by Noto's artists, from the installed font).
        options: columns, splits and safety.

    Raises:
        UserError: the source cannot be used; the message says what to do.
    """
    if source == "emoji":
        from vector_universe.data.emoji import load_emoji
        return load_emoji()
    if source == "emoji-noto":
        from vector_universe.data.emoji import load_noto_emoji
        return load_noto_emoji()
    from vector_universe.data.folder import load_folder
    return load_folder(Path(source))
