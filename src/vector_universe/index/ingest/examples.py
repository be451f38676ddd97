"""A few queries to suggest to somebody who has just opened a universe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_COUNT = 6
_LONGEST = 60  # characters


def example_queries(titles: Sequence[str], labels: Sequence[Sequence[str]]) -> list[str]:
    """Short titles to try first: one from each of the most frequent labels, then from all over the items."""
    counts = Counter(row[0] for row in labels if row)
    frequent = [label for label, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_COUNT]]
    of_label: dict[str, list[str]] = {label: [] for label in frequent}
    for title, row in zip(titles, labels, strict=True):
        if row and row[0] in of_label:
            of_label[row[0]].append(title)
    spread = [titles[number * len(titles) // _COUNT] for number in range(_COUNT)]
    candidates = [found[len(found) // 2] for found in of_label.values()] + spread
    short = [title for title in candidates if 0 < len(title.strip()) <= _LONGEST]
    return list(dict.fromkeys(short))[:_COUNT]
