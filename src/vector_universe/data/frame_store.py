"""Decoded training pictures kept as uint8, so that no picture is decoded in every epoch."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import BinaryIO

import numpy as np

from vector_universe.data.example import Example
from vector_universe.data.framing import REDUCING_GAP, RESAMPLING, Framing
from vector_universe.data.images import ImageError, ImageSource, decode_image
from vector_universe.data.skipped import SkippedRow

PREFIX, SUFFIX = "frames-", ".uint8"
LONGEST = 2  # long edge of a frame, in short edges: a random square of a panorama would show nothing of its subject


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
        self._threads = None if kept else ThreadPoolExecutor(os.cpu_count())

    @classmethod
    def build(cls, examples: Sequence[Example], framing: Framing, folder: Path, budget_bytes: int,
              advance: Callable[[int], None] | None = None) -> FrameStore:
        """Decode all images once; a broken one is skipped and listed, never fatal.

        Args:
            examples: whose images.
            framing: the model's own.
            folder: where the file of frames goes; made where missing. Files that a killed run left there are removed.
            budget_bytes: frames that take more than this are not kept, but decoded each time; 0 keeps none.
            advance: called with 1 as each image gets done, from several threads.

        Raises:
            OSError: the file cannot be written (a full disk); the error names it, and nothing of it is left.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(f"{PREFIX}*{SUFFIX}"):
            _remove(stale)
        file = _FrameFile(folder, len(examples), budget_bytes)

        def read(row: int) -> SkippedRow | None:
            try:
                file.add(row, decode_frame(examples[row].image, framing))
            except ImageError as error:
                return SkippedRow(examples[row].id, None, str(error))
            finally:
                if advance:
                    advance(1)
            return None

        try:
            with ThreadPoolExecutor(os.cpu_count()) as threads:
                results = list(threads.map(read, range(len(examples))))
            good = [row for row, result in enumerate(results) if result is None]
            kept = file if file.finish(good) else None
        except BaseException:
            file.close()
            raise
        return cls([examples[row] for row in good], [result for result in results if result is not None], framing,
                   kept, file.bytes)

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
    """Decode an image to what views are taken of: uint8 (H, W, 3), RGB.

    For a framing of fit "crop": the picture with its short edge resized to `framing.shortest_edge` or `size` and
    nothing cropped, but for the ends of a picture more than twice as long as wide. The square (S, S) in its middle,
    (H - S) // 2 from the top and (W - S) // 2 from the left, is `framing.pixels` bit for bit. For other fits: that
    square alone.

    Raises:
        ImageError: it cannot be decoded.
    """
    if framing.fit != "crop":
        return framing.pixels(source)
    size, edge = framing.size, framing.shortest_edge or framing.size
    image = decode_image(source, edge)
    width, left, across = _side(image.width, image.height, edge, size)
    height, top, down = _side(image.height, image.width, edge, size)
    box = (left * across, top * down,
           min(image.width, (left + width) * across), min(image.height, (top + height) * down))
    frame = np.array(image.resize((width, height), RESAMPLING[framing.resampling], box=box, reducing_gap=REDUCING_GAP))
    # The middle is laid in as framed: averaging blocks of pixels from another corner can move it by a grey level.
    y, x = (height - size) // 2, (width - size) // 2
    frame[y:y + size, x:x + size] = np.asarray(framing.frame(image))
    return frame


def _side(length: int, other: int, edge: int, size: int) -> tuple[int, int, float]:
    """One side of a frame: its length, its start in the resized picture, and source pixels a resized pixel."""
    resized = edge if length <= other else edge * length // other
    kept = min(resized, LONGEST * edge)
    return kept, (resized - size) // 2 - (kept - size) // 2, length / resized  # the middle square stays in the middle


class _FrameFile:
    """Frames one after the other in a file, in the order in which they got done; where each lies is in memory.

    It takes frames from several threads until they exceed the budget; then it removes itself and only counts on.
    """

    def __init__(self, folder: Path, rows: int, budget_bytes: int) -> None:
        self.bytes, self._budget, self._lock = 0, budget_bytes, Lock()
        self._starts, self._shapes = np.zeros(rows, np.int64), np.zeros((rows, 2), np.int64)
        self._flat = np.empty(0, np.uint8)
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        if budget_bytes > 0:
            number, name = tempfile.mkstemp(SUFFIX, PREFIX, folder)
            self._path, self._file = Path(name), os.fdopen(number, "w+b")

    def add(self, row: int, frame: np.ndarray) -> None:
        with self._lock:
            self._starts[row], self._shapes[row] = self.bytes, frame.shape[:2]
            self.bytes += frame.nbytes
            if self.bytes > self._budget:
                self.close()
            elif self._file:
                with self._errors_name_the_file():
                    self._file.write(frame.tobytes())

    def finish(self, rows: list[int]) -> bool:
        """Keep these rows, numbered anew from 0, and make them readable; False where frames are not kept."""
        self._starts, self._shapes = self._starts[rows], self._shapes[rows]
        if self._file is None:
            return False
        with self._errors_name_the_file():
            self._file.flush()
        if self.bytes:
            self._flat = np.asarray(np.memmap(self._file, np.uint8, "r"))
        self._file.close()
        return True

    def frame(self, row: int) -> np.ndarray:
        start, (height, width) = self._starts[row], self._shapes[row]
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
