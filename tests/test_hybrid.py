"""Rankings fused, and words found in any language."""

from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_universe.index.search.hybrid import fuse_rankings
from vector_universe.index.table.full_text import create_text_index, text_matches, words_of

TITLES = ["고양이와 강아지가 함께", "東京タワーの夜景", "北京的猫很可爱", "The Running Man", "runs and running",
          "café au lait", 'say "hello" AND world', "a cat's life", "猫", "REACT.js tutorial", "Кошка и ёлка",
          "cat OR dog NOT bird", "Straße", "안녕하세요 여러분", "แมวน่ารัก", "हिन्दी बिल्ली", "がぎぐ", "start the party",
          "NGC-6543 eye_of_cat", "ＦＵＬＬ width", "x" * 90, "", "★☆", "ﬁnal ½"]


def table_of(folder, titles):
    import lancedb

    rows = {"id": [str(row) for row in range(len(titles))], "words": [words_of([title]) for title in titles],
            "even": [row % 2 == 0 for row in range(len(titles))]}
    table = lancedb.connect(folder).create_table("items", pa.table(rows))
    create_text_index(table)
    return table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory):
    return table_of(tmp_path_factory.mktemp("words"), TITLES)


@pytest.mark.parametrize(("text", "expected"), [
    ("고양이", ["고양이와 강아지가 함께"]), ("강아지", ["고양이와 강아지가 함께"]), ("안녕", ["안녕하세요 여러분"]),
    ("하세", ["안녕하세요 여러분"]), ("타", []), ("강", ["고양이와 강아지가 함께"]),
    ("タワー", ["東京タワーの夜景"]), ("東京", ["東京タワーの夜景"]), ("京東", []), ("ぎぐ", ["がぎぐ"]), ("かき", []),
    ("猫", ["猫", "北京的猫很可爱"]), ("可爱", ["北京的猫很可爱"]), ("แมว", ["แมวน่ารัก"]), ("हिन्दी", ["हिन्दी बिल्ली"]),
    ("ﾀﾜｰ", ["東京タワーの夜景"]),
    ("RUNNING", ["The Running Man", "runs and running"]), ("run", []), ("cafe", ["café au lait"]),
    ("CAFÉ", ["café au lait"]), ("кошка", ["Кошка и ёлка"]), ("елка", ["Кошка и ёлка"]), ("strasse", ["Straße"]),
    ("art", []), ("react", ["REACT.js tutorial"]), ("6543", ["NGC-6543 eye_of_cat"]), ("full", ["ＦＵＬＬ width"]),
    ("eye_of", ["NGC-6543 eye_of_cat"]), ("final", ["ﬁnal ½"]), ("x" * 90, ["x" * 90]),
    ("", []), ("  ", []), ("★", []), ("\"'()+-*:^~?\\", []),
])
def test_words_are_found_in_every_language(table, text: str, expected: list[str]) -> None:
    found = text_matches(table, text, 10)  # row ids count up in a table written at once
    assert sorted(TITLES[row] for row in found) == sorted(expected)


@pytest.mark.parametrize("text", ['"hello', 'hello"', "+hello -world", "hello AND nothing", "title:hello",
                                  "hel\\lo hello*", "hello~2", "(hello", "hello' OR 1=1 --", "hello\0"])
def test_nothing_that_is_typed_is_an_operator(table, text: str) -> None:
    assert TITLES.index('say "hello" AND world') in text_matches(table, text, 10)


def test_what_matches_more_and_rarer_words_comes_first(table) -> None:
    assert text_matches(table, "a cat's life of dogs", 10)[0] == TITLES.index("a cat's life")
    assert text_matches(table, "cat dog bird", 1) == [TITLES.index("cat OR dog NOT bird")]


def test_a_condition_comes_first(table) -> None:
    rows = text_matches(table, "cat", 10)
    assert {row % 2 for row in rows} == {0, 1}
    assert text_matches(table, "cat", 10, "`even` = true") == [row for row in rows if row % 2 == 0]


def test_rows_added_after_the_index_are_found_and_old_words_are_not(tmp_path) -> None:
    table = table_of(tmp_path, ["cat", "dog"])
    new = pa.table({"id": ["0", "9"], "words": [words_of(["bird"]), words_of(["the cat"])], "even": [True, True]})
    table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(new)

    def ids(text):
        rows = text_matches(table, text, 10)
        return sorted(table.take_row_ids(rows).to_arrow()["id"].to_pylist())

    assert ids("cat") == ["9"]
    assert ids("bird") == ["0"]
    assert ids("cat dog") == ["1", "9"]
    table.optimize()
    assert ids("cat dog") == ["1", "9"]


def test_the_longest_query_is_answered(table) -> None:
    assert TITLES.index("猫") not in text_matches(table, "cat " + "word " * 5000 + "可爱" * 5000, 10)
    assert text_matches(table, " ".join(f"w{number}" for number in range(5000)), 10) == []


letters = st.text(st.sampled_from("猫犬京東강아지タワ"), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(letters, letters, letters)
def test_any_part_of_a_run_is_among_its_words(before, part, after) -> None:
    indexed = set(words_of([before + part + after]).split())
    assert set(words_of([part]).split()) <= indexed


def test_a_text_given_twice_counts_once() -> None:
    assert words_of(["The cat", "a dog", "The cat"]) == "the cat a dog"


keys = st.lists(st.integers(0, 12), max_size=10)


@settings(max_examples=100, deadline=None)
@given(st.lists(keys, max_size=4))
def test_fusion_is_the_sum_of_reciprocal_ranks(rankings) -> None:
    found = fuse_rankings(rankings)
    expected: dict[int, Fraction] = {}
    for ranking in rankings:
        for rank, key in enumerate(dict.fromkeys(ranking), 1):
            expected[key] = expected.get(key, Fraction(0)) + Fraction(1, 60 + rank)
    assert {key: pytest.approx(float(score)) for key, score in expected.items()} == dict(found)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_what_both_find_comes_before_what_one_finds() -> None:
    assert [key for key, _ in fuse_rankings([["a", "b", "c"], ["c", "d"]])] == ["c", "a", "b", "d"]
    assert [key for key, _ in fuse_rankings([["a", "b"], ["b", "a"]])] == ["a", "b"]  # a tie: as the first has it
    assert next(iter(fuse_rankings([["a"], ["b"]], [1, 2])))[0] == "b"
    assert fuse_rankings([]) == []
