"""Label ranking against slow references, ties against the model, chance by trying every order."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_universe.evaluation.label_ranking import label_ranking
from vector_universe.losses import LabelSets


def orders(scores):
    """Every order of the places from the best score to the worst that the scores allow."""
    for order in permutations(range(len(scores))):
        if all(scores[one] >= scores[next_one] for one, next_one in pairwise(order)):
            yield order


def average_precision(order, true):
    hits, total = 0, 0.0
    for place, candidate in enumerate(order, 1):
        if candidate in true:
            hits += 1
            total += hits / place
    return total / len(true)


def worst_average_precision(scores, true):
    return min(average_precision(order, true) for order in orders(scores))


def worst_recall(scores, true, k):
    return min(len(set(order[:k]) & true) for order in orders(scores)) / len(true)


tables = st.integers(1, 5).flatmap(lambda rows: st.integers(1, 5).flatmap(lambda columns: st.tuples(
    st.lists(st.lists(st.integers(0, 3), min_size=columns, max_size=columns), min_size=rows, max_size=rows),
    st.lists(st.sets(st.integers(0, columns - 1)), min_size=rows, max_size=rows))))


@given(tables)
@settings(max_examples=60)
def test_every_figure_is_that_of_the_worst_order(table):
    scores, true = table
    found = label_ranking(np.array(scores, np.float32), LabelSets.from_lists([sorted(s) for s in true], len(scores[0])))
    rows = [row for row in range(len(true)) if true[row]]
    if not rows:
        assert found is None
        return
    by_label = {label: {row for row in rows if label in true[row]} for label in range(len(scores[0]))}
    labels = [label for label in by_label if by_label[label]]
    assert (found.rows, found.labels) == (len(rows), len(labels))
    assert found.average_precision == pytest.approx(
        np.mean([worst_average_precision(scores[row], true[row]) for row in rows]))
    assert found.macro_average_precision == pytest.approx(
        np.mean([worst_average_precision([row[label] for row in scores], by_label[label]) for label in labels]))
    for k, recall in ((1, found.recall_at_1), (3, found.recall_at_3), (5, found.recall_at_5)):
        assert recall == pytest.approx(np.mean([worst_recall(scores[row], true[row], k) for row in rows]))


@pytest.mark.parametrize(("candidates", "true"), [(1, 1), (2, 1), (5, 1), (5, 2), (6, 4), (5, 5)])
def test_chance_is_the_mean_over_every_order(candidates, true):
    tried = list(permutations(range(candidates)))
    members = set(range(true))
    scores = np.arange(candidates, dtype=float)[None]
    by_row = label_ranking(scores, LabelSets.from_lists([range(true)], candidates))
    column = [[0] if row < true else [] for row in range(candidates)]
    by_label = label_ranking(scores.T, LabelSets.from_lists(column, 1))
    expected = np.mean([average_precision(order, members) for order in tried])
    assert by_row.chance_average_precision == pytest.approx(expected)
    assert by_label.chance_macro == pytest.approx(expected)
    for k, chance in ((1, by_row.chance_at_1), (3, by_row.chance_at_3), (5, by_row.chance_at_5)):
        assert chance == pytest.approx(np.mean([len(set(order[:k]) & members) / true for order in tried]))


def test_a_perfect_and_a_collapsed_model():
    labels = LabelSets.from_lists([[0, 1], [2], [3, 5]], 6)
    perfect = label_ranking(labels.multi_hot().numpy(), labels)
    assert (perfect.average_precision, perfect.macro_average_precision, perfect.recall_at_3) == (1, 1, 1)
    collapsed = label_ranking(np.zeros((3, 6)), labels)
    assert collapsed.average_precision < collapsed.chance_average_precision
    assert collapsed.macro_average_precision < collapsed.chance_macro
    assert collapsed.recall_at_1 == collapsed.recall_at_3 == 0


def test_scores_of_minus_infinity_are_the_last():
    found = label_ranking(np.array([[-np.inf, 0.0, -1.0]]), LabelSets.from_lists([[0]], 3))
    assert found.average_precision == pytest.approx(1 / 3)


def test_figures_for_json():
    found = label_ranking(np.eye(2), LabelSets.from_lists([[0], [1]], 2))
    assert found.as_dict()["recall_at_1"] == 1
    assert found.as_dict()["labels"] == 2


def test_what_does_not_fit_is_refused():
    labels = LabelSets.from_lists([[0], [1]], 2)
    with pytest.raises(ValueError, match=r"scores_BL is \(2, 3\): labels are of 2 rows out of a vocabulary of 2"):
        label_ranking(np.zeros((2, 3)), labels)
    with pytest.raises(ValueError, match="row 1 of scores_BL holds NaN"):
        label_ranking(np.array([[0, 1], [np.nan, 0]]), labels)
