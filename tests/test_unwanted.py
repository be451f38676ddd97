"""*Without*: the unwanted falls, the wanted stays, nothing unrelated comes up; and the quick search is the full one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_universe.index.search.unwanted import CollectionStatistics, Ranked, rank_with_unwanted, top_with_unwanted

CLIP = Path(__file__).parents[2] / "shared/data/clip-facts"


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def z(vectors_ND: np.ndarray, query_D: np.ndarray) -> np.ndarray:
    """The reference: standardised by looking at every cosine."""
    cosines = vectors_ND.astype(np.float64) @ query_D.astype(np.float64)
    return (cosines - cosines.mean()) / cosines.std()


def slow_scores(vectors_ND, wanted_D, unwanted) -> np.ndarray:
    wanted = z(vectors_ND, wanted_D)
    return wanted - sum(weight * np.maximum(0, z(vectors_ND, vector_D) - wanted / 2) for vector_D, weight in unwanted)


def ranks(scores: np.ndarray) -> np.ndarray:
    found = np.empty(len(scores), int)
    found[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return found


def planted(concepts_CD: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of pictures that show one or two concepts, away from the concepts' own cone, and which they show."""
    shows_NC = np.zeros((count, len(concepts_CD)), bool)
    gap_D = unit(rng.normal(size=concepts_CD.shape[1]))
    vectors = []
    for row in shows_NC:
        row[rng.choice(len(row), rng.integers(1, 3), replace=False)] = True
        noise_D = rng.normal(size=len(gap_D)) / np.sqrt(len(gap_D))
        vectors.append(concepts_CD[row].mean(0) + gap_D + 0.5 * noise_D)
    return unit(np.array(vectors)).astype(np.float32), shows_NC


def average_precision(scores: np.ndarray, good: np.ndarray) -> float:
    hits = good[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def check_planted(concepts_CD: np.ndarray) -> None:
    """Over 60 queries "a without b": pictures of both fall behind those of a alone; better than the usual rules."""
    rng = np.random.default_rng(1)
    vectors_ND, shows_NC = planted(concepts_CD, 1500, rng)
    statistics = CollectionStatistics.of(vectors_ND)
    precisions: dict[str, list[float]] = {"ours": [], "plain": [], "subtracted": [], "excluded": []}
    before, after = [], []
    for _ in range(60):
        a, b = rng.choice(len(concepts_CD), 2, replace=False)
        good, both = shows_NC[:, a] & ~shows_NC[:, b], shows_NC[:, a] & shows_NC[:, b]
        if not both.any():
            continue
        wanted_D, unwanted_D = concepts_CD[a].astype(np.float32), concepts_CD[b].astype(np.float32)
        ours = rank_with_unwanted(vectors_ND, wanted_D, [(unwanted_D, 1.0)], statistics)
        assert good[np.argsort(-ours)[:5]].all()
        z_a, z_b = z(vectors_ND, wanted_D), z(vectors_ND, unwanted_D)
        for name, scores in {"ours": ours, "plain": z_a, "subtracted": vectors_ND @ (wanted_D - unwanted_D),
                             "excluded": np.where(z_b > z_a, -99, z_a)}.items():
            precisions[name].append(average_precision(scores, good))
        before.append(np.median(ranks(z_a)[both]))
        after.append(np.median(ranks(ours)[both]))
    means = {name: np.mean(values) for name, values in precisions.items()}
    assert means["ours"] > max(means["plain"], means["subtracted"], means["excluded"])
    assert np.mean(after) > 4 * np.mean(before)


def test_what_shows_both_falls_behind_what_shows_the_wanted_alone() -> None:
    concepts_CD = unit(np.random.default_rng(0).normal(size=(40, 64)) + 1.2)  # in one cone, as texts are
    check_planted(concepts_CD)


@pytest.mark.skipif(not CLIP.is_dir(), reason="needs the vectors of ../shared/data/clip-facts")
def test_it_does_with_the_texts_of_clip() -> None:
    texts_ND = unit(np.load(CLIP / "lvis_v1_clip_a+cname.npy").astype(np.float64))
    check_planted(texts_ND[np.random.default_rng(0).choice(len(texts_ND), 50, replace=False)])


@pytest.mark.skipif(not CLIP.is_dir(), reason="needs the vectors of ../shared/data/clip-facts")
def test_a_neighbour_in_meaning_falls_and_the_other_neighbours_stay() -> None:
    names = (CLIP / "lvis_names.txt").read_text().split("\n")
    texts_ND = unit(np.load(CLIP / "lvis_v1_clip_a+cname.npy").astype(np.float64)).astype(np.float32)
    statistics = CollectionStatistics.of(texts_ND)
    for wanted, unwanted in (("cat", "kitten"), ("bird", "duck"), ("dog", "puppy"), ("ball", "tennis_ball")):
        if wanted not in names or unwanted not in names:
            continue
        a, b = texts_ND[names.index(wanted)], texts_ND[names.index(unwanted)]
        plain, ours = z(texts_ND, a), rank_with_unwanted(texts_ND, a, [(b, 1.0)], statistics)
        near = np.argsort(-plain)
        assert names[np.argmax(ours)] == wanted
        assert ranks(ours)[names.index(unwanted)] > 10 * max(1, ranks(plain)[names.index(unwanted)])
        assert set(np.argsort(-ours)[:10]) <= set(near[:60])  # nothing from far away has come up


def test_it_is_the_formula_and_never_above_the_wanted() -> None:
    rng = np.random.default_rng(3)
    vectors_ND = unit(rng.normal(size=(300, 16)) + 0.5).astype(np.float32)
    wanted_D, one_D, other_D = unit(rng.normal(size=(3, 16)))
    unwanted = [(one_D, 1.0), (other_D, 2.5)]
    scores = rank_with_unwanted(vectors_ND, wanted_D, unwanted, CollectionStatistics.of(vectors_ND))
    np.testing.assert_allclose(scores, slow_scores(vectors_ND, wanted_D, unwanted), atol=1e-9)
    assert (scores <= z(vectors_ND, wanted_D) + 1e-9).all()


def test_a_sample_gives_nearly_the_same_statistics() -> None:
    vectors_ND = unit(np.random.default_rng(4).normal(size=(30_000, 8)) + 0.5).astype(np.float32)
    whole, sample = CollectionStatistics.of(vectors_ND, most=30_000), CollectionStatistics.of(vectors_ND, most=10_000)
    np.testing.assert_allclose(sample.mean_D, whole.mean_D, atol=0.01)
    np.testing.assert_allclose(sample.covariance_DD, whole.covariance_DD, atol=0.01)


def test_a_collection_of_one_picture_is_ranked() -> None:
    vectors_ND = np.tile(unit(np.ones((1, 4))), (3, 1))
    scores = rank_with_unwanted(vectors_ND, vectors_ND[0], [(vectors_ND[0], 1.0)], CollectionStatistics.of(vectors_ND))
    assert np.isfinite(scores).all()
    assert np.ptp(scores) == 0


def top(vectors_ND, wanted_D, unwanted, k, at_most=None) -> tuple[Ranked, int]:
    statistics = CollectionStatistics.of(vectors_ND)
    cosines = (vectors_ND.astype(np.float64) * wanted_D.astype(np.float64)).sum(axis=1)
    order = np.lexsort((np.arange(len(cosines)), -cosines))
    asked = 0

    def nearest(m: int):
        nonlocal asked
        asked = max(asked, m)
        return order[:m], vectors_ND[order[:m]]

    return top_with_unwanted(nearest, len(vectors_ND), k, wanted_D, unwanted, statistics, at_most), asked


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 700), st.integers(1, 120), st.integers(0, 3), st.integers(0, 10_000), st.booleans())
def test_the_quick_search_is_scoring_everything(count, k, number, seed, coarse) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(count, 4))
    vectors_ND = unit(np.round(raw) + 0.25 if coarse else raw).astype(np.float32)  # coarse: many equal vectors
    wanted_D = unit(rng.normal(size=4)).astype(np.float32)
    unwanted = [(unit(wanted_D + rng.normal(size=4)).astype(np.float32), float(rng.uniform(0.2, 3)))
                for _ in range(number)]
    found, _ = top(vectors_ND, wanted_D, unwanted, k)
    scores = rank_with_unwanted(vectors_ND, wanted_D, unwanted, CollectionStatistics.of(vectors_ND))
    assert found.complete
    assert found.rows == np.lexsort((np.arange(count), -scores))[:k].tolist()
    assert found.scores == scores[found.rows].tolist()


def test_it_looks_at_a_part_only_and_stops_where_told() -> None:
    rng = np.random.default_rng(5)
    vectors_ND = unit(rng.normal(size=(20_000, 32))).astype(np.float32)
    wanted_D, other_D = unit(rng.normal(size=(2, 32))).astype(np.float32)
    found, asked = top(vectors_ND, wanted_D, [(other_D, 1.0)], 9)
    assert found.complete
    assert asked <= 256
    near = unit(wanted_D + 0.05 * other_D)
    stopped, asked = top(vectors_ND, wanted_D, [(near, 5.0)], 9, at_most=500)
    assert asked == 500
    assert not stopped.complete
    assert len(stopped.rows) == 9
