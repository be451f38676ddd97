"""Classification against scikit-learn and a slow reference, and which examples have a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from vector_universe.data import Example
from vector_universe.errors import UserError
from vector_universe.evaluation.classification import class_splits, classes_of, classify


@st.composite
def scored(draw):
    """Small integer scores, so that ties are frequent."""
    rows, classes = draw(st.integers(1, 12)), draw(st.integers(2, 8))
    scores = draw(st.lists(st.lists(st.integers(-2, 2), min_size=classes, max_size=classes),
                           min_size=rows, max_size=rows))
    true = draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows))
    return np.array(scores), np.array(true)


@settings(max_examples=200, deadline=None)
@given(scored(), st.sampled_from([np.float32, np.float64, np.int64]))
def test_ranks_and_predictions_equal_a_full_sort(case, kind):
    scores, true = case
    found = classify(scores.astype(kind), true)
    for row, own in enumerate(true):
        order = sorted(range(scores.shape[1]), key=lambda c: (-scores[row, c], c == own))
        assert found.ranks_N[row] == 1 + order.index(own)
        assert found.predicted_N[row] == order[0]
    assert np.array_equal(found.correct_at_1, found.predicted_N == true)
    assert np.diag(found.confusion_CC).sum() == found.correct_at_1.sum()
    assert found.confusion_CC.sum() == len(true)


def random_scores(rows=400, classes=9):
    draw = np.random.default_rng(0)
    true = draw.choice(classes, rows, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    return draw.normal(size=(rows, classes)) + 2 * np.eye(classes)[true], true


def test_figures_equal_those_of_scikit_learn():
    scores, true = random_scores()
    found = classify(scores, true)
    predicted = scores.argmax(axis=1)
    assert found.top_1 == pytest.approx(metrics.accuracy_score(true, predicted))
    assert found.top_5 == pytest.approx(metrics.top_k_accuracy_score(true, scores, k=5))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(true, predicted))
    assert found.confusion_CC.tolist() == metrics.confusion_matrix(true, predicted).tolist()
    assert found.recall_C == pytest.approx(metrics.recall_score(true, predicted, average=None))
    assert found.precision_C == pytest.approx(metrics.precision_score(true, predicted, average=None))
    assert found.most_frequent_share == pytest.approx(np.bincount(true).max() / len(true))


def test_a_collapsed_model_scores_nothing():
    found = classify(np.zeros((30, 8), np.float32), np.arange(30) % 8)
    assert (found.top_1, found.top_5, found.balanced_accuracy) == (0, 0, 0)


def test_classes_that_do_not_occur_do_not_count():
    found = classify(np.eye(4)[[0, 0, 1]], np.array([0, 0, 0]))
    assert found.recall_C[0] == found.balanced_accuracy == pytest.approx(2 / 3)
    assert np.isnan(found.recall_C[1:]).all()
    assert np.isnan(found.precision_C[2:]).all()
    assert found.top_5 is None  # among four classes it would always be 1


@pytest.mark.parametrize(("scores", "true", "said"), [
    (np.array([[0.0, np.nan]]), [0], "row 0 of scores_NC is not finite"),
    (np.array([[0.0, 1.0], [np.inf, 0.0]]), [0, 1], "row 1 of scores_NC is not finite"),
    (np.zeros((3, 1)), [0, 0, 0], "at least two classes"),
    (np.zeros((0, 3)), [], "N ≥ 1 rows"),
    (np.zeros((2, 3)), [0], "a class for each"),
    (np.zeros((2, 3)), [0, 3], "runs from 0 to 3"),
    (np.zeros((2, 3)), [-1, 0], "runs from -1 to 0"),
])
def test_impossible_input_is_refused(scores, true, said):
    with pytest.raises(ValueError, match=said):
        classify(scores, np.array(true, int))


def examples(*labels):
    return [Example(str(i), Path(f"{i}.png"), texts=[], labels=[label] if isinstance(label, str) else list(label))
            for i, label in enumerate(labels)]


def test_classes_are_sorted_and_images_without_a_label_left_out():
    found = classes_of(examples("cat", "ant", (), "cat", "dog"), [0, 1, 2, 3])
    assert found.names == ("ant", "cat")
    assert found.places_N.tolist() == [0, 1, 3]
    assert found.numbers_N.tolist() == [1, 0, 1]
    assert found.counts_C.tolist() == [1, 2]


def test_test_images_of_strange_classes_are_left_out_with_a_warning():
    learnt, judged, warnings = class_splits(examples("cat", "ant", "cat", "fox", "ant", "gnu", "fox"),
                                            [0, 1, 2], [3, 4, 5, 6])
    assert learnt.names == judged.names == ("ant", "cat")
    assert judged.places_N.tolist() == [4]
    assert judged.numbers_N.tolist() == [0]
    assert warnings == ["3 test images are left out, of classes without a training image: 'fox', 'gnu'"]
    assert class_splits(examples("cat", "ant", "cat", "ant"), [0, 1, 2], [3])[2] == []


@pytest.mark.parametrize(("labels", "train", "test", "said"), [
    (["cat", "cat", "cat"], [0, 1], [2], "every image has the label 'cat': there is nothing to tell apart"),
    (["cat", "ant", "cat"], [0, 1], [2], "each of 2 classes has one training image"),
    (["cat", "ant", "ant", "fox"], [0, 1, 2], [3], "none of the labels 'fox' is among 'ant', 'cat'"),
    (["cat", "ant", "ant", ()], [0, 1, 2], [3], "no image has a label"),
    ([(), (), "ant"], [0, 1], [2], "no image has a label"),
])
def test_splits_that_cannot_be_learnt_are_refused(labels, train, test, said):
    with pytest.raises(UserError, match=said) as raised:
        class_splits(examples(*labels), train, test)
    assert "\n" not in str(raised.value)


def test_several_labels_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="several labels"):
        classes_of(examples(("cat", "dog"), "ant"), [0, 1])
