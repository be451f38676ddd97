"""Ranks against a full sort in float64: ties, several right candidates, both directions, edges of tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_universe import UserError
from vector_universe.evaluation import ranks as module
from vector_universe.evaluation.geometry import TIE
from vector_universe.evaluation.ranks import MANY, ranks, ranks_both_ways


def slow_ranks(scores, right):
    """Sort all candidates, wrong before right at equal scores; ranks of the right ones among the wrong and themselves.

    Right ones stand in the order of their scores, wherever the sort puts equal ones.
    """
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i in right))
    found, wrong = [], 0
    for candidate in order:
        if candidate in right:
            found.append(len(found) + 1 + wrong)
        else:
            wrong += 1
    return found


def assert_sorted_ranks(found, scores_QN, right):
    """First rank and average precision of every query are those of the full sort."""
    scores_QN = np.asarray(scores_QN, np.float64).tolist()
    asked = [query for query, positions in enumerate(right) if len(positions)]
    assert found.asked_A.tolist() == asked
    assert found.right_A.tolist() == [len(set(right[query])) for query in asked]
    for place, query in enumerate(asked):
        slow = slow_ranks(scores_QN[query], set(right[query]))
        assert found.first_A[place] == slow[0]
        precision = np.mean([(number + 1) / rank for number, rank in enumerate(slow)])
        assert found.average_precision_A[place] == pytest.approx(precision, abs=1e-12)
        mine = found.queries_P == query
        assert (found.wrong_P[mine] + np.arange(1, mine.sum() + 1)).tolist() == slow


def transposed(right, candidates):
    return [[query for query, positions in enumerate(right) if candidate in positions]
            for candidate in range(candidates)]


@st.composite
def searches(draw):
    """Small integer scores, so that ties are frequent: candidates are one-hot rows, queries hold the scores."""
    candidates, queries = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    scores = draw(st.lists(st.lists(st.integers(-2, 2), min_size=candidates, max_size=candidates),
                           min_size=queries, max_size=queries))
    right = draw(st.lists(st.sets(st.integers(0, candidates - 1), min_size=1), min_size=queries, max_size=queries))
    return np.array(scores, np.float32), [sorted(positions) for positions in right]


@settings(max_examples=150)
@given(searches(), st.sampled_from([1, MANY]))
def test_both_directions_equal_full_sorts(search, many):
    scores_QN, right = search
    one_hot = np.eye(scores_QN.shape[1], dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANY", many)  # 1: all queries with two right ones are sorted, the others counted
        patch.setattr(module, "SORTED", 3 * scores_QN.shape[1])
        alone = ranks(scores_QN, one_hot, right)
        forth, back = ranks_both_ways(scores_QN, one_hot, right)
    assert_sorted_ranks(alone, scores_QN, right)
    assert_sorted_ranks(forth, scores_QN, right)
    assert_sorted_ranks(back, scores_QN.T, transposed(right, scores_QN.shape[1]))


def draw_search(queries, candidates, most, seed=0, width=16):
    """Unit rows, and 1 to `most` right candidates a query."""
    generator = np.random.default_rng(seed)
    rows = [generator.normal(size=(size, width)) for size in (queries, candidates)]
    rows = [(part / np.linalg.norm(part, axis=1, keepdims=True)).astype(np.float32) for part in rows]
    right = [generator.choice(candidates, generator.integers(1, most + 1), replace=False).tolist()
             for _ in range(queries)]
    return rows[0], rows[1], right


def slow_wrong(queries_QD, candidates_ND, found):
    """Wrong candidates at or above each pair, from one full matrix in float64."""
    scores_QN = queries_QD.astype(np.float64) @ candidates_ND.astype(np.float64).T
    threshold_P = scores_QN[found.queries_P, found.candidates_P] - TIE
    scores_QN[found.queries_P, found.candidates_P] = -np.inf
    return np.array([np.count_nonzero(scores_QN[query] >= threshold)
                     for query, threshold in zip(found.queries_P, threshold_P, strict=True)])


@pytest.mark.parametrize(("rows", "columns"), [(8, 16), (7, 13), (255, 24), (300, 1000)])
@pytest.mark.parametrize(("queries", "candidates", "most"), [(48, 80, 1), (53, 91, 4), (301, 17, 3), (16, 95, 60)])
def test_every_shape_of_tiles_counts_the_same(monkeypatch, rows, columns, queries, candidates, most):
    monkeypatch.setattr(module, "ROWS", rows)
    monkeypatch.setattr(module, "COLUMNS", columns)
    queries_QD, candidates_ND, right = draw_search(queries, candidates, most)
    forth, back = ranks_both_ways(queries_QD, candidates_ND, right)
    assert forth.wrong_P.tolist() == slow_wrong(queries_QD, candidates_ND, forth).tolist()
    assert back.wrong_P.tolist() == slow_wrong(candidates_ND, queries_QD, back).tolist()
    assert sorted(zip(forth.queries_P, forth.candidates_P, strict=True)) == sorted(
        zip(back.candidates_P, back.queries_P, strict=True))


def test_full_tiles_and_their_edges():
    """More than one tile each way at the real size, with more hits a lane than a byte could hold if it ran over."""
    queries_QD, candidates_ND, right = draw_search(1100, 2100, 2, width=4)
    forth, back = ranks_both_ways(queries_QD, candidates_ND, right)
    np.testing.assert_array_equal(forth.wrong_P, slow_wrong(queries_QD, candidates_ND, forth))
    np.testing.assert_array_equal(back.wrong_P, slow_wrong(candidates_ND, queries_QD, back))


@pytest.mark.parametrize("size", [1, 2, 300, 1500])
def test_a_collapsed_model_stands_at_the_very_bottom(size):
    same = np.tile(np.random.default_rng(1).normal(size=(1, 512)), (size, 1))
    same = (same / np.linalg.norm(same, axis=1, keepdims=True)).astype(np.float32)
    for found in ranks_both_ways(same, same, [[i] for i in range(size)]):
        assert (found.first_A == size).all()


def test_cosines_nearer_than_rounding_are_equal():
    candidates = np.array([[1, 0], [1 - TIE / 2, 0], [1 - 3 * TIE, 0]], np.float32)
    assert ranks(np.array([[1, 0]], np.float32), candidates, [[0]]).first_A.tolist() == [2]
    assert ranks(np.array([[1, 0]], np.float32), candidates, [[1]]).first_A.tolist() == [2]
    assert ranks(np.array([[1, 0]], np.float32), candidates, [[2]]).first_A.tolist() == [3]


def test_equally_right_candidates_do_not_push_each_other_down():
    assert ranks(np.array([[0.9, 0.8, 0.7, 0.1]]), np.eye(4), [[0, 1, 2]]).average_precision_A.tolist() == [1]
    found = ranks(np.array([[0.5, 0.5, 0.1]]), np.eye(3), [[0, 1]])
    assert (found.first_A.tolist(), found.wrong_P.tolist()) == ([1], [0, 0])


def test_a_candidate_named_twice_counts_once():
    assert ranks(np.array([[1.0, 2.0]]), np.eye(2), [[0, 0]]).average_precision_A.tolist() == [0.5]


def test_candidates_that_are_right_for_no_query_are_not_asked():
    _, back = ranks_both_ways(np.array([[1.0, 2.0, 3.0], [1, 0, 0]]), np.eye(3), [[1], [1]])
    assert (back.asked_A.tolist(), back.right_A.tolist(), back.first_A.tolist()) == ([1], [2], [1])


def test_order_changes_nothing():
    queries_QD, candidates_ND, right = draw_search(40, 60, 3)
    order = np.random.default_rng(3).permutation(60)
    place = np.argsort(order)
    moved = ranks(queries_QD, candidates_ND[order], [place[positions].tolist() for positions in right])
    assert moved.wrong_P.tolist() == ranks(queries_QD, candidates_ND, right).wrong_P.tolist()


def test_rows_that_cannot_be_written_to_are_left_as_they_are():
    queries_QD, candidates_ND, right = draw_search(5, 9, 2)
    queries_QD.flags.writeable = candidates_ND.flags.writeable = False
    ranks_both_ways(queries_QD, candidates_ND, right)


def test_progress_adds_up_to_the_queries(monkeypatch):
    monkeypatch.setattr(module, "ROWS", 8)
    counts = []
    ranks(*draw_search(20, 9, 2), advance=counts.append)
    assert (sum(counts), len(counts)) == (20, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_no_number_is_named(value):
    queries_QD, candidates_ND, right = draw_search(5, 9, 2)
    queries_QD[3, 2] = value
    with pytest.raises(UserError, match=r"query 3 of 5 is NaN or infinite.*train the model again"):
        ranks(queries_QD, candidates_ND, right)
    with pytest.raises(UserError, match="candidate 3 of 5"):
        ranks(candidates_ND, queries_QD, [[0]] * 9)


@pytest.mark.parametrize(("right", "message"), [
    ([[0], [9]], "right candidates are 0 to 9: there are 3"), ([[-1], [0]], "-1 to 0"),
    ([[0], []], "query 1 has no right candidate"), ([[0]], "1 lists of right ones")])
def test_positions_that_cannot_be_are_refused(right, message):
    with pytest.raises(ValueError, match=message):
        ranks(np.ones((2, 3)), np.ones((3, 3)), right)


@pytest.mark.parametrize(("queries", "candidates"), [((2, 3), (3, 4)), ((2,), (3, 2)), ((0, 3), (2, 3)),
                                                     ((2, 3), (0, 3))])
def test_shapes_that_do_not_match_are_refused(queries, candidates):
    with pytest.raises(ValueError, match=r"widths must be equal|must be \(N, D\)"):
        ranks(np.ones(queries), np.ones(candidates), [[0]] * queries[0])
