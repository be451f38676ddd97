"""Frequent words, pairs of words and whole texts: counted exactly, in two passes, in memory that does not grow.

The first pass adds counts up in a fixed number of cells by hash. No count is above its cell, so whatever has a cell
below the threshold is out for certain (Park, Chen and Yu, 1995). The second counts what is left by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vector_universe.data.curation.normalise import haystack
from vector_universe.data.curation.pairs import texts_of
from vector_universe.data.curation.shards import Columns, Unit, read
from vector_universe.errors import UserError

WORDS, NEIGHBOURS, TITLES = range(3)
CELLS = 1 << 22  # of each kind; exact with any number, but the more cells, the fewer names in the second pass
MOST_NAMES = 20_000_000
TITLE_WORDS = (2, 8)  # a whole text of so many words may be a title
CHUNK = 8192  # texts


@dataclass(frozen=True)
class Entries:
    """What occurs in some texts, each thing once.

    Attributes:
        hashes: of words, neighbours and titles, uint64.
        counts: how many times each occurs.
        words, titles: their names; neighbours are `left` and `right`, places in `words`.
    """

    hashes: tuple[np.ndarray, np.ndarray, np.ndarray]
    counts: tuple[np.ndarray, np.ndarray, np.ndarray]
    words: pa.Array
    left: np.ndarray
    right: np.ndarray
    titles: pa.Array

    def names(self, kind: int, chosen: np.ndarray) -> list[str]:
        """Of those that are chosen."""
        if kind == NEIGHBOURS:
            left, right = (self.words.take(pa.array(side[chosen])) for side in (self.left, self.right))
            return list(pc.binary_join_element_wise(left, right, " ").to_pylist())
        return list((self.words if kind == WORDS else self.titles).filter(pa.array(chosen)).to_pylist())


def first_pass(unit: Unit, columns: Columns) -> np.ndarray:
    """Upper bounds of counts, (3, CELLS) uint32; those of several units are added."""
    cells = np.zeros((3, CELLS), np.uint32)
    for entries in entries_of(unit, columns):
        for kind in (WORDS, NEIGHBOURS, TITLES):
            np.add.at(cells[kind], _cells(entries.hashes[kind]), entries.counts[kind].astype(np.uint32))
    return cells


def second_pass(unit: Unit, columns: Columns, likely: np.ndarray) -> tuple[list[Counter[str]], int]:
    """The counts of what is in a likely cell, a counter for each kind; and the number of words in all."""
    found: list[Counter[str]] = [Counter(), Counter(), Counter()]
    words = 0
    for entries in entries_of(unit, columns):
        words += int(entries.counts[WORDS].sum())
        for kind in (WORDS, NEIGHBOURS, TITLES):
            chosen = likely[kind][_cells(entries.hashes[kind])]
            for name, count in zip(entries.names(kind, chosen), entries.counts[kind][chosen].tolist(), strict=True):
                found[kind][name] += count
        if sum(map(len, found)) > MOST_NAMES:
            raise UserError("these texts have too many frequent words to count: raise --min-count, or give --queries")
    return found, words


def entries_of(unit: Unit, columns: Columns) -> Iterator[Entries]:
    """What occurs in a unit, some thousand texts at a time."""
    for batch in read(unit, columns.texts):
        texts = texts_of(batch, columns).texts
        for start in range(0, len(texts), CHUNK):
            yield _entries(texts.slice(start, CHUNK))


def _entries(texts: pa.Array) -> Entries:
    spelled = haystack(texts).tobytes().decode()
    tokens = pc.split_pattern(pa.array([spelled[1:]]), " ").values.dictionary_encode()
    words, number = tokens.dictionary, tokens.indices.to_numpy()
    is_word = pc.invert(pc.is_in(words, pa.array(["", "\n"]))).to_numpy(zero_copy_only=False)
    hashes = np.fromiter((_hash(word) for word in words.to_pylist()), np.uint64, len(words))
    pairs = number[:-1].astype(np.int64) * len(words) + number[1:]
    pairs, pair_counts = np.unique(pairs[is_word[number[:-1]] & is_word[number[1:]]], return_counts=True)
    left, right = pairs // len(words), pairs % len(words)
    whole = pc.utf8_trim_whitespace(pc.split_pattern(pa.array([spelled]), "\n").values)
    length = pc.add(pc.count_substring(whole, " "), 1)
    whole = pc.value_counts(whole.filter(pc.and_(pc.greater_equal(length, TITLE_WORDS[0]),
                                                 pc.less_equal(length, TITLE_WORDS[1]))))
    titles, title_counts = whole.field("values"), whole.field("counts").to_numpy()
    title_hashes = np.fromiter((_hash(title) for title in titles.to_pylist()), np.uint64, len(titles))
    counts = np.bincount(number, minlength=len(words)) * is_word
    mixed = (hashes[left] * np.uint64(0x9E3779B97F4A7C15)) ^ hashes[right]  # not symmetric: "hot dog", "dog hot"
    return Entries((hashes, mixed, title_hashes), (counts, pair_counts, title_counts), words, left, right, titles)


def _cells(hashes: np.ndarray) -> np.ndarray:
    return (hashes % np.uint64(CELLS)).astype(np.int64)


def _hash(name: str) -> int:
    from xxhash import xxh3_64_intdigest
    return xxh3_64_intdigest(name.encode())
