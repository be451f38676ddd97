"""HEIC, the photographs of phones: read where pillow-heif is installed, which is no dependency of ours."""

from __future__ import annotations

from functools import cache

INSTALL = "HEIC; `pip install pillow-heif` lets it be read"


@cache
def heic_formats() -> tuple[str, ...]:
    """Pillow's name of the format, made known to it; none where pillow-heif is missing.

    Its wheels hold x265, which is under the GPL: whoever wants it installs it, and it is imported for such files alone.
    """
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return ()
    register_heif_opener()
    return ("HEIF",)
