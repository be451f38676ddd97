"""Topics: planted regions are found, named by what tells them apart, and kept in a file."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from vector_universe.errors import UserError
from vector_universe.index.map.projection import project
from vector_universe.index.map.topic_names import TermCounts, distinctiveness, name_groups, telling, terms_of
from vector_universe.index.map.topics import Topics, _Silhouette, find_topics, ward

KINDS = ["cat", "engine", "violin", "forest", "pizza", "castle"]


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def planted(groups=6, each=50, width=32, spread=0.1, seed=0):
    random = np.random.default_rng(seed)
    centres = unit(random.normal(size=(groups, width)))
    return unit(np.repeat(centres, each, axis=0) + spread * random.normal(size=(groups * each, width)))


@pytest.fixture(scope="module")
def world():
    """Six planted kinds: vectors, places, titles in which each kind's word stands among words of no meaning."""
    vectors = planted()
    random = np.random.default_rng(5)
    titles = [[f"the {random.choice(['best', 'old', 'new', 'nice'])} {kind} of the day {number}"]
              for kind in KINDS for number in range(50)]
    return vectors, project(vectors), titles


# ---- the regions ----

def test_planted_kinds_are_found_and_named(world):
    vectors, places, titles = world
    topics, numbers = find_topics(vectors, places, titles, [[]] * 300)
    assert sorted(topics.names) == sorted(KINDS)
    kinds = np.repeat(KINDS, 50)
    assert [topics.names[number] for number in numbers] == kinds.tolist()
    assert topics.sizes == (50,) * 6
    assert topics.shares == (1.0,) * 6
    for number, place in enumerate(topics.positions_K2):
        members = places[numbers == number]
        assert (np.abs(members - place).sum(axis=1) == 0).any()  # it is one of them
    np.testing.assert_array_equal(topics.assign(vectors), numbers)
    assert topics.coarse_names == topics.names  # so few have one level
    assert topics.parents == tuple(range(6))


def test_centroids_are_the_unit_means(world):
    vectors, places, titles = world
    topics, numbers = find_topics(vectors, places, titles, [[]] * 300)
    for number, centroid in enumerate(topics.centroids_KD):
        mean = vectors[numbers == number].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(centroid, mean / np.linalg.norm(mean), atol=1e-6)


def test_the_same_input_gives_the_same_topics(world):
    vectors, places, titles = world
    noisy = unit(vectors + 0.2 * np.random.default_rng(1).normal(size=vectors.shape))
    first, second = (find_topics(noisy.copy(), places, titles, [[]] * 300, seed=3) for _ in range(2))
    assert first[0].to_json() == second[0].to_json()
    np.testing.assert_array_equal(first[1], second[1])


def test_two_levels_nest():
    vectors = planted(groups=40, each=25, width=48)
    labels = [[f"label{number}"] for number in range(40) for _ in range(25)]
    topics, numbers = find_topics(vectors, project(vectors), [[]] * 1000, labels, count=20)
    assert len(topics.names) == 20
    assert 8 <= len(topics.coarse_names) <= 12
    assert len({*topics.names, *topics.coarse_names}) == len(topics.names) + len(topics.coarse_names)
    sums = Counter()
    for size, parent in zip(topics.sizes, topics.parents, strict=True):
        sums[parent] += size
    assert tuple(sums[parent] for parent in range(len(topics.coarse_names))) == topics.coarse_sizes
    np.testing.assert_array_equal(np.bincount(numbers), topics.sizes)
    assert list(topics.sizes) == sorted(topics.sizes, reverse=True)


@pytest.mark.parametrize("size", [1, 2, 5, 20])
def test_few_items_have_few_topics(size):
    vectors = unit(np.random.default_rng(size).normal(size=(size, 8)))
    topics, numbers = find_topics(vectors, project(vectors), [["a title"]] * size, [[]] * size)
    assert 1 <= len(topics.names) <= 4
    assert len(set(topics.names)) == len(topics.names)
    assert len(numbers) == size


def test_equal_items_are_one_topic():
    vectors = unit(np.ones((30, 8)))
    topics, _ = find_topics(vectors, np.zeros((30, 2), np.float32), [["same"]] * 30, [[]] * 30)
    assert sum(topics.sizes) == 30


def test_more_items_than_small_clusters(world, monkeypatch):
    monkeypatch.setattr("vector_universe.index.map.topics._SEEDS", 30)
    vectors, places, titles = world
    topics, _ = find_topics(vectors, places, titles, [[]] * 300)
    assert sorted(topics.names) == sorted(KINDS)


def test_new_items_go_to_the_nearest_topic_and_no_vector_to_none(world):
    vectors, places, titles = world
    topics, numbers = find_topics(vectors, places, titles, [[]] * 300)
    new = unit(vectors[::50] + 0.05)
    strange = np.stack([np.zeros(32), np.full(32, np.nan)]).astype(np.float32)
    np.testing.assert_array_equal(topics.assign(np.concatenate([new, strange])), [*numbers[::50], -1, -1])
    assert topics.assign(vectors[:0]).shape == (0,)


def test_a_file_keeps_the_topics(world):
    vectors, places, titles = world
    topics, _ = find_topics(vectors, places, titles, [[]] * 300)
    read = Topics.from_json(topics.to_json())
    assert (read.names, read.sizes, read.parents, read.coarse_names) == (
        topics.names, topics.sizes, topics.parents, topics.coarse_names)
    np.testing.assert_allclose(read.centroids_KD, topics.centroids_KD, atol=1e-3)
    np.testing.assert_allclose(read.positions_K2, topics.positions_K2, atol=1e-4)
    assert read.to_json() == Topics.from_json(read.to_json()).to_json()
    np.testing.assert_array_equal(read.assign(vectors), topics.assign(vectors))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"names": ["a"]}'])
def test_a_damaged_file_is_refused(text):
    with pytest.raises(UserError, match="find them anew"):
        Topics.from_json(text)


def test_bad_input_is_refused(world):
    vectors, places, titles = world
    for count in (0, 301):
        with pytest.raises(UserError, match="choose from 1 to 300"):
            find_topics(vectors, places, titles, [[]] * 300, count=count)
    with pytest.raises(UserError, match="299 places"):
        find_topics(vectors, places[1:], titles, [[]] * 300)
    with pytest.raises(UserError, match="0 vectors"):
        find_topics(vectors[:0], places[:0], [], [])
    topics, _ = find_topics(vectors, places, titles, [[]] * 300)
    with pytest.raises(UserError, match="32 dimensions"):
        topics.assign(vectors[:, :3])


# ---- their parts, by definition ----

def test_ward_equals_the_definition():
    random = np.random.default_rng(0)
    points, sizes = random.normal(size=(14, 3)), random.integers(1, 6, 14)
    clusters = [[place] for place in range(14)]

    def scatter(members):
        rows = np.repeat(points[members], sizes[members], axis=0)
        return ((rows - rows.mean(axis=0))**2).sum()

    cuts = ward(points, sizes)
    assert len(cuts) == 14
    for count in range(14, 0, -1):
        assert {frozenset(np.flatnonzero(cuts[count - 1] == cluster)) for cluster in range(count)} == {
            frozenset(members) for members in clusters}
        if count > 1:
            costs = {(a, b): scatter(clusters[a] + clusters[b]) - scatter(clusters[a]) - scatter(clusters[b])
                     for b in range(count) for a in range(b)}
            a, b = min(costs, key=costs.get)
            clusters[a] += clusters.pop(b)


def test_silhouette_equals_sklearn():
    from sklearn.metrics import silhouette_score

    random = np.random.default_rng(0)
    rows, groups = random.normal(size=(60, 5)).astype(np.float32), random.integers(0, 7, 60)
    groups[0] = 9  # alone
    assert _Silhouette(rows)(groups) == pytest.approx(silhouette_score(rows, groups), abs=1e-5)
    assert _Silhouette(rows)(np.zeros(60, int)) == 0


def test_distinctiveness_and_telling_equal_their_formulas():
    counts, sizes = np.array([[8, 3, 0], [1, 4, 2]]), np.array([10, 12])
    scores, parts = distinctiveness(counts, sizes), telling(counts, sizes)
    for group in range(2):
        for term in range(3):
            inside, outside = counts[group, term], counts[1 - group, term]
            prior = 10 * (counts[:, term].sum() + 0.5) / 23
            log_odds = [math.log((y + prior) / (n - y + 10 - prior))
                        for y, n in ((inside, sizes[group]), (outside, sizes[1 - group]))]
            error = math.sqrt(1 / (inside + prior) + 1 / (outside + prior))
            assert scores[group, term] == pytest.approx((log_odds[0] - log_odds[1]) / error)
            share, overall = inside / sizes[group], counts[:, term].sum() / 22
            assert parts[group, term] == pytest.approx(share * math.log(share / overall) if share else 0)


# ---- names ----

def named(texts, labels=None, groups=2):
    each = len(texts) // groups
    counts = TermCounts(texts, labels or [[]] * len(texts), np.repeat(np.arange(groups), each), groups)
    return [found.name for found in name_groups(counts, ["a middle"] * groups)[0]]


def test_korean_names_lose_their_particles():
    cats = ["귀여운 고양이가 잔다", "고양이는 높이 뛴다", "우리 고양이를 보세요", "고양이와 함께"] * 5
    music = ["피아노가 좋다", "피아노를 치는 밤", "피아노는 어렵다", "조용한 피아노와 비"] * 5
    assert named([[text] for text in cats + music]) == ["고양이", "피아노"]


def test_scripts_without_spaces_are_named():
    assert named([[text] for text in ["可愛い猫の動画", "猫の動画です", "面白い猫の動画"] * 6
                  + ["東京の電車旅", "大阪の電車旅", "長い電車旅だ"] * 6]) == ["猫の動画", "電車旅"]


def test_a_label_goes_before_a_word_and_is_written_as_its_owner_did():
    texts = [["fast car"]] * 12 + [["slow snail"]] * 12
    labels = [["Action_Adventure"]] * 12 + [["Nature"]] * 12
    assert named(texts, labels) == ["Action Adventure", "Nature"]


def test_what_stands_everywhere_names_nothing():
    texts = [[f"the {word} of the {number}"] for word in ("moon", "sun") for number in range(15)]
    assert named(texts) == ["moon", "sun"]


def test_words_that_go_together_are_named_together():
    texts = [["Machine Learning for all"], ["what machine learning is"]] * 8 + [["a garden walk"], ["my garden"]] * 8
    assert named(texts)[0].casefold() == "machine learning"


def test_no_two_names_are_alike_and_nothing_to_say_is_said():
    assert named([["cat"]] * 40, groups=2) == ["like a middle", "like a middle (2)"]
    assert named([[]] * 40, groups=2) == ["like a middle", "like a middle (2)"]
    counts = TermCounts([[]] * 4, [[]] * 4, np.array([0, 0, 1, 1]), 2)
    assert [found.name for found in name_groups(counts, ["", ""])[0]] == ["topic 1", "topic 2"]


def test_a_fine_name_does_not_repeat_the_coarse_one():
    texts = [["red cat"]] * 10 + [["blue cat"]] * 10 + [["dog"]] * 20
    counts = TermCounts(texts, [[]] * 40, np.repeat([0, 1, 2], [10, 10, 20]), 3)
    found, _ = name_groups(counts, [""] * 3, [{"cat"}, {"cat"}, set()], ["cat"])
    assert [topic.name for topic in found] == ["red", "blue", "dog"]


def test_terms_of_an_item():
    assert terms_of(["The Cat's 2 cats, a CAT's nap"], ["Big_Cat"]) == {
        "cat's", "cats", "nap", "cat's nap", "big cat"}
