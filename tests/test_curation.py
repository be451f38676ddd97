"""What is kept is what the definition says, and has the properties that are promised."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.curation_reference import curate_slowly
from vector_universe.data.curation import report, select_pairs
from vector_universe.data.curation.config import CurationConfig
from vector_universe.data.curation.run import curate
from vector_universe.data.curation.runs import KEY, Matches
from vector_universe.data.curation.selection import Selection, charges

WORDS = ["a", "photo", "of", "cat", "cats", "dog", "platypus", "hot", "red", "sea"]
QUERIES = ["a", "photo", "cat", "dog", "platypus", "hot dog", "a red cat", "sea"]
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)


@pytest.fixture(scope="module", autouse=True)
def _no_plots():
    """Drawing one takes longer than to curate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_plot", lambda *_: "")
        yield


def write_pairs(path: Path, pairs: list[tuple[str, str]]) -> None:
    """A shard of the kind that its name says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"id": [id for id, _ in pairs], "caption": [text for _, text in pairs]},
                                schema=pa.schema([("id", pa.string()), ("caption", pa.string())])), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"id": id, "caption": text}) + "\n" for id, text in pairs))
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("id", "caption"), *pairs])


def kept(out: Path) -> dict[str, str]:
    """The query of each kept id."""
    found: dict[str, str] = {}
    for file in sorted((out / "kept").glob("*.parquet")):
        table = pq.read_table(file)
        for id, query in zip(table["id"].to_pylist(), table["query"].to_pylist(), strict=True):
            assert id not in found, "a pair is kept twice"
            found[id] = query
    return found


def curated(shards: dict[str, list[tuple[str, str]]], cap: int, seed: int = 0, substring: bool = False
            ) -> tuple[dict[str, str], dict[str, tuple[int, int, int]]]:
    """Charged queries of kept ids, and the rows of queries.csv."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "list.txt").write_text("\n".join(QUERIES))
        for file, pairs in shards.items():
            write_pairs(folder / file, pairs)
        curate([str(folder / file) for file in shards], folder / "out",
               CurationConfig(queries=folder / "list.txt", cap=cap, seed=seed, substring=substring, processes=1))
        with (folder / "out" / "queries.csv").open() as table:
            rows = {row["query"]: (int(row["matches"]), int(row["kept"]), int(row["charged"]))
                    for row in csv.DictReader(table)}
        return kept(folder / "out"), rows


@settings(max_examples=25)
@given(st.lists(texts, min_size=1, max_size=40), st.integers(1, 6), st.integers(0, 3), st.booleans(), st.data())
def test_a_curation_is_what_the_definition_says_and_keeps_its_promises(all_texts, cap, seed, substring, data):
    pairs = [(f"pair {number}", text) for number, text in enumerate(all_texts)]
    slow = curate_slowly({id: [text] for id, text in pairs}, QUERIES, cap, seed, substring)
    shuffled = data.draw(st.permutations(pairs))
    cut = data.draw(st.integers(0, len(pairs)))
    found, table = curated({"a.parquet": shuffled[:cut], "b.jsonl": shuffled[cut:]}, cap, seed, substring)
    assert found == slow.charged  # whatever the order and the shards
    assert curated({"one.csv": pairs}, cap, seed, substring) == (found, table)

    charged = Counter(found.values())
    full = {query for query in QUERIES if charged[query] == cap}
    assert max(charged.values(), default=0) <= cap
    for id, queries in slow.found.items():
        assert id in found or set(queries) <= full, "a dropped pair could be added"
        if any(slow.counts[query] <= cap for query in queries):
            assert id in found, "a tail has lost a pair"
    assert table == {query: (slow.counts[query], sum(query in slow.found[id] for id in found), charged[query])
                     for query in QUERIES}


@settings(max_examples=60)
@given(st.lists(st.sets(st.integers(0, 7), min_size=1), min_size=1, max_size=60), st.integers(1, 9), st.data())
def test_thresholds_alone_say_what_is_charged(found, cap, data):
    """However the pairs are divided, by rank, into ranges; keys may share their upper half."""
    pairs = matches_of([sorted(queries) for queries in found], data.draw(st.integers(1, len(found))))
    counts = np.bincount(pairs.queries, minlength=8)
    selection = Selection.start(counts, cap)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(found)), max_size=3)))
    for first, last in zip([0, *cuts], [*cuts, len(found)], strict=True):
        selection.take(pairs.take(np.arange(first, last)))

    expected, room = [], np.full(8, cap)
    for queries in found:
        asked = [query for query in sorted(queries, key=lambda query: (counts[query], query)) if room[query]]
        expected.append(asked[0] if asked else -1)
        room[asked[:1]] -= 1
    assert selection.charged.tolist() == (cap - room).tolist()
    order = np.array(data.draw(st.permutations(range(len(found)))))
    assert charges(pairs.take(order), counts, selection.thresholds).tolist() == np.array(expected)[order].tolist()


def matches_of(found: list[list[int]], upper: int) -> Matches:
    keys = np.zeros(len(found), KEY)
    keys["high"], keys["low"] = np.arange(len(found)) // upper, np.arange(len(found))
    return Matches(keys, np.arange(len(found), dtype=np.uint32), np.cumsum([0, *map(len, found)]),
                   np.array([query for queries in found for query in queries], np.int32))


def test_small_ranges_and_runs_make_no_difference(monkeypatch):
    pairs = many_pairs()
    expected = curated({"a.csv": pairs}, cap=7)
    monkeypatch.setattr(select_pairs, "RANGE_PAIRS", 50)
    monkeypatch.setattr("vector_universe.data.curation.match_shards.RUN_ROWS", 100)
    monkeypatch.setattr("vector_universe.data.curation.shards.ROWS", 70)
    monkeypatch.setattr("vector_universe.data.curation.shards.BLOCK", 2000)
    monkeypatch.setattr("vector_universe.data.curation.shards.UNIT_ROWS", 150)
    for file in ("a.parquet", "a.jsonl", "a.csv"):
        assert curated({file: pairs}, cap=7) == expected


def test_a_seed_keeps_other_pairs_as_many_of_them():
    pairs = many_pairs()
    first, second = (curated({"a.csv": pairs}, cap=20, seed=seed)[0] for seed in (0, 1))
    assert first.keys() != second.keys()
    assert Counter(first.values()).most_common(1)[0][1] == Counter(second.values()).most_common(1)[0][1] == 20


def test_of_rows_with_one_id_one_stays_wherever_it_is():
    """In any order and any shards the one whose queries come first, and the others are counted nowhere."""
    pairs = [*many_pairs(), ("twice", "a cat"), ("twice", "a cat"), ("twice", "sea"), ("thrice", "dog")]
    expected = curated({"a.csv": pairs}, cap=1000)
    assert curated({"a.csv": pairs[::-1]}, cap=1000) == expected
    assert curated({"a.csv": pairs[:-2], "b.jsonl": pairs[-2:]}, cap=1000) == expected
    assert expected == curated({"a.csv": [*many_pairs(), ("twice", "a cat"), ("thrice", "dog")]}, cap=1000)


def many_pairs() -> list[tuple[str, str]]:
    choose = random.Random(5)
    return [(f"pair {number}", " ".join(choose.choices(WORDS, weights=[30, 20, 20, 9, 3, 5, 1, 2, 2, 1], k=5)))
            for number in range(600)]


@pytest.mark.parametrize("seed", [0, 7])
def test_daft_keeps_the_same(tmp_path, seed):
    daft = pytest.importorskip("daft")
    from vector_universe.data.curation.distributed import curate_frame
    from vector_universe.data.curation.shards import Columns
    pairs = [(f"{number} {id}", text) for number in range(5) for id, text in many_pairs()]
    pairs += [("twice", "a cat"), ("twice", "sea"), ("twice", "a cat")]
    for part in range(4):
        write_pairs(tmp_path / f"{part}.parquet", pairs[part::4])
    expected, _ = curated({"a.parquet": pairs[::2], "b.parquet": pairs[1::2]}, cap=40, seed=seed)
    found = curate_frame(daft.read_parquet(str(tmp_path / "*.parquet")), sorted(QUERIES), Columns(("caption",), "id"),
                         CurationConfig(cap=40, seed=seed)).to_pydict()
    assert 100 < len(expected) < len(pairs)
    assert dict(zip(found["id"], found["query"], strict=True)) == expected
    assert len(found["id"]) == len(expected)
