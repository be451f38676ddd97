"""Calls of concurrent threads made one: who comes while a run is under way is served by the next."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Condition
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Found = TypeVar("Found")


class Combining(Generic[Asked, Found]):
    """A function of many arguments at once, called with one at a time by many threads.

    Nothing waits for company: a call that finds a run free begins it at once. Those that come meanwhile gather,
    and one of them does the next run for all ("flat combining": Hendler, Incze, Shavit and Tzafrir 2010). Where a run
    of several raises, each of them is run by itself, so that an error reaches the caller whose argument caused it.

    Args:
        run: gives one result for each argument, in order.
        most: the weight of one run at most; a heavier argument is run alone.
        weight: of one argument; 1 each by itself.
        at_once: how many runs may be under way.
        observe: called after each run with how many calls it served and the seconds that the first of them waited.
    """

    def __init__(self, run: Callable[[Sequence[Asked]], Sequence[Found]], most: int,
                 weight: Callable[[Asked], int] = lambda _: 1, at_once: int = 1,
                 observe: Callable[[int, float], None] = lambda calls, waited: None) -> None:
        self._run, self._most, self._weight, self._at_once, self._observe = run, most, weight, at_once, observe
        self._changed = Condition()
        self._waiting: list[_Call[Asked, Found]] = []
        self._running = 0

    def __call__(self, asked: Asked) -> Found:
        """The result for one argument; raises what the function raises for it."""
        call: _Call[Asked, Found] = _Call(asked)
        with self._changed:
            self._waiting.append(call)
            while not call.is_done and (self._running == self._at_once or self._waiting[:1] != [call]):
                self._changed.wait()
            if call.is_done:
                return call.result()
            self._running += 1
            together = self._taken()
            self._changed.notify_all()  # another run may be free for the next
        try:
            self._serve(together)
        finally:
            with self._changed:
                self._running -= 1
                for one in together:
                    one.is_done = True
                self._changed.notify_all()
        return call.result()

    def _taken(self) -> list[_Call[Asked, Found]]:
        """The first of those that wait, and as many after it as fit in one run."""
        count, load = 1, self._weight(self._waiting[0].asked)
        while count < len(self._waiting) and (load := load + self._weight(self._waiting[count].asked)) <= self._most:
            count += 1
        together, self._waiting = self._waiting[:count], self._waiting[count:]
        return together

    def _serve(self, together: list[_Call[Asked, Found]]) -> None:
        waited = time.monotonic() - together[0].since
        try:
            found = self._run([one.asked for one in together])
            for one, its in zip(together, found, strict=True):
                one.found = [its]
        except BaseException as error:
            if len(together) == 1:
                together[0].error = error
            else:
                for one in together:
                    self._serve([one])
                return
        self._observe(len(together), waited)


class _Call(Generic[Asked, Found]):
    """One argument on its way to a result."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.since = time.monotonic()
        self.is_done = False
        self.found: list[Found] = []
        self.error: BaseException | None = None

    def result(self) -> Found:
        if self.error is not None:
            raise self.error
        return self.found[0]
