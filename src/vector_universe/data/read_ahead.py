"""Read in threads ahead of who asks, in order: what every pass over pictures goes by."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from vector_universe.data.image_error import ImageError

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 64


def read_ahead(read: Callable[[Item], Result], items: Iterable[Item],
               ahead: int = AHEAD) -> Iterator[tuple[Item, Result | ImageError]]:
    """Each item with what `read` makes of it, in the order of `items`; a broken image is a result, never the end.

    Decoders release the interpreter's lock, so threads use every core. At most `ahead` results wait in memory.

    Args:
        read: called in threads; an `ImageError` that it raises is handed out in place of a result, any other error is
            raised when its item is due.
        items: taken one by one as there is room, so they need not fit in memory.
        ahead: how many items are read, or being read, before the one that is due.
    """
    threads = ThreadPoolExecutor(cores())
    try:
        waiting: deque[tuple[Item, Future[Result | ImageError]]] = deque()
        for item in items:
            waiting.append((item, threads.submit(_attempt, read, item)))
            if len(waiting) > ahead:
                item, due = waiting.popleft()
                yield item, due.result()
        while waiting:
            item, due = waiting.popleft()
            yield item, due.result()
    finally:  # also where the reader leaves early
        threads.shutdown(cancel_futures=True)


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _attempt(read: Callable[[Item], Result], item: Item) -> Result | ImageError:
    try:
        return read(item)
    except ImageError as error:
        return error
