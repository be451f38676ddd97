"""How a source is read, where its own names do not say it: the same options for every verb that reads data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoadOptions:
    """Columns, splits and safety of a source; the defaults suit a folder or table with columns of the usual names."""

    image_column: str | None = None
    """Column of a table that names or holds the images; unset: file_name, image, filename, …; of tar shards, what the
    image's name ends in."""
    text_columns: tuple[str, ...] = ()
    """Columns whose texts belong to the image; unset: title, caption, text, …"""
    label_columns: tuple[str, ...] = ()
    """Columns of labels; unset: labels, label, …"""
    id_column: str | None = None
    """Column that names each example; unset: the image's file name, or the column id, or the row's
    number."""
    group: str | None = None
    """Column whose equal values (a channel, a product) stay in one split."""
    group_duplicates: bool = False
    """Keep identical and nearly identical images in one split."""
    allow_outside: bool = False
    """Let a table name images that lie outside its own folder."""
