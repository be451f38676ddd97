"""Pairs of a batch that are no true negatives: copies of an image, equal texts, and examples of the same labels.

What is the same picture or the same text is a positive; what shares labels can be left out of the comparison. Both are
told by numbers that each example has by itself, so that they are the same in every process and however batches fall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from vector_universe.data.groups import Groups
from vector_universe.losses.label_sets import LabelSets
from vector_universe.losses.ring import Ring
from vector_universe.training.config import LeaveOut

_CHUNK = 1024  # rows whose comparisons are written out at once


def text_numbers(texts: Sequence[Sequence[str]], same_image: Sequence[int]) -> dict[str, int]:
    """A number for each text, equal where two texts are right for the same images.

    Equal texts have one number; so have all texts of images that are copies of each other. The several captions of one
    image that has no copy keep their own: they never meet in a batch.

    Args:
        texts: of each example.
        same_image: of each example, equal for copies of an image.
    """
    numbers: dict[str, int] = {}
    for several in texts:
        for text in several:
            numbers.setdefault(text, len(numbers))
    groups, copies = Groups(len(numbers)), Counter(same_image)
    for several, image in zip(texts, same_image, strict=True):
        for text in several if copies[image] > 1 else ():
            groups.join_by(image, numbers[text])
    return {text: groups.of(number) for text, number in numbers.items()}


def label_set_numbers(labels: Sequence[Sequence[str]]) -> list[int]:
    """A number for each example, equal for equal sets of labels; -1 where there are none."""
    numbers: dict[frozenset[str], int] = {}
    return [numbers.setdefault(frozenset(several), len(numbers)) if several else -1 for several in labels]


def families(texts: Sequence[Sequence[str]], labels: Sequence[Sequence[str]], same_image: Sequence[int]
             ) -> list[tuple[int, int]]:
    """(labels, group) of each example, for `order_apart`.

    Those of one group are copies or have a text in common, directly or by way of others; they count by the labels of
    the first of them. An example without labels is a set of labels of its own.
    """
    groups = Groups(len(texts))
    for place, (several, image) in enumerate(zip(texts, same_image, strict=True)):
        groups.join_by(image, place)
        for text in several:
            groups.join_by(text, place)
    own = label_set_numbers(labels)
    return [(own[place] if own[place] >= 0 else len(texts) + place, place) for place in groups.numbers()]


class LabelMask:
    """Finds the pairs of a batch that share labels.

    Args:
        labels: of each example, as names.
        leave_out: "same_labels" for pairs with the same set of labels, "any_label" for pairs with one in common.
    """

    def __init__(self, labels: Sequence[Sequence[str]], leave_out: LeaveOut) -> None:
        self.leave_out = leave_out
        names = sorted({label for several in labels for label in several})
        place = {name: number for number, name in enumerate(names)}
        numbers = label_set_numbers(labels)
        sets = {number: [place[label] for label in several] for number, several in zip(numbers, labels, strict=True)
                if number >= 0}
        self.nothing = len(sets)  # the number of the empty set, which has nothing in common with itself
        self.numbers_N = torch.tensor([number if number >= 0 else self.nothing for number in numbers])
        self.sets = LabelSets.from_lists([*(sets[number] for number in range(len(sets))), []], len(names))

    def pairs(self, rows: Sequence[int], groups_B: Tensor, ring: Ring) -> Tensor:
        """(image, text) pairs of the batch over all processes that share labels and are no positives, int64 (K, 2).

        Args:
            rows: the examples that this process has of the batch.
            groups_B: of the same rows; pairs of equal groups are positives.
        """
        sets_B = ring.gather(self.numbers_N[list(rows)].to(groups_B.device)).cpu()
        groups = ring.gather(groups_B).cpu()
        shared = [_pairs_from(start, self._shared(sets_B[start:start + _CHUNK], sets_B)
                              & (groups[start:start + _CHUNK, None] != groups))
                  for start in range(0, len(sets_B), _CHUNK)]
        return torch.cat(shared).to(groups_B.device)

    def _shared(self, some_C: Tensor, all_B: Tensor) -> Tensor:
        if self.leave_out == "same_labels":
            return (some_C[:, None] == all_B) & (all_B != self.nothing)
        return self.sets.take(some_C).multi_hot() @ self.sets.take(all_B).multi_hot().T > 0


def _pairs_from(first_row: int, wanted_CB: Tensor) -> Tensor:
    return wanted_CB.nonzero() + torch.tensor([first_row, 0])
