"""Which queries occur in which texts, all of them in one pass over the texts (Aho and Corasick, 1975)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa

from vector_universe.data.curation.normalise import END, haystack

CHUNK = 2000  # texts searched at once: their matches are Python objects for a moment


class Matcher:
    """An automaton over all queries.

    Whole words is what MetaCLIP's matching comes to, which pads queries and texts with spaces: "cat" is in "a cat!",
    not in "education". Matching inside words is for languages that write no spaces.

    Args:
        queries: normalised, none empty, each once; their numbers are their places.
        substring: match inside words too.
    """

    def __init__(self, queries: Sequence[str], substring: bool = False) -> None:
        from ahocorasick_rs import BytesAhoCorasick
        pad = "" if substring else " "
        self._automaton = BytesAhoCorasick([f"{pad}{query}{pad}".encode() for query in queries])
        self._count = len(queries)

    def match(self, texts: pa.Array, pairs: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(pair, query) of every match, sorted, each once.

        Args:
            texts: an array of strings without nulls, as they were written.
            pairs: of each text, the number of the pair that it belongs to, ascending; by itself the text's own number.
        """
        found = [np.empty(0, np.int64)]
        for start in range(0, len(texts), CHUNK):
            some = haystack(texts.slice(start, CHUNK))
            matches = self._automaton.find_matches_as_indexes(some.data, overlapping=True)
            query, begin, _ = np.fromiter(chain.from_iterable(matches), np.int64, 3 * len(matches)).reshape(-1, 3).T
            del matches
            owner = start + np.searchsorted(np.flatnonzero(some == END), begin)
            found.append(np.unique((owner if pairs is None else pairs[owner]) * self._count + query))
        both = np.concatenate(found) if pairs is None else np.unique(np.concatenate(found))
        return both // self._count, (both % self._count).astype(np.int32)
