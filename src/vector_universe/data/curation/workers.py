"""Units in several processes, which end with the one that started them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Any, TypeVar

from vector_universe.data.curation.shards import Unit
from vector_universe.errors import UserError
from vector_universe.progress import StageProgress

Result = TypeVar("Result")


class Workers:
    """Some processes, or this one alone.

    Args:
        processes: how many; 1 for none but this.
        progress: told (stage, done, total).
    """

    def __init__(self, processes: int, progress: StageProgress) -> None:
        self._progress = progress
        self._pool = ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent) if processes > 1 else None

    def each(self, stage: str, function: Callable[..., Result], units: Sequence[Unit],
             *arguments: Any) -> Iterator[Result]:
        """function(unit, *arguments) of every unit, in their order."""
        calls = [(unit, *arguments) for unit in units]
        yield from self.calls(stage, function, calls)

    def calls(self, stage: str, function: Callable[..., Result], calls: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
        """function(*call) of every call, in their order."""
        self._progress(stage, 0, len(calls))
        results = (function(*call) for call in calls) if self._pool is None else self._pool.map(
            function, *zip(*calls, strict=True))
        try:
            for number, result in enumerate(results, 1):
                self._progress(stage, number, len(calls))
                yield result
        except BrokenProcessPool:
            raise UserError("a process was killed, for want of memory perhaps: the same command goes on; "
                            "--processes 1 needs the least") from None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """A parent that is killed leaves no worker behind."""
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
