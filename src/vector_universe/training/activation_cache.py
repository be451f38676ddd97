"""What frozen layers give, kept on disk from the first epoch on: reading it back is faster than computing it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

FILE_NAME = "activations.bin"


class ActivationCache:
    """Tensors by (row, view) in one flat file, of any shapes and of one dtype, bit by bit as they were put.

    The file lives as long as the object: one that a kill left in the folder is removed, and an entry counts only once
    it is written whole. Use it in a `with` statement, from one thread at a time.

    Args:
        folder: made if need be; each cache needs one of its own.
        budget_bytes: how large the file may grow.

    Attributes:
        path: the file.
        full: whether the budget is spent; from then on `put` keeps nothing more.
        nbytes: how much the file holds.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, folder: str | Path, budget_bytes: int) -> None:
        self.path = Path(folder) / FILE_NAME
        self.full = False
        self.nbytes = 0
        self._budget = budget_bytes
        self._dtype: torch.dtype | None = None
        self._entries: dict[tuple[int, int], tuple[int, tuple[int, ...]]] = {}  # where it starts, its shape
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._file: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)

    def missing(self, rows: Sequence[int], view: int) -> list[int]:
        """Places in `rows` of those that are not there yet."""
        return [place for place, row in enumerate(rows) if (row, view) not in self._entries]

    def put(self, rows: Sequence[int], view: int, tensors: Sequence[Tensor]) -> None:
        """Keep a tensor for each row; what is there already stays, and what is past the budget is left out.

        Raises:
            OSError: the disk is full or fails, with the file's name; entries put before can still be read.
            ValueError: a tensor has another dtype than the first one.
        """
        for row, tensor in zip(rows, tensors, strict=True):
            if (row, view) in self._entries:
                continue
            self._dtype = self._dtype or tensor.dtype
            if tensor.dtype != self._dtype:
                raise ValueError(f"a tensor of {tensor.dtype} for a cache of {self._dtype}")
            self.full = self.full or self.nbytes + tensor.numel() * tensor.element_size() > self._budget
            if self.full:
                return
            stored = tensor.detach().cpu().contiguous()
            self._write(_bytes_of(stored))
            self._entries[row, view] = self.nbytes, tuple(stored.shape)  # last: only a whole entry is ever found
            self.nbytes += stored.numel() * stored.element_size()

    def get(self, rows: Sequence[int], view: int) -> list[Tensor]:
        """The tensors of `rows`, each in memory of its own.

        Raises:
            KeyError: one of them is not there.
            OSError: the file cannot be read, with its name.
        """
        found = []
        for row in rows:
            start, shape = self._entries[row, view]
            tensor = torch.empty(shape, dtype=self._dtype)
            self._read(_bytes_of(tensor), start)
            found.append(tensor)
        return found

    def close(self) -> None:
        """Remove the file; what it held is gone."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._entries.clear()
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> ActivationCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _write(self, data: memoryview) -> None:
        with self._named_errors():
            done = 0
            while done < len(data):  # a disk that is nearly full takes a part, then fails
                done += os.pwrite(self._descriptor(), data[done:], self.nbytes + done)

    def _read(self, data: memoryview, start: int) -> None:
        with self._named_errors():
            done = 0
            while done < len(data):
                count = os.preadv(self._descriptor(), [data[done:]], start + done)
                if not count:
                    raise OSError(errno.EIO, "the file is shorter than it was")
                done += count

    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError("the cache is closed")
        return self._file

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """System calls on an open file leave its name out of their errors."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def _bytes_of(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor, whatever its type (numpy has no bfloat16)."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data
