"""How many pairs of a random batch are no true negatives."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FalseNegatives:
    """Expected numbers of pairs in a batch of `batch_size` of `examples`; the parts overlap, so they may exceed `any`.

    Attributes:
        any: pairs that share an image, a text or the whole set of labels.
        images, texts, labels: pairs that share the one.
    """

    batch_size: int
    examples: int
    any: float
    images: float
    texts: float
    labels: float


def expected_false_negatives(images: Sequence[int], texts: Sequence[Sequence[str]], labels: Sequence[Sequence[str]],
                             batch_size: int) -> FalseNegatives:
    """The exact expectation for a batch that is drawn uniformly, without replacement.

    Any two of n examples are both in a batch of B with the probability B (B - 1) / (n (n - 1)), so the expected number
    of pairs is pairs * B (B - 1) / (n (n - 1)), with pairs counted once however much they share.

    Args:
        images: of each training example, a number that its copies share.
        texts, labels: of each training example.
        batch_size: B; at most n of it count.
    """
    examples = len(images)
    batch = min(batch_size, examples)
    share = batch * (batch - 1) / (examples * (examples - 1)) if examples > 1 else 0.0
    nothing: list[tuple[str, ...]] = [()] * examples
    alone = list(range(examples))
    return FalseNegatives(batch, examples, *(share * count for count in (
        pairs_in_common(images, texts, labels), pairs_in_common(images, nothing, nothing),
        pairs_in_common(alone, texts, nothing), pairs_in_common(alone, nothing, labels))))


def pairs_in_common(images: Sequence[int], texts: Sequence[Sequence[str]], labels: Sequence[Sequence[str]]) -> int:
    """How many pairs have the same image, any text in common, or the same set of labels (not the empty one).

    Pairs of equal labels are counted by the size of each set. The others are counted through what they share, with
    examples that share everything as one: a text of 20,000 examples of a class costs no more than one of two.
    """
    copies = Counter(images)
    alike = Counter((image if copies[image] > 1 else None, frozenset(several), frozenset(names))
                    for image, several, names in zip(images, texts, labels, strict=True))
    weights = np.array(list(alike.values()), np.int64)
    sets: dict[frozenset[str], int] = {}
    label_set = np.array([sets.setdefault(names, len(sets)) if names else -1 for _, _, names in alike], np.int64)
    shared: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, (image, several, _) in enumerate(alike):
        for key in several if image is None else (image, *several):
            shared[key].append(place)
    places = {key: np.array(owners) for key, owners in shared.items() if len(owners) > 1}
    sizes = np.bincount(label_set[label_set >= 0], weights[label_set >= 0]).astype(np.int64)
    pairs = _pairs(sizes)
    for place, (image, several, names) in enumerate(alike):
        if not names and (several or image is not None):
            pairs += _pairs(weights[place])  # those of the same labels are counted already
        keys = [key for key in (several if image is None else (image, *several)) if key in places]
        if keys:
            others = np.unique(np.concatenate([places[key] for key in keys])) if len(keys) > 1 else places[keys[0]]
            others = others[others > place]
            others = others[(label_set[others] != label_set[place]) | (label_set[others] < 0)]
            pairs += int(weights[place] * weights[others].sum())
    return pairs


def _pairs(sizes: np.ndarray) -> int:
    return int((sizes * (sizes - 1) // 2).sum())
