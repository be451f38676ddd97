"""Comparing objectives: images needed, factors, what can be told, the page, and a comparison from end to end."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import write_shapes
from tests.test_curves import Page
from vector_universe import TrainConfig, UserError, load_dataset
from vector_universe.cli import main
from vector_universe.training.comparison import run as comparison_run
from vector_universe.training.comparison.config import CompareConfig, check_shared, run_settings, trial_settings
from vector_universe.training.comparison.efficiency import factor, images_needed
from vector_universe.training.comparison.figure import _apart
from vector_universe.training.comparison.page import comparison_page
from vector_universe.training.comparison.progress import Forecast
from vector_universe.training.comparison.results import Rate, Results, Run, spread
from vector_universe.training.comparison.run import compare
from vector_universe.training.comparison.verdict import judge, verdict

IMAGES = np.array([100, 200, 400, 800, 1600])
TINY = TrainConfig(epochs=1, batch_size=16, precision="fp32", embedding_width=16)


def made(ends, seeds=3, pictures=400, speed=None, chance=0.05, summary="shapes: 60 images"):
    """Results of objectives that end at these shares; `right` of a seed is the same pictures, shifted by one."""
    runs = {}
    for objective, end in ends.items():
        each = []
        for seed in range(seeds):
            right = np.arange(pictures) < round(pictures * end) + seed
            curve = np.linspace(0.0, right.mean(), len(IMAGES)) if speed is None else np.array(speed[objective], float)
            each.append(Run(objective, seed, IMAGES, {"name_top_10": curve}, {"name_top_10": chance},
                            {"name_top_10": right}, 10.0 + seed))
        runs[objective] = tuple(each)
    return Results(summary, tuple(ends), runs, {objective: Rate(1e-3, {5e-4: 0.1, 1e-3: 0.2, 2e-3: 0.1})
                                                for objective in ends}, "name_top_10")


# ---- images needed ----

def test_images_needed_lie_between_two_looks_by_the_logarithm():
    values = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    assert images_needed(IMAGES, values, 0.2) == pytest.approx(400)
    assert images_needed(IMAGES, values, 0.25) == pytest.approx(400 * math.sqrt(2))
    assert images_needed(IMAGES, values, 0.0) == 100
    assert images_needed(IMAGES, values, 0.41) is None


def test_a_peak_on_the_way_does_not_count():
    assert images_needed(IMAGES, np.array([0.0, 0.5, 0.1, 0.3, 0.4]), 0.3) == pytest.approx(800)
    assert images_needed(IMAGES, np.array([0.5, 0.5, 0.1, 0.3, 0.2]), 0.3) is None


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5), st.floats(0, 1))
def test_from_there_on_the_curve_stays_at_the_level(values, level):
    found = images_needed(IMAGES, np.array(values), level)
    if found is None:
        assert values[-1] < level
        return
    assert 100 <= found <= 1600 * (1 + 1e-12)
    later = np.geomspace(found * (1 + 1e-9), 1600, 50) if found < 1600 else np.array([1600.0])
    assert (np.interp(np.log(later), np.log(IMAGES), values) >= level - 1e-6).all()


def test_a_higher_level_never_needs_fewer_images():
    values = np.array([0.1, 0.3, 0.2, 0.5, 0.6])
    needed = [images_needed(IMAGES, values, level) for level in np.linspace(0, 0.6, 25)]
    assert all(one is not None for one in needed)
    assert needed == sorted(needed)


def test_factors_are_how_many_times_fewer():
    slow, fast = [0, 0, 0.1, 0.2, 0.3], [0.0, 0.1, 0.2, 0.3, 0.4]
    results = made({"info_nce": 0.4, "captioner": 0.3}, speed={"info_nce": fast, "captioner": slow})
    found = factor(results, "info_nce", "captioner", "name_top_10")
    assert found.value == pytest.approx(2)
    assert found.by_seed == pytest.approx((2, 2, 2))
    assert str(found) == "2.0 (2.0 to 2.0)"
    assert factor(results, "captioner", "info_nce", "name_top_10").value is None
    assert str(factor(results, "captioner", "info_nce", "name_top_10")) == "–"


def test_nothing_is_faster_to_what_chance_gives():
    results = made({"info_nce": 0.4, "captioner": 0.05})
    found = factor(results, "info_nce", "captioner", "name_top_10")
    assert not found.above_chance
    assert str(found) == "–"
    assert "Not told from chance: captioning." in verdict(results)


def test_a_curve_that_starts_above_says_at_least():
    results = made({"info_nce": 0.5, "captioner": 0.3},
                   speed={"info_nce": [0.4] * 5, "captioner": [0.1, 0.1, 0.1, 0.2, 0.3]})
    assert str(factor(results, "info_nce", "captioner", "name_top_10")) == "≥ 16.0 (16.0 to 16.0)"
    assert "at least 16.0 times fewer than captioning" in " ".join(verdict(results))


# ---- what can be told ----

def test_the_order_holds_is_turned_or_cannot_be_told():
    ends = {"info_nce": 0.5, "bag_of_words": 0.3, "captioner": 0.15}
    order = "The order contrastive > bag of words > captioning"
    assert verdict(made(ends))[0] == f"{order} holds here."
    assert verdict(made(ends | {"bag_of_words": 0.7}))[0] == (
        f"{order} does not hold here: contrastive ends below bag of words.")
    assert verdict(made(ends | {"bag_of_words": 0.5}))[0] == (
        "Whether the order contrastive > bag of words > captioning holds cannot be told here: too close are "
        "contrastive and bag of words.")


def test_seeds_that_disagree_tell_nothing():
    results = made({"info_nce": 0.5, "bag_of_words": 0.3})
    assert judge(results, "info_nce", "bag_of_words", "name_top_10").said == "higher"
    assert judge(results, "bag_of_words", "info_nce", "name_top_10").said == "lower"
    first, *others = results.runs["info_nce"]
    worse = replace(first, figures={"name_top_10": first.figures["name_top_10"] * 0})
    torn = replace(results, runs=results.runs | {"info_nce": (worse, *others)})
    assert judge(torn, "info_nce", "bag_of_words", "name_top_10").said == "cannot tell"


def test_a_factor_between_two_that_cannot_be_told_apart_is_in_doubt():
    results = made({"info_nce": 0.5, "bag_of_words": 0.4975, "captioner": 0.2})
    shown = comparison_page(results, TINY)
    assert "<td>1.0 (1.0 to 1.0) ?</td>" in shown
    assert "fewer than bag of words" not in " ".join(verdict(results))
    assert "fewer than captioning" in " ".join(verdict(results))


def test_one_seed_is_said_to_be_one():
    assert "There was one seed" in verdict(made({"info_nce": 0.5, "ngram": 0.3}, seeds=1))[-1]


def test_without_two_of_the_known_order_there_is_no_word_on_it():
    assert not any("order" in line for line in verdict(made({"sigmoid": 0.5, "ngram": 0.3})))


# ---- time left ----

def test_the_time_left_counts_each_objective_at_its_own_speed():
    forecast = Forecast({"info_nce": 1000, "captioner": 1000})
    assert forecast.seconds_left() is None
    forecast.note("info_nce", 100, 10.0)
    assert forecast.seconds_left() == pytest.approx(90 + 100)
    forecast.note("captioner", 100, 50.0)
    assert forecast.seconds_left() == pytest.approx(90 + 450)


# ---- the page ----

def test_the_page_needs_nothing_from_elsewhere_and_obeys_no_stranger():
    evil = "<script>alert(1)</script> & \"q\": 3 images"
    text = comparison_page(made({"info_nce": 0.5, "bag_of_words": 0.3, "captioner": 0.15}, summary=evil), TINY)
    page = Page(text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    shown = " ".join(" ".join(page.text).split())
    assert "The order contrastive > bag of words > captioning holds here." in shown
    assert "bands go from the lowest to the highest" in shown
    assert evil in shown
    assert text.count("<svg") == 1
    assert all(f"var(--series-{number})" in text.split("<svg")[1] for number in (0, 1, 3))


def test_a_rate_at_the_edge_is_named():
    results = made({"info_nce": 0.5, "captioner": 0.3})
    assert "a better one may lie" not in comparison_page(results, TINY)
    edge = replace(results, rates=results.rates | {"captioner": Rate(5e-4, {5e-4: 0.3, 1e-3: 0.2, 2e-3: 0.1})})
    assert "The best rate of captioning is the smallest or the largest tried" in comparison_page(edge, TINY)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_labels_stand_apart_and_in_order(heights):
    placed = _apart(heights)
    order = np.argsort(heights, kind="stable")
    gaps = np.diff([placed[place] for place in order])
    assert (gaps >= 0.055 - 1e-9).all()
    assert np.mean(placed) == pytest.approx(np.mean(heights))


# ---- settings ----

def test_runs_differ_in_nothing_but_objective_rate_and_seed():
    one = run_settings(TINY, "info_nce", 0, 1e-3, 8)
    other = run_settings(TINY, "sigmoid", 0, 1e-3, 8)
    assert replace(one, objective="sigmoid") == other
    assert (one.schedule, one.zero_shot_points) == ("constant", 8)
    predicting = run_settings(TINY, "bag_of_words", 0, 1e-3, 8)
    predicting.check()
    assert replace(predicting, embedding_width=16, objective="info_nce") == one
    assert trial_settings(replace(TINY, epochs=9), "info_nce", 1e-3, 100).epochs == 2
    assert trial_settings(replace(TINY, epochs=9), "info_nce", 1e-3, 100).zero_shot_points == 0


@pytest.mark.parametrize(("settings", "words"), [
    ({"objectives": ("info_nce",)}, "give two or more"), ({"objectives": ("ngram", "ngram")}, "different ones"),
    ({"objectives": ("info_nce", "gan")}, "there is no gan"), ({"seeds": 0}, "at least 1"), ({"points": 1}, "2"),
    ({"learning_rates": ()}, "none"), ({"learning_rates": (1e-3, 1e-3)}, "different"),
    ({"learning_rates": (2.0,)}, "between 0 and 1")])
def test_impossible_comparisons_are_refused(settings, words):
    with pytest.raises(UserError, match=words):
        CompareConfig(**settings).check()


@pytest.mark.parametrize("settings", [{"objective": "sigmoid"}, {"seed": 3}, {"learning_rate": 1e-3},
                                      {"early_stopping": 2}, {"schedule": "plateau"}, {"zero_shot_points": 3}])
def test_what_a_comparison_sets_itself_is_refused(settings):
    with pytest.raises(UserError, match=f"{next(iter(settings))}: a comparison sets this itself"):
        check_shared(replace(TINY, **settings))


# ---- from end to end ----

@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    dataset = load_dataset(write_shapes(tmp_path_factory.mktemp("data") / "shapes"))
    return dataset.with_splits([("train", "train", "validation", "test")[place % 4] for place in range(len(dataset))])


def test_a_comparison_chooses_rates_trains_and_goes_on(shapes, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(comparison_run, "FEW", 5)
    trained = []

    def noting(dataset, config, out, progress):
        trained.append(out.name)
        return train(dataset, config, out, progress=progress)

    train = comparison_run.train
    monkeypatch.setattr(comparison_run, "train", noting)
    config = CompareConfig(("info_nce", "bag_of_words"), seeds=1, points=2, learning_rates=(1e-3, 2e-3))
    results = compare(shapes, config, TINY, tmp_path / "out", quiet=True)
    assert trained == ["info_nce-0.001", "info_nce-0.002", "bag_of_words-0.001", "bag_of_words-0.002", "info_nce-0",
                       "bag_of_words-0"]
    assert results.any_run.images_P.tolist() == [16]
    for objective in config.objectives:
        rate = results.rates[objective]
        assert rate.tried[rate.value] == max(rate.tried.values())
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert found["verdict"] == verdict(results)
    assert len(found["factors"][found["main"]]) == 2
    assert (tmp_path / "out" / "comparison.html").read_text().count("<svg") == len(results.figure_names)

    before = results.values("info_nce", results.main)
    again = compare(shapes, replace(config, objectives=("bag_of_words", "info_nce")), TINY, tmp_path / "out",
                    quiet=True)  # finished runs and trials are taken as they are
    assert trained[6:] == ["bag_of_words-0", "info_nce-0"]
    assert (again.values("info_nce", again.main) == before).all()
    with pytest.raises(UserError, match=r"other settings \(epochs\): give --out a new folder"):
        compare(shapes, config, replace(TINY, epochs=2), tmp_path / "out", quiet=True)
    with pytest.raises(UserError, match="other data"):
        compare(shapes.select(range(40)), config, TINY, tmp_path / "out", quiet=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda data: data.with_splits(["train"] * len(data)), "no validation images"),
    (lambda data: data.select([0, 3]).with_splits(["train", "test"]), "but there are 1 training images"),
    (lambda data: data.select(range(8)), "but there are 4 training images")])
def test_data_that_cannot_be_compared_is_refused_before_any_work(shapes, tmp_path, spoil, words):
    with pytest.raises(UserError, match=words):
        compare(spoil(shapes), CompareConfig(), TINY, tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_the_command_says_in_one_line_what_is_wrong(small_folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["compare", "--data", str(small_folder), "--out", str(tmp_path / "out"), "--objectives", "info_nce"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("vu: objectives are info_nce: give two or more different ones of")


def test_spread_is_mean_least_and_most():
    assert spread([1.0, 2.0, 6.0]) == (3.0, 1.0, 6.0)
