"""Which queries occur in which texts, all of them in one pass over the texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vector_universe.data.curation.normalise import END, haystack

CHUNK = 32768  # texts searched at once


class Matcher:
    """A search for all queries at once.

    Whole words is what MetaCLIP's matching comes to, which pads queries and texts with spaces: "cat" is in "a cat!",
    not in "education". Matching inside words is for languages that write no spaces.

    Args:
        queries: normalised, none empty, each once; their numbers are their places.
        substring: match inside words too.
    """

    def __init__(self, queries: Sequence[str], substring: bool = False) -> None:
        self._found_in = _Substrings(queries) if substring else _Words(queries)
        self._count = len(queries)

    def match(self, texts: pa.Array, pairs: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(pair, query) of every match, sorted, each once.

        Args:
            texts: an array of strings without nulls, as they were written.
            pairs: of each text, the number of the pair that it belongs to, ascending; by itself the text's own number.
        """
        found = [np.empty(0, np.int64)]
        for start in range(0, len(texts), CHUNK):
            owner, query = self._found_in(haystack(texts.slice(start, CHUNK)))
            owner = owner + start
            found.append(_each_once((owner if pairs is None else pairs[owner]) * self._count + query))
        both = np.concatenate(found) if pairs is None else _each_once(np.concatenate(found))
        return both // self._count, (both % self._count).astype(np.int32)


class _Substrings:
    """By characters: the automaton of Aho and Corasick (1975)."""

    def __init__(self, queries: Sequence[str]) -> None:
        from ahocorasick_rs import BytesAhoCorasick
        self._automaton = BytesAhoCorasick([query.encode() for query in queries])

    def __call__(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        matches = self._automaton.find_matches_as_indexes(texts.data, overlapping=True)
        query, begin, _ = np.fromiter(chain.from_iterable(matches), np.int64, 3 * len(matches)).reshape(-1, 3).T
        return np.searchsorted(np.flatnonzero(texts == END), begin), query


class _Words:
    """By words: a trie whose letters are words, followed from all words of all texts at once, in arrays.

    Twice as fast as the automaton over characters, which hands every match over as a Python object.

    Nodes are numbers: those of single words are the words' own; an edge is node * words + word.
    """

    def __init__(self, queries: Sequence[str]) -> None:
        spelled = [query.split(" ") for query in queries]
        numbers = {word: number for number, word in enumerate(dict.fromkeys(chain.from_iterable(spelled)))}
        self._words = len(numbers)
        self._alphabet = pa.array([*numbers, chr(END)])
        ends: list[int] = [-1] * self._words  # the query that ends at a node
        levels: list[dict[int, int]] = []
        for query, words in enumerate(spelled):
            node = numbers[words[0]]
            for depth, word in enumerate(words[1:]):
                if depth == len(levels):
                    levels.append({})
                edge = node * self._words + numbers[word]
                node = levels[depth].setdefault(edge, len(ends))
                if node == len(ends):
                    ends.append(-1)
            ends[node] = query
        self._ends = np.array(ends)
        ordered = [sorted(level.items()) for level in levels]
        self._levels = [(np.array([edge for edge, _ in level]), np.array([node for _, node in level]))
                        for level in ordered]
        self._goes_on = np.zeros(len(ends), bool)
        for edges, _ in self._levels:
            self._goes_on[edges // self._words] = True

    def __call__(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tokens = pc.split_pattern(pa.array([texts[1:].tobytes().decode()]), " ").values
        number = pc.fill_null(pc.index_in(tokens, self._alphabet), -1).to_numpy().astype(np.int64)
        owner = np.cumsum(number == self._words)
        number[number == self._words] = -1
        places = np.flatnonzero(number >= 0)
        nodes = number[places]
        found, queries = [places], [self._ends[nodes]]
        for depth, (edges, targets) in enumerate(self._levels, 1):
            more = self._goes_on[nodes] & (places + depth < len(number))
            places, nodes = places[more], nodes[more]
            word = number[places + depth]
            edge = np.where(word >= 0, nodes * self._words + word, -1)
            at = np.minimum(np.searchsorted(edges, edge), len(edges) - 1)
            more = edges[at] == edge
            places, nodes = places[more], targets[at[more]]
            found.append(places)
            queries.append(self._ends[nodes])
        place, query = np.concatenate(found), np.concatenate(queries)
        is_end = query >= 0
        return owner[place[is_end]], query[is_end]


def _each_once(numbers: np.ndarray) -> np.ndarray:
    """Sorted; numpy.unique takes a hash table, which is slower for these."""
    numbers.sort()
    return numbers[np.append(True, numbers[1:] != numbers[:-1])[:len(numbers)]]
