"""Which examples meet in a batch: at random, or with those that are no true negatives of each other kept apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def random_order(rows: int, seed: int) -> Tensor:
    """A permutation of `rows` places, int64; batches are its parts one after the other."""
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))


def order_apart(families: Sequence[tuple[int, int]], batch_size: int, seed: int) -> Tensor:
    """A permutation whose batches hold as few members of a family as there can be.

    A family is what has the same pair of numbers (labels, group): the same group within the same labels. A group of m
    members has at most ⌈m / batches⌉ of them in any batch, and so has each set of labels, which is the least that is
    possible: the rows are sorted by labels, then by group, both in random order, and dealt out like cards, one to each
    batch in turn. Rows beyond the last whole batch are left out at random and come at the end. Everything is a function
    of the arguments.

    Args:
        families: of each row.
        batch_size: rows in a batch, at most as many as there are rows.
        seed: of this epoch.

    Returns:
        int64 (rows,); batch b is `order[b * batch_size:(b + 1) * batch_size]`.
    """
    shuffled = random_order(len(families), seed)
    batches = len(families) // batch_size
    dealt, left = shuffled[:batches * batch_size], shuffled[batches * batch_size:]
    generator = torch.Generator().manual_seed(seed + 1)
    labels = torch.tensor([label for label, _ in families])[dealt]
    groups = torch.tensor([group for _, group in families])[dealt]
    by_group = torch.argsort(_renamed(groups, generator), stable=True)
    sorted_ = dealt[by_group][torch.argsort(_renamed(labels[by_group], generator), stable=True)]
    hands = sorted_.view(batch_size, batches).T  # card c goes to batch c mod batches
    hands = hands[torch.randperm(batches, generator=generator)]
    seats = torch.rand(batches, batch_size, generator=generator).argsort(1)
    return torch.cat([hands.gather(1, seats).flatten(), left])


def relatives(order: Tensor, families: Sequence[tuple[int, int]], batch_size: int) -> float:
    """Mean number of pairs in a batch of this order that have the same labels, as all of one group do."""
    batches = len(order) // batch_size
    labels = torch.tensor([label for label, _ in families])[order[:batches * batch_size]]
    counts = torch.cat([part.unique(return_counts=True)[1] for part in labels.split(batch_size)])
    return (counts * (counts - 1)).sum().item() / 2 / batches


def _renamed(numbers: Tensor, generator: torch.Generator) -> Tensor:
    """The same partition under random names."""
    _, places = numbers.unique(return_inverse=True)
    return torch.randperm(int(places.max()) + 1, generator=generator)[places]
