"""The doctor's figures against slow, obvious ones."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pretrained import REAL_VOCABULARY, real_tokenizer
from vector_universe.data.doctor.batch import expected_false_negatives, pairs_in_common
from vector_universe.data.doctor.copies import plain
from vector_universe.data.doctor.texts import FILE_NAME, _encoding_check, estimated_tokens

few = st.lists(st.sampled_from("abc"), max_size=3)
rows = st.lists(st.tuples(st.integers(0, 4), few, few), max_size=14)


def related(one, other):
    return (one[0] == other[0] or bool(set(one[1]) & set(other[1]))
            or (bool(one[2]) and set(one[2]) == set(other[2])))


@given(rows)
def test_pairs_are_counted_as_by_comparing_all(several):
    pairs = sum(related(one, other) for one, other in combinations(several, 2))
    assert pairs_in_common(*([row[place] for row in several] for place in range(3))) == pairs


def test_the_expectation_is_the_mean_of_random_batches():
    random = np.random.default_rng(0)
    several = [(int(random.integers(30)), [str(random.integers(20))], [str(random.integers(6))]) for _ in range(50)]
    among = np.array([[one is not other and related(one, other) for other in several] for one in several])
    means = []
    for _ in range(4000):
        batch = random.choice(50, 12, replace=False)
        means.append(among[np.ix_(batch, batch)].sum() / 2)
    expected = expected_false_negatives(*([row[place] for row in several] for place in range(3)), batch_size=12)
    assert abs(np.mean(means) - expected.any) < 4 * np.std(means) / len(means) ** 0.5
    assert expected.any <= expected.images + expected.texts + expected.labels


def test_a_batch_is_no_larger_than_the_data():
    expected = expected_false_negatives([0, 0, 1], [["a"], ["b"], ["c"]], [[], [], []], batch_size=128)
    assert (expected.batch_size, expected.any, expected.images) == (3, 1.0, 1.0)
    assert expected_false_negatives([0], [[]], [[]], 8).any == 0


def test_a_text_of_a_whole_class_is_counted_quickly():
    """20,000 examples: all pairs would be 200 million."""
    pairs = pairs_in_common(list(range(20_000)), [["one text"]] * 20_000, [[]] * 20_000)
    assert pairs == 20_000 * 19_999 // 2


@pytest.mark.skipif(not REAL_VOCABULARY.is_file(), reason="needs the vocabulary of ../shared/data/clip-facts")
def test_the_estimate_of_tokens_is_near_the_truth():
    tokenizer = real_tokenizer()
    texts = ["A child in a pink dress is climbing up a set of stairs in an entry way .", "Wanted", "12 o'clock, 1999!",
             "Extracting information from photographs with convolutional neural networks", "", "x" * 30,
             "Кошка сидит на окне и смотрит на улицу", "猫が窓辺に座っている", "고양이가 창가에 앉아 있다"]
    for text in texts[:4]:
        assert abs(estimated_tokens(text) - len(tokenizer(text)["input_ids"])) <= 3, text
    total = sum(len(tokenizer(text)["input_ids"]) for text in texts)
    assert 0.8 < sum(map(estimated_tokens, texts)) / total < 1.25


@pytest.mark.parametrize("text", ["a cat", "Übermut", "São João é MANHÃ", "“quoted” – dash…", "ﬁsh & chips &amp; peas",
                                  "ｗｉｄｅ", "東京", "Ìsola", "Ân", "naïve café", "𝓯𝓪𝓷𝓬𝔂", "👍🏽", "5 °C", "½ litre"])
def test_sound_texts_have_a_sound_encoding(text):
    assert _encoding_check()(text) == ""


@pytest.mark.parametrize("letter", "äöüßéèñçøåðýÄÖÜÉ")
@pytest.mark.parametrize("wrong", ["latin-1", "cp1252"])
def test_utf_8_that_was_read_as_something_else_is_found(letter, wrong):
    text = f"ein {letter}wort und noch eins"
    assert _encoding_check()(text.encode().decode(wrong)) == text


@pytest.mark.parametrize(("text", "is_one"), [
    ("IMG_1234.jpg", True), ("holiday.JPEG", True), ("www.example.org", True), ("DSC00017", True),
    ("3f2a9c1b-77aa-4c1d-9f00-aabbccddeeff", True), ("Screenshot 2024-01-02", True), ("Wanted", False),
    ("2011-11-11", False), ("image of a cat", False), ("see www.example.org for more", False), ("deadbeef", False)])
def test_names_of_files_are_told_from_titles(text, is_one):
    assert (FILE_NAME.fullmatch(text) is not None) == is_one


def test_plain_leaves_what_a_reader_hears():
    assert plain("  The  Cedar_tree, at-NIGHT! ") == plain("the cedar tree at night") == "the cedar tree at night"
    assert plain("!!!") == ""
    assert plain("two cats") != plain("two dogs")
