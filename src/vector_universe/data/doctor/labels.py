"""What is wrong with labels: rare ones, two spellings of one, and images that have none."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from vector_universe.data.doctor.findings import Case
from vector_universe.data.doctor.scan import Seen
from vector_universe.data.splits import SPLITS

RARE = 5  # images


def label_cases(seen: Sequence[Seen]) -> Iterator[Case]:
    """Labels with few images or several spellings, and examples without a label where others have some."""
    counts = label_counts(seen)
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for label in counts:  # the most frequent first
        spellings["".join(label.casefold().split())].append(label)
    for usual, *others in spellings.values():
        for label in others:
            yield Case("label_spellings", label, None,
                       f"“{label}” ({counts[label]:,} images) beside “{usual}” ({counts[usual]:,})")
    for label, count in reversed(counts.items()):
        if count < RARE:
            yield Case("label_rare", label, None, f"{count} image{'s' if count > 1 else ''}")
    if counts:
        for one in seen:
            if not one.labels:
                yield Case("no_labels", one.id, one.place + 1, "no label", one.split,
                           None if one.picture.fault else one.place)


def split_cases(seen: Sequence[Seen]) -> Iterator[Case]:
    """Splits that are empty; to have no training image at all is an error."""
    sizes = split_sizes(seen)
    for split, size in sizes.items():
        if not size:
            yield Case("split_without_training" if split == SPLITS[0] else "split_empty", split, None, "no image")


def label_counts(seen: Sequence[Seen]) -> dict[str, int]:
    """How many images each label has, the most frequent first."""
    return dict(Counter(label for one in seen for label in dict.fromkeys(one.labels)).most_common())


def together(seen: Sequence[Seen], labels: Sequence[str]) -> list[list[int]]:
    """How many images have both of two labels; on the diagonal, the one label."""
    place = {label: number for number, label in enumerate(labels)}
    counts = [[0] * len(labels) for _ in labels]
    for one in seen:
        own = [place[label] for label in dict.fromkeys(one.labels) if label in place]
        for first in own:
            for second in own:
                counts[first][second] += 1
    return counts


def split_sizes(seen: Sequence[Seen]) -> dict[str, int]:
    """How many examples each split has."""
    sizes = Counter(one.split for one in seen)
    return {split: sizes[split] for split in SPLITS}
