"""Nearest neighbours against scikit-learn, and where several are equally near."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from vector_universe.errors import UserError
from vector_universe.evaluation.classification import classify
from vector_universe.evaluation.nearest_neighbours import TILE, neighbour_scores


def unit(rows, width, seed):
    made = np.random.default_rng(seed).normal(size=(rows, width))
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.mark.parametrize("neighbours", [1, 7, 20, 120])
def test_votes_equal_those_of_scikit_learn(neighbours):
    train, queries = unit(120, 8, 0), unit(TILE + 50, 8, 1)
    classes = np.random.default_rng(2).integers(0, 4, len(train))
    model = KNeighborsClassifier(neighbours, metric="cosine", algorithm="brute",
                                 weights=lambda far: np.exp((1 - far) / 0.07)).fit(train, classes)
    found = neighbour_scores(queries, train, classes, 4, neighbours)
    assert found == pytest.approx(model.predict_proba(queries), abs=1e-9)
    single = neighbour_scores(queries.astype(np.float32), train.astype(np.float32), classes, 4, neighbours)
    assert (single.argmax(axis=1) == model.predict(queries)).mean() > 0.99


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=1, max_size=12), st.data())
def test_equally_near_ones_share_the_last_votes(cosines, data):
    """Against the mean over all orders in which equals can stand, of which each is as likely."""
    neighbours = data.draw(st.integers(1, len(cosines)))
    classes = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(cosines), max_size=len(cosines))))
    train = np.array(cosines, float)[:, None] / 2
    found = neighbour_scores(np.ones((1, 1)), train, classes, 3, neighbours, temperature=0.5)[0]
    last = sorted(cosines)[-neighbours]
    nearer, level = [c > last for c in cosines], [c == last for c in cosines]
    votes = np.zeros(3)
    for place, cosine in enumerate(cosines):
        share = 1.0 if nearer[place] else (neighbours - sum(nearer)) / sum(level) if level[place] else 0.0
        votes[classes[place]] += share * np.exp(cosine / 2 / 0.5)
    assert found == pytest.approx(votes / votes.sum())


def test_the_order_of_rows_changes_nothing_in_a_collapsed_model():
    same, classes = np.full((60, 4), 0.5, np.float32), np.arange(60) % 3
    found = neighbour_scores(same[:6], same, classes, 3)
    assert found == pytest.approx(np.full((6, 3), 1 / 3))
    assert classify(found, np.arange(6) % 3).top_1 == 0


@pytest.mark.parametrize("neighbours", [0, 5])
def test_more_neighbours_than_images_are_refused(neighbours):
    with pytest.raises(UserError, match="choose from 1 to 4"):
        neighbour_scores(unit(2, 3, 0), unit(4, 3, 1), np.zeros(4, int), 2, neighbours)
