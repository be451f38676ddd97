"""Some of many, spread over all."""

from __future__ import annotations

from typing import Protocol, TypeVar

Item = TypeVar("Item", covariant=True)


class Indexed(Protocol[Item]):
    """A sequence, as far as it is needed here: a data set is one too."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Item: ...


def evenly(items: Indexed[Item], count: int) -> list[Item]:
    """`count` of the items at even distances, the first one among them; all where there are no more."""
    count = min(count, len(items))
    return [items[number * len(items) // count] for number in range(count)]
