"""Sources of images with texts and labels, read into one data set of examples."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vector_universe.data.dataset import ImageTextDataset
    from vector_universe.data.example import Example
    from vector_universe.data.framing import Framing
    from vector_universe.data.images import FileSlice, ImageError, decode_image
    from vector_universe.data.load import load_dataset
    from vector_universe.data.ocr import read_ocr
    from vector_universe.data.options import LoadOptions
    from vector_universe.data.pixels import Pixels, read_pixels
    from vector_universe.data.skipped import SkippedRow, write_skipped
    from vector_universe.data.sources import stream_examples

__all__ = ["Example", "FileSlice", "Framing", "ImageError", "ImageTextDataset", "LoadOptions", "Pixels", "SkippedRow",
           "decode_image", "load_dataset", "read_ocr", "read_pixels", "stream_examples", "write_skipped"]

_HOMES = {"ImageTextDataset": "dataset", "Example": "example", "Framing": "framing", "FileSlice": "images",
          "ImageError": "images", "decode_image": "images", "load_dataset": "load", "read_ocr": "ocr",
          "LoadOptions": "options", "Pixels": "pixels", "read_pixels": "pixels", "SkippedRow": "skipped",
          "write_skipped": "skipped", "stream_examples": "sources"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"vector_universe.data.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
