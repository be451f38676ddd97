"""Cached gradients: the gradient of a loss over a whole batch, with only a part of it in memory at a time.

Embed the batch part by part without a graph, take the loss's gradient with respect to the embeddings, then embed each
part once more with a graph and push its embeddings' gradient through it (Gao et al. 2021, GradCache). Every part draws
its random numbers from a seed of its own, so the second pass repeats the first, dropout included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Encoding:
    """One kind of input of a batch, of which any part can be embedded by itself.

    Attributes:
        rows: how many rows there are.
        prepare: from a range of rows to what `encode` takes; runs in a thread, ahead of the model.
        encode: that to unit rows (b, D). The same each time, given the same random state.
        learns: whether any parameter behind it learns.
        first: where row 0 stands in the batch over all processes, for the random numbers.
    """

    rows: int
    prepare: Callable[[slice], Any]
    encode: Callable[[Any], Tensor]
    learns: bool = True
    first: int = 0


def preparing_thread() -> ThreadPoolExecutor:
    """The thread that prepares parts; its torch works alone: a pool of helpers of its own takes a fifth off the model's
    speed for good, as they wait for work on the cores where the model computes."""
    return ThreadPoolExecutor(1, "prepare", torch.set_num_threads, (1,))


class CachedGradients:
    """One step over a batch: `embed`, a loss of one's own on the embeddings, `backward`.

    Where every encoding fits into one part this is the plain way, one pass with a graph. Otherwise the gradients are
    those of the plain way over the same parts, to rounding: a float sum in another order.

    Args:
        encodings: by name; embedded in this order.
        micro_batch: the most rows of one part.
        reseed: called with the name and the first row of a part, in the whole batch, before it is embedded.
        threads: prepares parts ahead; see `preparing_thread`.
        autocast: makes the context in which parts are embedded, both times.
    """

    def __init__(self, encodings: Mapping[str, Encoding], micro_batch: int, reseed: Callable[[str, int], None],
                 threads: ThreadPoolExecutor,
                 autocast: Callable[[], AbstractContextManager] = nullcontext) -> None:
        self.encodings, self.reseed, self.threads, self.autocast = encodings, reseed, threads, autocast
        self.parts = [(name, slice(start, min(start + micro_batch, encoding.rows)))
                      for name, encoding in encodings.items() for start in range(0, encoding.rows, micro_batch)]
        self.plain = len(self.parts) == len(encodings)
        self.waiting = 0.0  # seconds that the model stood still for data
        self._first = self._submit(*self.parts[0])  # now: while the step before is still at work

    def embed(self) -> dict[str, Tensor]:
        """Unit rows by name: with their graph, or as leaves that collect the gradient."""
        with torch.set_grad_enabled(self.plain):
            rows: dict[str, list[Tensor]] = {name: [] for name in self.encodings}
            for name, _, part_BD in self._embedded(self.parts, self._first):
                rows[name].append(part_BD)
        self.embeddings = {name: torch.cat(parts) if len(parts) > 1 else parts[0] for name, parts in rows.items()}
        if not self.plain:
            for name, rows_BD in self.embeddings.items():
                rows_BD.requires_grad_(self.encodings[name].learns)
        return self.embeddings

    def backward(self, total: Tensor) -> None:
        """Add the gradient of `total` to every parameter behind the embeddings and in the loss."""
        if total.requires_grad:
            total.backward()
        if self.plain:
            return
        again = [(name, part) for name, part in self.parts if self.embeddings[name].grad is not None]
        for name, part, part_BD in self._embedded(again, self._submit(*again[0]) if again else None):
            gradient_BD = self.embeddings[name].grad
            assert gradient_BD is not None
            part_BD.backward(gradient_BD[part])

    def _embedded(self, parts: list[tuple[str, slice]], first: Future | None) -> Iterator[tuple[str, slice, Tensor]]:
        """Each part's embeddings, while the next part is being prepared."""
        ahead = first
        for place, (name, part) in enumerate(parts):
            assert ahead is not None
            started = time.perf_counter()
            prepared = ahead.result()
            self.waiting += time.perf_counter() - started
            ahead = self._submit(*parts[place + 1]) if place + 1 < len(parts) else None
            self.reseed(name, self.encodings[name].first + part.start)
            with self.autocast():
                part_BD = self.encodings[name].encode(prepared)
            yield name, part, part_BD

    def _submit(self, name: str, part: slice) -> Future:
        return self.threads.submit(self.encodings[name].prepare, part)
