"""How many requests may wait for the model: beyond, 503 at once rather than a queue that grows until all time out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException

MOST = 64  # several full runs of the model: a second or two on two cores
RETRY_AFTER = 1  # seconds


class Admission:
    """Counts the requests in flight that need the model or all vectors; used in the event loop alone.

    Attributes:
        in_flight: how many there are now.
        refused: how many were sent away.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.in_flight = self.refused = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those in flight.

        Raises:
            HTTPException: 503 with Retry-After: there is none left.
        """
        if self.in_flight >= self._most:
            self.refused += 1
            raise HTTPException(503, f"{self._most} requests are waiting already: try again in {RETRY_AFTER} s",
                                {"Retry-After": str(RETRY_AFTER)})
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
