"""Zero-shot classification: prompts, ensembles against slow ones, intervals of the macro figure, and the section."""

from __future__ import annotations

import io
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vector_universe.data import Example, Framing, ImageTextDataset
from vector_universe.errors import UserError
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.zero_shot import evaluate_zero_shot
from vector_universe.evaluation.label_figures import macro_interval
from vector_universe.evaluation.label_ranking import average_precision_by_label, label_ranking, macro_draws, rank_rows
from vector_universe.evaluation.prompts import (
    OF_THE_DATA,
    PLAIN,
    SETS,
    Prompts,
    choose_prompts,
    fill,
    read_prompts,
    readable,
)
from vector_universe.evaluation.subject import Subject
from vector_universe.evaluation.zero_shot import class_vectors, zero_shot_scores
from vector_universe.losses import LabelSets

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "mauve": (255, 0, 255)}


class ColourModel:
    """Knows colours without learning: an image is its middle pixel, a text the mean of its colour words, with a word
    more that pulls it aside."""

    framing = Framing(8)

    def embed_pixels(self, pixels):
        return unit(pixels[:, 4, 4].astype(np.float32))

    def embed_texts(self, texts):
        words = [text.lower().replace(".", "").replace(",", "").split() for text in texts]
        return unit(np.array([np.sum([COLOURS[word] for word in own if word in COLOURS] + [(len(own), 1, 1)], axis=0)
                              for own in words], np.float32))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def picture(colour):
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), COLOURS[colour]).save(encoded, "PNG")
    return encoded.getvalue()


def example(id, colour, *labels, split="test"):
    return Example(str(id), picture(colour), [], list(labels), split=split)


def section_of(examples, config=None, name="colours", source="memory"):
    config = config or EvaluateConfig(draws=200)
    dataset = ImageTextDataset.from_examples(examples, name=name, source=source)
    return evaluate_zero_shot(Subject.of(ColourModel(), dataset), config, lambda *stage: None)


COLOURFUL = [*(example(f"{colour}{number}", colour, colour) for colour in ("red", "green", "blue")
               for number in range(4)), example("wrong", "red", "blue")]


@pytest.mark.parametrize(("label", "text"), [
    ("Action_Adventure", "action adventure"), ("t-shirt", "t-shirt"), ("  two   words ", "two words"), ("_", "_")])
def test_labels_are_made_readable(label, text):
    assert readable(label) == text


@pytest.mark.parametrize(("label", "text"), [
    ("owl", "a photo of an owl."), ("cat", "a photo of a cat."), ("umbrella", "a photo of an umbrella."),
    ("unicorn", "a photo of a unicorn."), ("user", "a photo of a user."), ("hourglass", "a photo of an hourglass."),
    ("house", "a photo of a house."), ("one-way street", "a photo of a one-way street."),
    ("onion", "a photo of an onion."), ("ewe", "a photo of a ewe."), ("Euro", "a photo of a Euro.")])
def test_articles_fit_the_label(label, text):
    assert fill("a photo of a {}.", label) == text
    assert fill("a photo of an {}.", label) == text


def test_only_the_article_right_before_the_label_changes():
    assert fill("A {} in a garden, a good {}", "owl") == "An owl in a garden, a good owl"
    assert fill("{} and {c}", "{}") == "{} and {c}"


def test_every_set_has_a_place_for_the_label_and_no_prompt_twice():
    for prompts in SETS.values():
        assert all(template.count("{}") == 1 for template in prompts.templates)
        assert len(set(prompts.templates)) == len(prompts.templates)


@pytest.mark.parametrize(("name", "source", "found"), [
    ("movie-posters-3000", "x", "poster"), ("data", "/a/Youtube_thumbnails/data", "thumbnail"),
    ("emoji-noto", "emoji-noto", "emoji"), ("cifar10", "/posters/far/off/cifar10", "photo")])
def test_auto_looks_at_the_name_of_the_data(name, source, found):
    assert choose_prompts(EvaluateConfig(), name, source) is SETS[found]


def test_the_data_sets_own_prompts_are_taken_word_for_word(tmp_path):
    (tmp_path / OF_THE_DATA).write_text("a photo of a {c}.\n{c}\n")
    found = choose_prompts(EvaluateConfig(), "posters", str(tmp_path))
    assert found.texts("Red_Owl") == ["a photo of a Red_Owl.", "Red_Owl"]
    assert choose_prompts(EvaluateConfig(prompts="plain"), "posters", str(tmp_path)) is PLAIN


def test_a_file_of_prompts(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("a drawing of a {}\n\n  the {c} \na drawing of a {}\n", encoding="utf-8-sig")
    found = choose_prompts(EvaluateConfig(prompts=str(path)), "x", "y")
    assert (found.name, found.templates) == ("own.txt", ("a drawing of a {}", "the {}"))
    assert found.texts("Old_Owl") == ["a drawing of an old owl", "the old owl"]


def test_prompts_that_cannot_be_used_are_refused_with_the_place(tmp_path):
    path = tmp_path / "own.txt"
    with pytest.raises(UserError, match=r"own\.txt cannot be read: No such file"):
        read_prompts(path)
    path.write_text("a {}\nno place\n")
    with pytest.raises(UserError, match=r"own\.txt, line 2: 'no place' has no \{\}"):
        read_prompts(path)
    path.write_text("\n")
    with pytest.raises(UserError, match="holds no prompt"):
        read_prompts(path)
    path.write_bytes(b"\xff{}")
    with pytest.raises(UserError, match="not UTF-8"):
        read_prompts(path)
    with pytest.raises(UserError, match="--prompts foto: there is no such set; choose from auto, photo"):
        choose_prompts(EvaluateConfig(prompts="foto"), "x", "y")


@given(st.integers(1, 5), st.integers(1, 4), st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=40)
def test_class_vectors_are_the_slow_ones(classes, prompts, width, seed):
    vectors = np.random.default_rng(seed).normal(size=(classes, prompts, width))
    found = class_vectors(vectors)
    for number in range(classes):
        total = np.zeros(width)
        for vector in vectors[number]:
            total += vector / np.sqrt(sum(value**2 for value in vector)) / prompts
        assert found[number] == pytest.approx(total / np.sqrt(sum(value**2 for value in total)))
    assert class_vectors(vectors * 7) == pytest.approx(found)
    assert class_vectors(vectors[:, ::-1]) == pytest.approx(found)


def test_prompts_that_cancel_each_other_are_no_nan():
    assert class_vectors(np.array([[[1.0, 0.0], [-1.0, 0.0]]])).tolist() == [[0, 0]]


def test_scores_are_cosines_with_the_mean_prompt():
    dataset = ImageTextDataset.from_examples(COLOURFUL, name="x", source="y")
    subject, prompts = Subject.of(ColourModel(), dataset), Prompts("two", ("a {}.", "the one {} thing"))
    scores = zero_shot_scores(subject, ["red", "blue"], prompts)
    for column, name in enumerate(("red", "blue")):
        texts = ColourModel().embed_texts([f"a {name}.", f"the one {name} thing"])
        wanted = unit(texts[0] + texts[1])
        assert scores[:, column] == pytest.approx(subject.images_ND @ wanted, abs=1e-6)


tables = st.integers(1, 8).flatmap(lambda rows: st.integers(1, 4).flatmap(lambda columns: st.tuples(
    st.lists(st.lists(st.integers(0, 3), min_size=columns, max_size=columns), min_size=rows, max_size=rows),
    st.lists(st.sets(st.integers(0, columns - 1)), min_size=rows, max_size=rows), st.integers(0, 9))))


@given(tables)
@settings(max_examples=60)
def test_macro_draws_are_the_figures_of_rows_drawn_again(table):
    scores, true, seed = table
    if not any(true):
        return
    scores, labels = np.array(scores, float), LabelSets.from_lists([sorted(own) for own in true], len(scores[0]))
    rows = np.array([row for row in range(len(true)) if true[row]])
    times = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=5)
    slow = []
    for drawn in times:
        again = np.repeat(rows, drawn)
        slow.append(label_ranking(scores[again], labels.take(again.tolist())).macro_average_precision)
    assert macro_draws(scores, labels, 5, seed) == pytest.approx(slow)


def test_macro_draws_come_in_blocks(monkeypatch):
    generator = np.random.default_rng(0)
    labels = LabelSets.from_lists([[int(label)] for label in generator.integers(0, 3, 50)], 3)
    scores = generator.normal(size=(50, 3))
    whole = macro_draws(scores, labels, 40, seed=3)
    monkeypatch.setattr(sys.modules["vector_universe.evaluation.label_ranking"], "BLOCK", 50 * 7)
    blocks = macro_draws(scores, labels, 40, seed=3)
    assert len(blocks) == 40
    assert blocks == pytest.approx(whole)


def test_the_macro_interval_holds_its_figure_and_narrows_with_rows():
    widths = []
    for rows in (40, 640):
        generator = np.random.default_rng(1)
        numbers = generator.integers(0, 3, rows)
        labels = LabelSets.from_lists([[int(number)] for number in numbers], 3)
        scores = generator.normal(size=(rows, 3)) + np.eye(3)[numbers]
        found = macro_interval(scores, labels, 400)
        figure = label_ranking(scores, labels).macro_average_precision
        assert found.low < figure < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


def test_rows_and_labels_by_themselves_have_the_means_of_all():
    generator = np.random.default_rng(2)
    labels = LabelSets.from_lists([[0, 2], [], [1], [2]], 4)
    scores = generator.normal(size=(4, 4))
    rows, means = rank_rows(scores, labels), label_ranking(scores, labels)
    assert rows.rows_N.tolist() == [0, 2, 3]
    assert rows.labels_N.tolist() == [2, 1, 1]
    assert rows.average_precision_N.mean() == means.average_precision
    by_label = average_precision_by_label(scores, labels)
    assert np.isnan(by_label).tolist() == [False, False, False, True]
    assert np.nanmean(by_label) == means.macro_average_precision


def test_a_section_of_classes():
    found = section_of(COLOURFUL)
    assert found.figure("test", "zero-shot top-1").value == pytest.approx(12 / 13)
    assert found.figure("test", "zero-shot balanced accuracy").value == pytest.approx((1 + 1 + 4 / 5) / 3)
    assert [figure.metric for figure in found.figures if figure.key] == ["zero-shot top-1"]
    assert found.figure("test", "zero-shot, bare label, top-1").count == 13
    assert found.figure("test", "zero-shot top-1").sample.units == tuple(one.id for one in COLOURFUL)
    assert found.tables[0].rows[0] == ("blue", 5, 0.8, 1.0, "red (1)")
    assert found.tables[1].heat
    assert found.tables[1].rows[0] == ("blue", 4, 0, 1)
    misses = [case for case in found.cases if case.kind == "miss"]
    assert len([case for case in found.cases if case.kind == "hit"]) == 6
    assert [(case.query, case.query_image, case.found_texts[0][0]) for case in misses] == [("blue", 12, "red")]
    assert found.settings["prompts"] == "photo"
    assert "a photo of a blue." in found.settings["texts"]["blue"]
    assert any("Prompts change zero-shot top-1" in remark for remark in found.remarks)


def test_the_bare_label_is_measured_once_where_it_is_the_prompt():
    found = section_of(COLOURFUL, EvaluateConfig(prompts="plain", draws=200))
    assert [figure.metric for figure in found.figures] == ["zero-shot top-1", "zero-shot balanced accuracy"]


def test_classes_without_images_are_candidates_and_told_of():
    found = section_of([*COLOURFUL, example("other", "mauve", "mauve", split="train"), example("none", "red")])
    assert found.figure("test", "zero-shot balanced accuracy").chance == 1 / 4
    assert any("candidates all the same: 'mauve'" in remark for remark in found.remarks)
    assert any("1 images of the split have no label" in remark for remark in found.remarks)


def test_a_section_of_several_labels():
    found = section_of([example("a", "red", "red", "mauve"), example("b", "blue", "blue", "mauve"),
                        example("c", "green", "green")])
    assert found.figure("test", "zero-shot mAP by label").key
    assert found.figure("test", "zero-shot mAP by label").value == 1
    assert found.figure("test", "zero-shot mAP by image").value == 1
    assert found.figure("test", "zero-shot label recall@1").value == pytest.approx(2 / 3)
    assert [row[0] for row in found.tables[0].rows] == ["blue", "green", "mauve", "red"]
    assert all(case.kind == "hit" for case in found.cases)


def test_a_collapsed_model_finds_nothing():
    class Collapsed(ColourModel):
        def embed_texts(self, texts):
            return np.tile(np.array([[1, 0, 0]], np.float32), (len(texts), 1))

    more = [example(f"{one.id} again", "green", "green") for one in COLOURFUL]
    dataset = ImageTextDataset.from_examples([*COLOURFUL, *more], name="x", source="y")
    found = evaluate_zero_shot(Subject.of(Collapsed(), dataset), EvaluateConfig(draws=200), lambda *stage: None)
    assert found.figure("test", "zero-shot top-1").value == 0
    assert "gives 26 of 26 images the label 'blue'" in found.warnings[0]
    assert not section_of([*COLOURFUL, *more]).warnings


def test_without_a_test_split_the_train_split_is_measured_and_warned_of():
    found = section_of([example(one.id, "red", *one.labels, split="train") for one in COLOURFUL])
    assert {figure.test for figure in found.figures} == {"train"}
    assert "no test split" in found.warnings[0]


def test_labels_that_read_alike_are_warned_of():
    found = section_of([*COLOURFUL, example("x", "red", "Red")])
    assert "The labels 'Red', 'red' read alike" in found.warnings[0]


@pytest.mark.parametrize(("examples", "reason"), [
    ([example("a", "red", "red"), example("b", "blue", "red")], "every image has the label 'red'"),
    ([example("a", "red", "red", split="train"), example("b", "red", "blue", split="train"), example("c", "red")],
     "no image of the test split has a label")])
def test_what_cannot_be_measured_is_said_and_refused_where_it_was_asked_for(examples, reason):
    assert reason in section_of(examples).remarks[0]
    with pytest.raises(UserError, match=reason):
        section_of(examples, EvaluateConfig(only=("zero_shot",)))


def test_without_labels_there_is_no_section():
    assert section_of([Example("a", picture("red"), ["red"], [], split="test")]) is None


def test_class_names_of_the_data_set_come_first_and_in_their_order(tmp_path):
    (tmp_path / "classnames.txt").write_text("red\nmauve\ngreen\nblue\n")
    (tmp_path / OF_THE_DATA).write_text("{c} as {c} can be\n")
    found = section_of(COLOURFUL, source=str(tmp_path))
    assert list(found.settings["texts"]) == ["red", "mauve", "green", "blue"]
    assert found.settings["texts"]["red"] == ["red as red can be"]
    assert found.figure("test", "zero-shot balanced accuracy").chance == 1 / 4


def test_cases_name_the_likeliest_first():
    for case in section_of(COLOURFUL).cases:
        assert all(one[1] >= next_one[1] for one, next_one in pairwise(case.found_texts))
