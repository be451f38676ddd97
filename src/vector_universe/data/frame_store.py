"""Decoded training pictures kept as uint8, so that no picture is decoded in every epoch."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from vector_universe.data.example import Example
from vector_universe.data.framing import Framing
from vector_universe.data.images import ImageError, ImageSource
from vector_universe.data.read_ahead import cores, read_ahead
from vector_universe.data.skipped import SkippedRow

PREFIX, SUFFIX = "frames-", ".uint8"


class FrameStore:
    """Frames of pictures, from a file mapped into memory or decoded when asked for: the same bits either way.

    A frame is what views are taken of (`decode_frame`). Build a store with `build`, use it in a `with` statement or
    `close` it: its file is removed.

    Attributes:
        examples: those whose image could be decoded, in order; a row is a place in this list.
        skipped: the others, with the reason.
        cached: whether the frames are kept.
        bytes: what all frames take, kept or not.
    """

    def __init__(self, examples: list[Example], skipped: list[SkippedRow], framing: Framing, kept: _FrameFile | None,
                 size_bytes: int) -> None:
        self.examples, self.skipped, self.framing = examples, skipped, framing
        self.cached, self.bytes = kept is not None, size_bytes
        self._kept = kept
        self._threads = None if kept else ThreadPoolExecutor(cores())

    @classmethod
    def build(cls, examples: Sequence[Example], framing: Framing, folder: Path, budget_bytes: int,
              advance: Callable[[int], None] | None = None) -> FrameStore:
        """Decode all images once; a broken one is skipped and listed, never fatal.

        Args:
            examples: whose images.
            framing: the model's own.
            folder: where the file of frames goes; made where missing. Files that a killed run left there are removed.
            budget_bytes: frames that take more than this are not kept, but decoded each time; 0 keeps none.
            advance: called with 1 as each image gets done.

        Raises:
            OSError: the file cannot be written (a full disk); the error names it, and nothing of it is left.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(f"{PREFIX}*{SUFFIX}"):
            _remove(stale)
        file = _FrameFile(folder, budget_bytes)

        kept, skipped = [], []
        try:
            for row, (example, frame) in enumerate(read_ahead(lambda one: decode_frame(one.image, framing), examples)):
                if isinstance(frame, ImageError):
                    skipped.append(SkippedRow(example.id, None, str(frame)))
                else:
                    kept.append(row)
                    file.add(frame)
                if advance:
                    advance(1)
            readable = file.finish()
        except BaseException:
            file.close()
            raise
        return cls([examples[row] for row in kept], skipped, framing, file if readable else None, file.bytes)

    def frames(self, rows: Sequence[int]) -> list[np.ndarray]:
        """The frames uint8 (H, W, 3) of these rows of `examples`; not to be written to.

        Raises:
            ImageError: a picture that was whole when the store was built no longer is.
        """
        if self._kept:
            return [self._kept.frame(row) for row in rows]
        if self._threads is None:
            raise ValueError("this store of frames is closed")
        return list(self._threads.map(lambda row: decode_frame(self.examples[row].image, self.framing), rows))

    def close(self) -> None:
        """Remove the file; frames handed out before stay readable."""
        if self._kept:
            self._kept.close()
        if self._threads:
            self._threads.shutdown()
        self._kept = self._threads = None

    def __enter__(self) -> FrameStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()


def decode_frame(source: ImageSource, framing: Framing) -> np.ndarray:
    """Decode an image to what views are taken of, uint8 (H, W, 3), RGB: see `Framing.frame`.

    Raises:
        ImageError: it cannot be decoded.
    """
    return framing.frame(framing.decode(source))


class _FrameFile:
    """Frames one after the other in a file; where each lies is in memory.

    It takes frames until they exceed the budget; then it removes itself and only counts on.
    """

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self.bytes, self._budget = 0, budget_bytes
        self._places: list[tuple[int, int, int]] = []  # start, height, width
        self._flat = np.empty(0, np.uint8)
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        if budget_bytes > 0:
            number, name = tempfile.mkstemp(SUFFIX, PREFIX, folder)
            self._path, self._file = Path(name), os.fdopen(number, "w+b")

    def add(self, frame: np.ndarray) -> None:
        self._places.append((self.bytes, *frame.shape[:2]))
        self.bytes += frame.nbytes
        if self.bytes > self._budget:
            self.close()
        elif self._file:
            with self._errors_name_the_file():
                self._file.write(frame.tobytes())

    def finish(self) -> bool:
        """Make the frames readable, numbered from 0; False where they are not kept."""
        if self._file is None:
            return False
        with self._errors_name_the_file():
            self._file.flush()
        if self.bytes:
            self._flat = np.asarray(np.memmap(self._file, np.uint8, "r"))
        self._file.close()
        return True

    def frame(self, row: int) -> np.ndarray:
        start, height, width = self._places[row]
        return self._flat[start:start + height * width * 3].reshape(height, width, 3)

    def close(self) -> None:
        self._flat = np.empty(0, np.uint8)
        if self._file:
            with contextlib.suppress(OSError):  # what is still buffered for a full disk
                self._file.close()
        if self._path:
            _remove(self._path)
        self._file = self._path = None

    @contextlib.contextmanager
    def _errors_name_the_file(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from None


def _remove(path: Path) -> None:
    """Remove a file if it may be; the mapping of a store that still reads it outlives its name."""
    with contextlib.suppress(OSError):
        path.unlink()
