"""A list of queries built from the texts, as CLIP's was from Wikipedia: words, pairs of words, titles."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from vector_universe.data.curation.config import MOST_QUERIES, CurationConfig
from vector_universe.data.curation.frequent import CELLS, NEIGHBOURS, TITLES, WORDS, first_pass, second_pass
from vector_universe.data.curation.shards import Columns, Unit
from vector_universe.errors import UserError


def build_queries(units: Sequence[Unit], columns: Columns, config: CurationConfig,
                  each: Callable[..., Iterable[Any]]) -> list[str]:
    """Queries from the texts themselves, sorted; the same for any order of texts and number of shards.

    - every word that occurs at least `min_count` times;
    - two neighbouring words x y that occur so often and whose pointwise mutual information, log2 of
      count(x y) * words / (count(x) * count(y)), is at least `min_pmi`: "hot dog", not "of the";
    - a title: what is the whole of at least `min_count` texts, with 2 to 8 words.

    Of more than 500,000, the most frequent.

    Args:
        units, columns: what to read.
        config: thresholds.
        each: `each(function, units, *arguments)` yields function(unit, *arguments) of every unit, in order.

    Raises:
        UserError: nothing is that frequent.
    """
    cells = np.zeros((3, CELLS), np.int64)
    for more in each("counting words", first_pass, units, columns):
        cells += more
    likely = cells >= config.min_count
    found: list[Counter[str]] = [Counter(), Counter(), Counter()]
    total = 0
    for counts, words in each("naming words", second_pass, units, columns, likely):
        total += words
        for kind in (WORDS, NEIGHBOURS, TITLES):
            found[kind].update(counts[kind])
    chosen = Counter({word: count for word, count in found[WORDS].items() if count >= config.min_count})
    for pair, count in found[NEIGHBOURS].items():
        if count >= config.min_count:
            left, right = pair.split(" ")
            if math.log2(count * total / (found[WORDS][left] * found[WORDS][right])) >= config.min_pmi:
                chosen[pair] = count
    chosen |= Counter({title: count for title, count in found[TITLES].items() if count >= config.min_count})
    if not chosen:
        raise UserError(f"no word occurs {config.min_count} times in these texts: lower --min-count, or give --queries")
    most = sorted(chosen, key=lambda query: (-chosen[query], query))[:MOST_QUERIES]
    return sorted(most)
