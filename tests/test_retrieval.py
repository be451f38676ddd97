"""Ranks against a slow reference, and what `evaluate` counts as a query."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vector_universe.data import Example, Framing, ImageTextDataset
from vector_universe.evaluation import evaluate, prompts, retrieval
from vector_universe.evaluation.retrieval import TILE, first_ranks


def slow_rank(scores, right):
    """Sort all candidates, wrong before right at equal scores; how many wrong ones stand before the first right."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i in right))
    return 1 + next(place for place, candidate in enumerate(order) if candidate in right)


@st.composite
def searches(draw):
    """Small integer scores, so that ties are frequent: candidates are one-hot rows, queries hold the scores."""
    candidates, queries = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    scores = draw(st.lists(st.lists(st.integers(-2, 2), min_size=candidates, max_size=candidates),
                           min_size=queries, max_size=queries))
    right = draw(st.lists(st.sets(st.integers(0, candidates - 1), min_size=1), min_size=queries, max_size=queries))
    return np.array(scores, np.float32), [sorted(positions) for positions in right]


@settings(max_examples=200, deadline=None)
@given(searches())
def test_ranks_equal_a_full_sort(search):
    scores, right = search
    ranks = first_ranks(scores, np.eye(scores.shape[1], dtype=np.float32), right)
    assert ranks.tolist() == [slow_rank(row, set(r)) for row, r in zip(scores.tolist(), right, strict=True)]


def test_a_tie_counts_against_the_model():
    assert first_ranks(np.array([[0.5, 0.5, 0.1]]), np.eye(3), [[0]]).tolist() == [2]


def test_equally_right_candidates_do_not_push_each_other_down():
    assert first_ranks(np.array([[0.9, 0.8, 0.7, 0.1]]), np.eye(4), [[0, 1, 2]]).tolist() == [1]
    assert first_ranks(np.array([[0.5, 0.5, 0.1]]), np.eye(3), [[0, 1]]).tolist() == [1]


def test_collapsed_embeddings_find_nothing():
    same = np.full((30, 4), 0.5, np.float32)
    figures = retrieval(same, same, [[i] for i in range(30)])
    assert (figures.recall_at_1, figures.recall_at_5, figures.recall_at_10) == (0, 0, 0)
    assert figures.median_rank == 30


def test_figures_of_known_ranks():
    scores = np.array([[9, 0, 0], [5, 4, 9], [3, 2, 1]], float)
    figures = retrieval(scores, np.eye(3), [[0], [1], [1]])  # ranks 1, 3, 2
    assert figures.recall_at_1 == pytest.approx(1 / 3)
    assert (figures.recall_at_5, figures.median_rank, figures.queries, figures.candidates) == (1, 2, 3, 3)
    assert set(figures.as_dict()) == {"recall_at_1", "recall_at_5", "recall_at_10", "median_rank", "chance_at_10",
                                      "queries", "candidates"}


def test_more_queries_than_one_tile():
    draw = np.random.default_rng(0)
    queries, candidates = draw.normal(size=(TILE + 77, 6)), draw.normal(size=(40, 6))
    right = [[int(i)] for i in draw.integers(0, 40, len(queries))]
    one_by_one = [int(first_ranks(queries[i:i + 1], candidates, right[i:i + 1])[0]) for i in range(len(queries))]
    assert first_ranks(queries, candidates, right).tolist() == one_by_one


@pytest.mark.parametrize(("candidates", "right"), [(100, 1), (100, 7), (11, 2), (12, 1), (10, 1), (3, 1), (2000, 30)])
def test_chance_is_the_hypergeometric_one(candidates, right):
    k = min(10, candidates)
    expected = 1 - math.comb(candidates - right, k) / math.comb(candidates, k)
    found = retrieval(np.ones((1, 1)), np.ones((candidates, 1)), [list(range(right))])
    assert found.chance_at_10 == pytest.approx(expected, abs=1e-12)


def test_no_query_or_no_candidate_is_no_figure():
    some, none = np.ones((2, 3)), np.empty((0, 3))
    assert retrieval(none, some, []) is None
    assert retrieval(some, none, [[], []]) is None


COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColourModel:
    """Knows colours without learning: an image is its middle pixel, a text is the mean of its colour words."""

    framing = Framing(8)

    def embed_pixels(self, pixels):
        return pixels[:, 4, 4].astype(np.float32) / 255

    def embed_texts(self, texts):
        return np.array([np.mean([COLOURS[word] for word in text.split() if word in COLOURS], axis=0)
                         for text in texts], np.float32).reshape(-1, 3) / 255


def picture(colour):
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), COLOURS[colour]).save(encoded, "PNG")
    return encoded.getvalue()


def dataset(*examples):
    return ImageTextDataset.from_examples(examples, name="colours", source="memory")


def test_equal_texts_are_one_query_with_several_right_images():
    found = evaluate(ColourModel(), dataset(
        Example("1", picture("red"), ["red"], []), Example("2", picture("red"), ["red"], []),
        Example("3", picture("blue"), ["blue"], [])))
    figures = found.text_to_image["train"]
    assert (figures.queries, figures.candidates, figures.recall_at_1) == (2, 3, 1)
    assert figures.chance_at_10 == 1
    assert found.image_to_text["train"].candidates == 2


def test_an_image_with_several_captions_has_several_right_texts():
    found = evaluate(ColourModel(), dataset(
        Example("1", picture("red"), ["red", "the red one", "blue"], []),
        Example("2", picture("green"), ["green"], [])))
    assert found.text_to_image["train"].queries == 4
    assert found.text_to_image["train"].recall_at_1 == 0.75  # "blue" finds neither, and ties count against it
    assert found.image_to_text["train"].queries == 2
    assert found.image_to_text["train"].recall_at_1 == 1


def test_splits_are_measured_alone_and_among_all():
    found = evaluate(ColourModel(), dataset(
        Example("1", picture("red"), ["red"], []), Example("2", picture("red"), ["red blue"], [], split="test"),
        Example("3", picture("green"), ["green"], [], split="test")))
    assert found.text_to_image["test"].candidates == 2
    assert found.text_to_image["test among all"].candidates == 3
    assert found.text_to_image["test"].recall_at_1 == 1
    assert found.text_to_image["test among all"].recall_at_1 == 0.5  # the equal red of the train split ties
    assert "validation" not in found.text_to_image


def test_held_out_texts_are_asked_as_unseen():
    found = evaluate(ColourModel(), dataset(
        Example("1", picture("red"), ["red"], [], held_out_texts=["a red thing"]),
        Example("2", picture("blue"), ["blue"], [], held_out_texts=["green"])))
    figures = found.text_to_image["unseen texts among all"]
    assert (figures.queries, figures.recall_at_1) == (2, 0.5)


def test_labels_stand_in_for_missing_texts():
    assert prompts(Example("1", b"", [], ["red", "blue"])) == ["red, blue"]
    assert prompts(Example("1", b"", ["a title"], ["red"])) == ["a title"]
    found = evaluate(ColourModel(), dataset(Example("1", picture("red"), [], ["red"]),
                                            Example("2", picture("blue"), [], ["blue"])))
    assert found.text_to_image["train"].recall_at_1 == 1


def test_broken_images_are_listed_and_not_counted():
    found = evaluate(ColourModel(), dataset(
        Example("1", picture("red"), ["red"], []), Example("bad", picture("red")[:50], ["red"], []),
        Example("2", picture("blue"), ["blue"], [])))
    assert found.images == 2
    assert found.text_to_image["train"].candidates == 2
    assert [row["file"] for row in found.as_dict()["skipped"]] == ["bad"]
