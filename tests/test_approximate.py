"""Approximate search against float64 over all vectors: scores, filters, new rows, and the recall it says it has."""

from __future__ import annotations

from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest

from vector_universe.errors import UserError
from vector_universe.index.search import approximate, recall
from vector_universe.index.search.approximate import Setting, build_vector_index, candidates, nearest
from vector_universe.index.search.recall import MeasuredRecall, Reached, measure_recall, sample_queries
from vector_universe.index.search.vector_scan import exact_nearest, vectors_of

ROWS, WIDTH = 6000, 64
MEASURED = MeasuredRecall(20, ROWS, 1, 1, {
    "fast": Reached(4, 2, 0.9, 0.9, 1.0), "balanced": Reached(30, 5, 1.0, 1.0, 1.0),
    "thorough": Reached(30, 10, 1.0, None, 1.0)})


def vectors(seed: int, count: int) -> np.ndarray:
    """Clustered unit rows in float16, as they are stored."""
    centres = np.random.default_rng(0).standard_normal((40, WIDTH))
    draw = np.random.default_rng(seed)
    rows = centres[draw.integers(40, size=count)] + draw.standard_normal((count, WIDTH))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def rows(start: int, stored_ND: np.ndarray) -> pa.Table:
    numbers = np.arange(start, start + len(stored_ND))
    vector = pa.FixedSizeListArray.from_arrays(stored_ND.ravel(), WIDTH)
    text = pa.array([None if number % 3 else row for number, row in zip(numbers, stored_ND.tolist(), strict=True)],
                    pa.list_(pa.float16(), WIDTH))
    return pa.table({"number": numbers, "image": vector, "text": text})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with an index of 30 partitions, and 50 rows that came later."""
    path = tmp_path_factory.mktemp("table")
    table = lancedb.connect(path).create_table("items", rows(0, vectors(1, ROWS)), on_bad_vectors="null")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approximate, "_ROWS_PER_PARTITION", 200)
        build_vector_index(table, "image")
    table.add(rows(ROWS, vectors(2, 50)), on_bad_vectors="null")
    return path


@pytest.fixture
def table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> lancedb.table.Table:
    monkeypatch.setattr(approximate, "_ROWS_PER_PARTITION", 200)
    return lancedb.connect(folder).open_table("items")


def numbers_of(table: lancedb.table.Table) -> dict[int, int]:
    found = table.search().select(["number"]).with_row_id(True).to_arrow()
    return dict(zip(found["_rowid"].to_pylist(), found["number"].to_pylist(), strict=True))


def reference(query_D: np.ndarray, k: int, kept: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Numbers and cosines by float64 over all rows."""
    stored_ND = np.concatenate([vectors(1, ROWS), vectors(2, 50)]).astype(np.float64)
    scores_N = stored_ND @ query_D.astype(np.float64) / np.linalg.norm(stored_ND, axis=1) / np.linalg.norm(
        query_D.astype(np.float64))
    order = kept[np.argsort(-scores_N[kept], kind="stable")][:k]
    return order.tolist(), scores_N[order]


@pytest.mark.parametrize("effort", ["balanced", "thorough", "exact"])
@pytest.mark.parametrize(("where", "limit"), [(None, ROWS + 50), ("number < 3000", 3000), ("number < 6", 6)])
@pytest.mark.parametrize("switch", [0, 20_000])  # filters by the index, and by reading what they keep
def test_finds_what_float64_finds(table, monkeypatch, effort, where, limit, switch):
    monkeypatch.setattr(approximate, "_EXACT_MATCHES", switch)
    numbers = numbers_of(table)
    for query_D in vectors(3, 5).astype(np.float32) * 3:
        ids, scores = nearest(table, "image", query_D, 20, where=where, effort=effort, measured=MEASURED)
        right, right_scores = reference(query_D, 20, np.arange(limit))
        assert [numbers[id] for id in ids] == right
        np.testing.assert_allclose(scores, right_scores, atol=1e-12)


def test_scores_do_not_depend_on_the_effort(table):
    query_D = vectors(4, 1)[0].astype(np.float32)
    exact = dict(zip(*nearest(table, "image", query_D, 500, effort="exact", measured=MEASURED), strict=True))
    fast = dict(zip(*nearest(table, "image", query_D, 20, effort="fast", measured=MEASURED), strict=True))
    assert all(exact[id] == score for id, score in fast.items())


def test_rows_that_came_after_the_index_are_found(table):
    numbers = numbers_of(table)
    for place, query_D in enumerate(vectors(2, 50)):
        ids, scores = nearest(table, "image", query_D.astype(np.float32), 1, effort="fast", measured=MEASURED)
        assert numbers[ids[0]] == ROWS + place
        assert scores[0] == pytest.approx(1.0)


def test_no_match_and_more_asked_for_than_there_is(table):
    query_D = vectors(4, 1)[0].astype(np.float32)
    assert nearest(table, "image", query_D, 5, where="number < 0", measured=MEASURED)[0] == []
    assert len(nearest(table, "image", query_D, 10_000_000, measured=MEASURED)[0]) == ROWS + 50
    assert len(nearest(table, "image", query_D, 30, where="number < 6", measured=MEASURED)[0]) == 6


def test_nulls_are_passed_over(table):
    ids, _ = exact_nearest(table, "text", vectors(4, 1), 10_000_000)[0]
    assert len(ids) == len(range(0, ROWS, 3)) + len(range(ROWS, ROWS + 50, 3))


def test_vectors_of_rows_in_the_order_asked_for(table):
    numbers = numbers_of(table)
    ids = [id for id, number in numbers.items() if number in (4000, 17, 5999)] * 2
    expected = vectors(1, ROWS)[[numbers[id] for id in ids]].astype(np.float32)
    np.testing.assert_array_equal(vectors_of(table, "image", ids), expected)
    with pytest.raises(UserError, match="no vector"):
        vectors_of(table, "text", [id for id, number in numbers.items() if number == 1])


def test_measured_recall_is_that_of_a_slow_reference(table, monkeypatch):
    monkeypatch.setattr(recall, "_grid", lambda partitions: iter([Setting(2, 2)]))
    images_QD, texts_QD = sample_queries(table, "image", "text", 30)
    assert texts_QD is not None
    outside_QD = np.random.default_rng(5).standard_normal((30, WIDTH)).astype(np.float32)  # of no cluster
    measured = measure_recall(table, "image", images_QD, outside_QD)
    numbers = numbers_of(table)

    def share(query_D: np.ndarray, itself: int) -> float:
        found = [numbers[id] for id in candidates(table, "image", query_D, 21, Setting(2, 2))[0]]
        right = reference(query_D, 21, np.arange(ROWS + 50))[0]
        return len(set(found[itself:itself + 20]) & set(right[itself:itself + 20])) / 20

    assert measured.efforts["balanced"].image == pytest.approx(np.mean([share(query_D, 1) for query_D in images_QD]))
    assert measured.efforts["fast"].text == pytest.approx(np.mean([share(query_D, 0) for query_D in outside_QD]))
    assert 0 < measured.efforts["fast"].text <= 1


def test_efforts_reach_their_targets_or_say_what_they_reach(table):
    images_QD, _ = sample_queries(table, "image", None, 30)
    measured = measure_recall(table, "image", images_QD, None)
    assert measured.efforts["fast"].nprobes <= measured.efforts["thorough"].nprobes
    assert measured.efforts["thorough"].image >= 0.995
    assert measured.efforts["thorough"].text is None
    assert MeasuredRecall.from_json(measured.to_json()) == measured


def test_samples_are_drawn_by_the_seed(table):
    first, texts = sample_queries(table, "image", "text", 10, seed=1)
    again, _ = sample_queries(table, "image", "text", 10, seed=1)
    other, _ = sample_queries(table, "image", "text", 10, seed=2)
    np.testing.assert_array_equal(first, again)
    assert texts is not None
    assert texts.shape == (10, WIDTH)
    assert not np.array_equal(first, other)


def test_round_trip_and_damage_of_what_was_measured():
    assert MeasuredRecall.from_json(MEASURED.to_json()) == MEASURED
    for text in ("", "[]", "{}", MEASURED.to_json().replace("refine", "refined")):
        with pytest.raises(UserError, match="overwrite"):
            MeasuredRecall.from_json(text)


def test_an_unknown_effort_is_refused(table):
    with pytest.raises(UserError, match="fast, balanced, thorough or exact"):
        nearest(table, "image", vectors(4, 1)[0], 5, effort="quick", measured=MEASURED)


def test_a_damaged_index_and_a_damaged_table_are_named(tmp_path):
    path = tmp_path / "items.lance"
    table = lancedb.connect(tmp_path).create_table("items", rows(0, vectors(1, ROWS)).drop_columns("text"))
    build_vector_index(table, "image")
    for inside, effort in (("_indices", "balanced"), ("data", "exact")):
        for file in (path / inside).rglob("*"):
            if file.is_file():
                file.write_bytes(b"damaged" * 10)
        with pytest.raises(UserError, match=r"cannot be read: index it again with `vu index … --overwrite`"):
            nearest(lancedb.connect(tmp_path).open_table("items"), "image", vectors(4, 1)[0].astype(np.float32), 5,
                    effort=effort, measured=MEASURED)
