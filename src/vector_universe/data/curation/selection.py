"""Which pairs are kept: at most N for each query, exactly.

Every pair has a rank, the seeded hash of its id, and an order of its queries: those with the fewest matching pairs
first, ties by the query's text. The definition:

    Go through the pairs by rank. A pair is *charged* to the first of its queries to which fewer than N pairs are
    charged, and kept. Where there is none, it is dropped.

What follows from it, for any texts, queries and N:

- *The cap is never exceeded.* At most N pairs are charged to a query, and every kept pair is charged to one: each pair
  once. (A kept pair may also match other queries, and count for none of them. If it did, rare things would go: N = 1,
  pairs "a cat" and "a platypus", queries "a", "cat" and "platypus". To keep both tails whole is to keep two pairs that
  match "a". No rule has both, so a cap on all kept pairs that match a query is not what CLIP's list of 500,000 queries
  can have meant. `queries.csv` shows both numbers.)
- *Maximal.* Charges are never taken back. So all queries of a dropped pair had N charges and still have them: it could
  not be added without exceeding a cap.
- *Tails are whole.* Let a query with at most N matching pairs lose one. All its N charges are then for other pairs that
  match it, which makes N + 1.
- *Order and shards do not matter.* Ranks, matches and their counts are facts of the set of pairs.
- *A threshold says it all.* A query takes whoever asks until its N-th pair, and nobody after. With t(q) the rank of
  that pair, a pair is charged to the first of its queries with rank <= t(q). So the selection is one number a query,
  and each shard can be filtered by itself.
- *It can be found in parallel.* Pairs that propose to their queries in turn, and queries that hold the N proposals of
  the lowest ranks, end in a stable matching (Gale and Shapley, 1962); as all queries rank pairs alike there is only
  one, and it is this one. `distributed` finds it so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vector_universe.data.curation.runs import KEY, Matches

LAST = np.uint64(2**64 - 1)


def preference(counts: np.ndarray) -> np.ndarray:
    """The place of each query in every pair's order: fewest matches first, ties by number (queries are sorted)."""
    places = np.empty(len(counts), np.int32)
    places[np.argsort(counts, kind="stable")] = np.arange(len(counts), dtype=np.int32)
    return places


@dataclass
class Selection:
    """The definition at work on pairs that come by rank, a range of ranks at a time.

    Attributes:
        cap: most charges of a query.
        counts: matching pairs of each query, (queries,).
        charged: charges until now, (queries,).
        thresholds: rank of the pair that filled a query; the last possible one for queries with room; `KEY`.
    """

    cap: int
    counts: np.ndarray
    charged: np.ndarray
    thresholds: np.ndarray

    @classmethod
    def start(cls, counts: np.ndarray, cap: int) -> Selection:
        """Before the first pair."""
        return cls(cap, counts, np.zeros(len(counts), np.int64), np.full(len(counts), LAST, "<u8").repeat(2).view(KEY))

    def take(self, pairs: Matches) -> None:
        """Charge pairs that come after all those taken before, each once, in the order of their keys."""
        if not len(pairs.keys):
            return
        places = preference(self.counts)
        by_place = np.argsort(places)
        first = by_place[np.minimum.reduceat(places[pairs.queries], pairs.starts[:-1])]
        sure = self.counts[first] <= self.cap  # a tail never fills up
        self.charged += np.bincount(first[sure], minlength=len(self.counts))
        some_room = np.maximum.reduceat((self.charged < self.cap)[pairs.queries], pairs.starts[:-1])
        self._in_turn(pairs.take(np.flatnonzero(some_room & ~sure)), places, by_place)

    def _in_turn(self, pairs: Matches, places: np.ndarray, by_place: np.ndarray) -> None:
        room = (self.cap - self.charged)[by_place].tolist()
        lengths = np.diff(pairs.starts)
        asked = np.repeat(np.arange(len(lengths)) * len(room), lengths) + places[pairs.queries]
        asked.sort()  # by rank of the pairs, and for each pair by its own order
        asked %= len(room)
        turns, end = asked.tolist(), 0
        for number, length in enumerate(lengths.tolist()):
            start, end = end, end + length
            for place in turns[start:end]:
                if room[place]:
                    room[place] -= 1
                    if not room[place]:
                        self.thresholds[by_place[place]] = pairs.keys[number]
                    break
        self.charged[by_place] = self.cap - np.array(room, np.int64)


def charges(pairs: Matches, counts: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The query that each pair is charged to, -1 for dropped ones; by the thresholds alone, in any order of pairs."""
    if not len(pairs.keys):
        return np.empty(0, np.int64)
    places = preference(counts)
    keys = np.repeat(pairs.keys, np.diff(pairs.starts))
    limit = thresholds[pairs.queries]
    taken = (keys["high"] < limit["high"]) | ((keys["high"] == limit["high"]) & (keys["low"] <= limit["low"]))
    none = len(counts)
    first = np.minimum.reduceat(np.where(taken, places[pairs.queries], none), pairs.starts[:-1])
    return np.append(np.argsort(places), -1)[first]


def equal_keys(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Places of each key that is there more than once."""
    order = np.lexsort((keys["low"], keys["high"]))
    same = keys[order][1:] == keys[order][:-1]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    for start, end in edges.reshape(-1, 2):
        yield order[start:end + 1]
