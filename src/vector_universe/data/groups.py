"""Who belongs together: places joined by what they have in common, directly or by way of others."""

from __future__ import annotations

from collections.abc import Hashable


class Groups:
    """Places 0 … size - 1 that are joined until those who belong together have the same number."""

    def __init__(self, size: int) -> None:
        self._above = list(range(size))
        self._first: dict[Hashable, int] = {}

    def of(self, place: int) -> int:
        """The smallest place that it belongs with."""
        while self._above[place] != place:
            self._above[place] = self._above[self._above[place]]
            place = self._above[place]
        return place

    def join(self, one: int, other: int) -> None:
        """Two places belong together."""
        low, high = sorted((self.of(one), self.of(other)))
        self._above[high] = low

    def join_by(self, key: Hashable, place: int) -> None:
        """All places that are joined by one key belong together."""
        self.join(self._first.setdefault(key, place), place)

    def numbers(self) -> list[int]:
        """Of each place, in order."""
        return [self.of(place) for place in range(len(self._above))]
