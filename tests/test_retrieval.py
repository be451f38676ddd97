"""Figures of known ranks, what counts as a query, and the section of the report."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from vector_universe.data import Example, Framing, ImageTextDataset
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.retrieval import LEAST, MOST, evaluate_retrieval, retrieval_by_split
from vector_universe.evaluation.retrieval import median_interval, retrieval
from vector_universe.evaluation.retrieval_tests import count_queries, retrieval_tests
from vector_universe.evaluation.subject import Subject


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
    assert figures.mean_reciprocal_rank == pytest.approx((1 + 1 / 3 + 1 / 2) / 3)
    assert figures.mean_average_precision == pytest.approx(figures.mean_reciprocal_rank)
    assert set(figures.as_dict()) == {"recall_at_1", "recall_at_5", "recall_at_10", "median_rank", "chance_at_10",
                                      "mean_reciprocal_rank", "mean_average_precision", "queries", "candidates"}


def test_average_precision_looks_at_every_right_candidate():
    figures = retrieval(np.array([[9.0, 8, 7, 6]]), np.eye(4), [[0, 3]])  # at ranks 1 and 4
    assert figures.mean_average_precision == pytest.approx((1 + 2 / 4) / 2)
    assert figures.mean_reciprocal_rank == 1


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


def measure(data):
    return retrieval_by_split(Subject.of(ColourModel(), data))


def test_equal_texts_are_one_query_with_several_right_images():
    found = measure(dataset(
        Example("1", picture("red"), ["red"], []), Example("2", picture("red"), ["red"], []),
        Example("3", picture("blue"), ["blue"], [])))
    figures = found.text_to_image["train"]
    assert (figures.queries, figures.candidates, figures.recall_at_1) == (2, 3, 1)
    assert figures.chance_at_10 == 1
    assert found.image_to_text["train"].candidates == 2


def test_an_image_with_several_captions_has_several_right_texts():
    found = measure(dataset(
        Example("1", picture("red"), ["red", "the red one", "blue"], []),
        Example("2", picture("green"), ["green"], [])))
    assert found.text_to_image["train"].queries == 4
    assert found.text_to_image["train"].recall_at_1 == 0.75  # "blue" finds neither, and ties count against it
    assert found.image_to_text["train"].queries == 2
    assert found.image_to_text["train"].recall_at_1 == 1


def test_splits_are_measured_alone_and_among_all():
    found = measure(dataset(
        Example("1", picture("red"), ["red"], []), Example("2", picture("red"), ["red blue"], [], split="test"),
        Example("3", picture("green"), ["green"], [], split="test")))
    assert found.text_to_image["test"].candidates == 2
    assert found.text_to_image["test among all"].candidates == 3
    assert found.text_to_image["test"].recall_at_1 == 1
    assert found.text_to_image["test among all"].recall_at_1 == 0.5  # the equal red of the train split ties
    assert "validation" not in found.text_to_image


def test_held_out_texts_are_asked_as_unseen():
    found = measure(dataset(
        Example("1", picture("red"), ["red"], [], held_out_texts=["a red thing"]),
        Example("2", picture("blue"), ["blue"], [], held_out_texts=["green"])))
    figures = found.text_to_image["unseen texts among all"]
    assert (figures.queries, figures.recall_at_1) == (2, 0.5)


def test_labels_stand_in_for_missing_texts():
    assert Example("1", b"", [], ["red", "blue"]).prompts == ["red, blue"]
    assert Example("1", b"", ["a title"], ["red"]).prompts == ["a title"]
    found = measure(dataset(Example("1", picture("red"), [], ["red"]), Example("2", picture("blue"), [], ["blue"])))
    assert found.text_to_image["train"].recall_at_1 == 1


def test_broken_images_are_listed_and_not_counted():
    subject = Subject.of(ColourModel(), dataset(
        Example("1", picture("red"), ["red"], []), Example("bad", picture("red")[:50], ["red"], []),
        Example("2", picture("blue"), ["blue"], [])))
    assert [example.id for example in subject.examples] == ["1", "2"]
    assert retrieval_by_split(subject).text_to_image["train"].candidates == 2
    assert [row.file for row in subject.skipped] == ["bad"]


@pytest.mark.parametrize("queries_a_unit", [1, 3])
def test_a_median_is_drawn_by_units(queries_a_unit):
    """Against `np.median` of the values of the same drawn units, one by one."""
    values = np.random.default_rng(1).integers(1, 40, 24 * queries_a_unit)
    units = [f"image {number // queries_a_unit}" for number in range(len(values))]
    generator = np.random.default_rng(7)
    own = values.reshape(24, queries_a_unit)
    slow = [np.median(own[generator.integers(24, size=24)]) for _ in range(200)]
    found = median_interval(values, units, draws=200, seed=7)
    assert (found.low, found.high) == tuple(np.quantile(slow, [0.025, 0.975]))
    assert found.low < np.median(values) < found.high


class NumberModel:
    """An image is the vector of its brightness, a number up to 40, a text "n …" that of n."""

    framing = Framing(8)

    def embed_pixels(self, pixels):
        return rows_of(np.rint(pixels[:, 4, 4, 0] / 6).astype(int).tolist())

    def embed_texts(self, texts):
        return rows_of([int(text.split()[0]) for text in texts])


def rows_of(numbers):
    """Unit rows on a quarter of a circle: the nearer two numbers, the higher their cosine."""
    angles = np.array(numbers, float).reshape(-1) * (np.pi / 2 / 41)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def grey(number):
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), (number * 6,) * 3).save(encoded, "PNG")
    return encoded.getvalue()


def numbered(number, texts, labels=(), split="test"):
    return Example(f"{split} {number}", grey(number), list(texts), list(labels), split=split)


def section_of(*examples, draws=100):
    subject = Subject.of(NumberModel(), dataset(*examples))
    section = evaluate_retrieval(subject, EvaluateConfig(draws=draws), lambda *_: None)
    return subject, section


def wrong_in_part(count=40, wrong=10):
    """Image n carries "n", but for the first few, which carry the number of another end."""
    return [numbered(n, [f"{40 - n} wrong" if n < wrong else f"{n} right"], ["even" if n % 2 == 0 else "odd", "all"])
            for n in range(count)]


def test_the_section_has_every_figure_with_interval_and_chance():
    subject, section = section_of(*wrong_in_part(), numbered(40, ["40"], split="train"))
    found = retrieval_by_split(subject)
    assert section.details["text_to_image"]["test"] == found.text_to_image["test"].as_dict()
    for direction, tests in (("text → image", found.text_to_image), ("image → text", found.image_to_text)):
        for metric, name in (("R@1", "recall_at_1"), ("R@5", "recall_at_5"), ("R@10", "recall_at_10"),
                             ("MRR", "mean_reciprocal_rank"), ("mAP", "mean_average_precision"),
                             ("median rank", "median_rank")):
            figure = section.figure("test", f"{direction} {metric}")
            assert figure.value == pytest.approx(getattr(tests["test"], name))
            assert figure.low <= figure.value <= figure.high
            assert figure.low < figure.high or metric == "median rank"
            assert figure.count == 40
    assert section.figure("test", "text → image R@1").chance == pytest.approx(1 / 40)
    assert section.figure("test", "text → image median rank").chance == pytest.approx(41 / 2)
    assert section.figure("test", "text → image median rank").better == "lower"
    assert {(figure.test, figure.metric) for figure in section.figures if figure.key} == {
        ("test", "text → image R@1"), ("test", "text → image R@10"),
        ("test", "image → text R@1")}
    assert section.figure("test among all", "text → image R@5").value <= section.figure("test",
                                                                                     "text → image R@5").value
    assert not section.warnings


def test_captions_of_one_image_are_one_unit_and_shared_texts_belong_to_the_first():
    subject, section = section_of(numbered(3, ["3 a", "3 b"]), numbered(20, ["20", "3 a"]), numbered(30, ["30"]))
    assert section.figure("test", "text → image MRR").sample.units == ("test 3", "test 20", "test 30")
    assert section.figure("test", "text → image MRR").sample.counts_U.tolist() == [2, 1, 1]
    assert section.figure("test", "image → text MRR").sample.units == ("test 3", "test 20", "test 30")
    (back,) = [test for test in retrieval_tests(subject) if (test.name, test.direction) == ("test", "image → text")]
    assert back.ranks.right_A.tolist() == [2, 2, 1]


def test_recall_among_no_more_candidates_than_k_is_left_out():
    _, section = section_of(*(numbered(n, [f"{n}"]) for n in range(6)))
    metrics = [figure.metric for figure in section.figures if figure.test == "test"]
    assert "text → image R@5" in metrics
    assert "text → image R@10" not in metrics
    assert "test, text → image: R@10 left out, as there are only 6 candidates." in section.remarks
    assert section.figure("test", "text → image R@5").chance == pytest.approx(5 / 6)


def test_labels_with_enough_queries_have_a_row():
    _, section = section_of(*wrong_in_part(), numbered(40, ["40"], ["rare"]))
    (table,) = section.tables
    assert table.columns == ("label", "queries", "R@10", "MRR")
    assert [row[:2] for row in table.rows] == [("all", 40), ("even", 20), ("odd", 20)]
    assert "1 with fewer than 10 queries" in table.note
    even, odd = table.rows[1], table.rows[2]
    everyone = table.rows[0]
    assert everyone[2] == pytest.approx((even[2] + odd[2]) / 2)
    assert everyone[3] == pytest.approx((even[3] + odd[3]) / 2)


def test_no_more_labels_than_fit_are_shown():
    labels = [f"label {number:02}" for number in range(MOST + 5)]
    _, section = section_of(*(numbered(n, [f"{n}"], labels) for n in range(LEAST)))
    (table,) = section.tables
    assert [row[0] for row in table.rows] == labels[:MOST]
    assert "5 less frequent labels" in table.note
    assert table.columns == ("label", "queries", "MRR")  # R@10 among 10 would say nothing


def test_the_curve_ends_at_one_and_begins_at_recall_at_1():
    _, section = section_of(*wrong_in_part())
    (plot,) = section.plots
    found, chance = plot.curves
    assert plot.x_log
    assert (found.x[0], found.x[-1], chance.style) == (1, 40, "dashed")
    assert found.y[0] == section.figure("test", "text → image R@1").value
    assert (found.y[-1], chance.y[-1]) == (1, 1)
    assert chance.y[0] == pytest.approx(1 / 40)
    assert list(found.y) == sorted(found.y)


def test_cases_are_hits_and_the_worst_misses():
    subject, section = section_of(*wrong_in_part())
    asked = [case for case in section.cases if case.query_image is None]
    hits = [case for case in asked if case.kind == "hit"]
    misses = [case for case in asked if case.kind == "miss"]
    assert (len(hits), len(misses)) == (6, 6)
    assert [case.wanted for case in misses] == [(place,) for place in range(6)]  # the farther, the worse
    assert misses[0].note == "rank 40 of 40"
    assert len({case.wanted for case in hits}) == 6
    for case in asked:
        assert [right for *_, right in case.found].count(True) == (1 if case.kind == "hit" else 0)
        assert [score for _, score, _ in case.found] == sorted((score for _, score, _ in case.found), reverse=True)
        assert len(case.found) == 5
        cosine = float(subject.embed_texts([case.query])[0] @ subject.images_ND[case.found[0][0]])
        assert case.found[0][1] == pytest.approx(cosine, abs=1e-6)
    assert all(case.found[0][2] for case in hits)
    assert section.cases == section_of(*wrong_in_part())[1].cases


def test_pictures_with_texts_of_their_own_are_asked_with_too():
    _, section = section_of(*wrong_in_part())
    asked = [case for case in section.cases if case.query_image is not None]
    assert [case.kind for case in asked] == ["hit"] * 3 + ["miss"] * 3
    assert asked[0].found_texts[0][0] == asked[0].query
    assert asked[0].found_texts[0][2]
    assert not asked[-1].found_texts[0][2]
    _, section = section_of(*(numbered(n, [], [f"{n}"]) for n in range(12)))
    assert not [case for case in section.cases if case.query_image is not None]


def test_without_a_test_split_the_section_says_so():
    _, section = section_of(*(numbered(n, [f"{n}"], split="train") for n in range(12)))
    assert "no validation or test split" in section.warnings[0]
    assert section.figure("train", "text → image R@1").key
    assert section.figure("train among all", "text → image R@1").value == 1


def test_no_readable_image_is_no_section():
    broken = Example("bad", picture("red")[:50], ["red"], [])
    assert evaluate_retrieval(Subject.of(ColourModel(), dataset(broken)), EvaluateConfig(), lambda *_: None) is None


def test_progress_ends_where_it_says():
    subject = Subject.of(NumberModel(), dataset(*wrong_in_part(), numbered(40, ["40"], split="train")))
    calls = []
    evaluate_retrieval(subject, EvaluateConfig(draws=100), lambda *call: calls.append(call))
    assert calls[-1] == ("ranking", count_queries(subject), count_queries(subject))
    assert all(done <= total for _, done, total in calls)
