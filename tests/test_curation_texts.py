"""Texts in one spelling, matches against a plain loop, and lists of queries built from texts."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.curation_reference import matches, spell
from vector_universe.data.curation import frequent
from vector_universe.data.curation.build_list import build_queries
from vector_universe.data.curation.config import CurationConfig
from vector_universe.data.curation.matching import Matcher
from vector_universe.data.curation.normalise import haystack, normalise
from vector_universe.data.curation.pairs import keys_of, texts_of
from vector_universe.data.curation.queries import read_queries
from vector_universe.data.curation.shards import Columns, Unit
from vector_universe.errors import UserError

SPELLED = {"Cat's   eye,\tNGC-6543!": "cat s eye ngc 6543", "  ": "", "": "", "ÜBER\n\0Straße": "über straße",
           "ﬁne ＡＢＣ": "fine abc", "हिन्दी भाषा।": "हिन्दी भाषा", "猫、犬": "猫 犬", "a_b": "a b", "i ❤ it": "i it"}


def test_the_spelling_of_texts():
    assert normalise(pa.array(list(SPELLED))).to_pylist() == list(SPELLED.values())
    assert [spell(text) for text in SPELLED] == list(SPELLED.values())


@given(st.lists(st.one_of(st.text(st.characters(max_codepoint=127)), st.sampled_from(list(SPELLED))), max_size=8))
def test_the_fast_way_spells_the_same(texts):
    one = haystack(pa.array(texts, pa.string())).tobytes().decode()
    assert one == "".join(f" {spell(text)} \n" if spell(text) else " \n" for text in texts) + (" " if not texts else "")


words = st.sampled_from(["cat", "Cats", "a", "é", "猫", "ab", "b", "!", "  ", "\n"])


@given(st.lists(st.lists(words, max_size=8), max_size=12), st.sets(st.lists(words, min_size=1, max_size=3).map(tuple)),
       st.booleans(), st.sampled_from(["", " ", ", "]))
def test_matches_are_those_of_a_plain_loop(all_words, lists, substring, between):
    texts = [between.join(words) for words in all_words]
    queries = sorted({spell(between.join(words)) for words in lists} - {""})
    if not queries:
        return
    found = list(zip(*(column.tolist() for column in Matcher(queries, substring).match(pa.array(texts, pa.string()))),
                     strict=True))
    assert found == [(number, query) for number, text in enumerate(texts) for query, name in enumerate(queries)
                     if matches(name, text, substring)]


def test_a_pair_matches_by_any_of_its_texts(monkeypatch):
    monkeypatch.setattr("vector_universe.data.curation.matching.CHUNK", 2)
    batch = pa.record_batch({"texts": [["a cat", "the sea"], None, [], ["sea", None, "sea cat"], ["no"]],
                             "title": ["dog", "dog cat", None, "", "cat"]})
    found = texts_of(batch, Columns(("texts", "title")))
    assert found.rows.tolist() == [0, 0, 0, 1, 3, 3, 4, 4]
    assert found.texts.to_pylist() == ["a cat", "the sea", "dog", "dog cat", "sea", "sea cat", "no", "cat"]
    pairs, queries = Matcher(["cat", "dog", "sea"]).match(found.texts, found.rows)
    assert list(zip(pairs.tolist(), queries.tolist(), strict=True)) == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (3, 0), (3, 2), (4, 0)]


def test_a_key_is_of_the_id_or_else_of_the_content():
    batch = pa.record_batch({"id": ["x", None, "x", "y"], "n": [1, 2, 3, 4], "url": ["u", "v", "u", None],
                             "text": ["cat", "cat", "dog", "cat"]})
    by_id, by_number, by_url, by_text = (keys_of(batch, columns, 0) for columns in (
        Columns(("text",), "id"), Columns(("text",), "n"), Columns(("text",), None, "url"), Columns(("text",))))
    assert [len(set(keys.tolist())) for keys in (by_id, by_number, by_url, by_text)] == [3, 4, 4, 2]
    assert by_id[0] == by_id[2]
    assert by_id[1] == by_text[1]  # a row without an id
    assert keys_of(batch.slice(2), Columns(("text",), None, "url"), 0).tolist() == by_url[2:].tolist()
    assert keys_of(batch, Columns(("text",), "id"), 1)[0] != by_id[0]
    assert keys_of(batch.slice(0, 0), Columns(("text",), "id"), 1).shape == (0,)


@pytest.mark.parametrize("cells", [1 << 22, 7])
def test_a_built_list_is_exact(tmp_path, monkeypatch, cells):
    """Whatever falls into one cell, and however the texts are divided."""
    monkeypatch.setattr(frequent, "CELLS", cells)
    monkeypatch.setattr("vector_universe.data.curation.build_list.CELLS", cells)
    monkeypatch.setattr(frequent, "CHUNK", 37)
    choose = random.Random(1)
    names = ["the", "of", "hot", "dog", "new", "york", "sea", "Café", "x"]
    texts = [" ".join(choose.choices(names, weights=[40, 30, 5, 5, 1, 1, 9, 3, 1], k=choose.randint(0, 9)))
             for _ in range(800)] + ["New York!", "new york", "hot dog; hot dog", "", "sunset"] * 12
    choose.shuffle(texts)
    units = []
    for part in range(3):
        path = tmp_path / f"{part}.jsonl"
        path.write_text("".join(f'{{"text": "{text}"}}\n' for text in texts[part::3]))
        units.append(Unit(str(path)))
    config = CurationConfig(min_count=12, min_pmi=2.0)
    found = build_queries(units, Columns(("text",)), config, lambda stage, function, units, *arguments: [
        function(unit, *arguments) for unit in units])

    tokens = [spell(text).split() for text in texts]
    single = Counter(word for words in tokens for word in words)
    double = Counter(pair for words in tokens for pair in pairwise(words))
    whole = Counter(" ".join(words) for words in tokens if 2 <= len(words) <= 8)
    expected = {word for word, count in single.items() if count >= 12}
    expected |= {" ".join(pair) for pair, count in double.items() if count >= 12 and math.log2(
        count * single.total() / (single[pair[0]] * single[pair[1]])) >= 2}
    expected |= {text for text, count in whole.items() if count >= 12}
    assert found == sorted(expected)
    assert {"new york", "hot dog hot dog", "sunset", "café"} <= expected
    assert "of the" not in expected


def test_a_list_of_ones_own(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfSea\r\n\r\nHot-Dog\nsea\n!!\n")
    assert read_queries(path) == ["hot dog", "sea"]
    path.write_text("!!\n\n")
    with pytest.raises(UserError, match="has no query: write one a line"):
        read_queries(path)
    path.write_bytes(b"caf\xe9\n")
    with pytest.raises(UserError, match="not UTF-8"):
        read_queries(path)
    path.write_text("\n".join(map(str, range(500_001))))
    with pytest.raises(UserError, match="500,001 queries: 500,000 are the most"):
        read_queries(path)


def test_500000_queries_are_found():
    queries = sorted(f"word {number}" for number in range(500_000))
    some = np.array([0, 7, 499_999])
    pairs, found = Matcher(queries).match(pa.array([queries[number] for number in some]))
    assert (pairs.tolist(), found.tolist()) == ([0, 1, 2], some.tolist())
