"""What is made of figures: comparisons, the verdict, the page and the console. The figures here are made up."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.test_leaks import encoded, noise
from vector_universe.data import Example, ImageTextDataset
from vector_universe.errors import UserError
from vector_universe.evaluation.bootstrap import Sample
from vector_universe.evaluation.compare import compare, without_leaks
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.rendering.console import print_report
from vector_universe.evaluation.rendering.page import report_page
from vector_universe.evaluation.report import Measured, Report
from vector_universe.evaluation.section import Case, Curve, Figure, Plot, Section, Table
from vector_universe.evaluation.stored import model_names, store_report
from vector_universe.evaluation.verdict import verdict

CONFIG = EvaluateConfig(draws=300)


def figure(values, test="test", metric="text → image R@10", chance=0.05, units=None, key=True):
    units = units or [f"u{number}" for number in range(len(values))]
    return Figure.mean(test, metric, Sample.of(values, units), chance=chance, key=key, draws=300)


def measured(name, *figures, section="retrieval", **parts):
    return Measured(name, "0" * 16, {"precision": "float32"},
                    {section: Section(section, "Retrieval", "How much is found.", figures, **parts)})


def some(share, count=400, seed=0):
    return (np.random.default_rng(seed).random(count) < share).astype(float)


def test_a_figure_far_above_chance_is_said_to_be():
    lines = verdict([measured("a", figure(some(0.5)))], [])
    assert re.fullmatch(r"Test: texts with a right picture among the first ten: [\d.]+ % \(95 % interval [\d.]+ to "
                        r"[\d.]+\), \d+ times chance \(5\.0 %\)\.", lines[0])


def test_a_figure_at_chance_is_not_praised():
    assert "cannot be told from chance" in verdict([measured("a", figure(some(0.05)))], [])[0]


def test_a_figure_below_chance_is_called_so():
    assert "worse than chance" in verdict([measured("a", figure(some(0.01), chance=0.5))], [])[0]


def test_few_queries_are_named():
    assert "no more than 40 queries" in " ".join(verdict([measured("a", figure(some(0.5, 40)))], []))


def test_memory_is_told_from_skill():
    lines = verdict([measured("a", figure(some(0.95), "train among all"), figure(some(0.2), "test among all"))], [])
    assert any(line.startswith("Much of it is memory") for line in lines)
    even = verdict([measured("a", figure(some(0.5), "train among all"), figure(some(0.45), "test among all"))], [])
    assert not any("memory" in line for line in even)


def test_warnings_of_sections_are_repeated():
    assert "Mind this." in verdict([measured("a", figure(some(0.5)), warnings=("Mind this.",))], [])


def test_nothing_measured_is_said():
    assert "Nothing could be measured" in verdict([Measured("a", "", {}, {})], [])[0]


def test_a_certain_difference_names_the_better_model():
    worse = some(0.4)
    better = worse.copy()
    better[np.flatnonzero(worse == 0)[:40]] = 1
    models = [measured("base", figure(worse)), measured("adapted", figure(better))]
    found = compare(models, CONFIG)
    assert [(one.one, one.other, one.winner) for one in found] == [("base", "adapted", "adapted")]
    assert found[0].difference.value == pytest.approx(0.1)
    line = verdict(models, found)[0]
    assert re.fullmatch(r"adapted is better than base in text → image R@10 on test \(\+10\.0 points, 95 % \[.+\]\)\.",
                        line)


def test_no_difference_is_no_winner():
    models = [measured("base", figure(some(0.4))), measured("adapted", figure(some(0.4, seed=3)))]
    assert compare(models, CONFIG)[0].winner is None
    assert "cannot be told apart" in verdict(models, compare(models, CONFIG))[0]


def test_of_a_figure_that_should_be_low_the_lower_one_wins():
    def low(values):
        return Figure.mean("test", "error", Sample.of(values), better="lower", key=True, draws=300)
    found = compare([measured("a", low(np.ones(50))), measured("b", low(np.zeros(50)))], CONFIG)
    assert found[0].winner == "b"


def test_only_figures_that_both_models_have_are_compared():
    models = [measured("a", figure(some(0.4), "one")), measured("b", figure(some(0.4), "another"))]
    assert compare(models, CONFIG) == []


def test_key_figures_are_given_without_leaks():
    values, units = [1.0] * 10 + [0.0] * 10, [f"u{number}" for number in range(20)]
    one = measured("a", figure(values, units=units))
    leaks = Section("leaks", "Leaks", "", details={"leaked": units[:5]})
    clean = without_leaks(Measured(one.name, "", {}, one.sections | {"leaks": leaks}), CONFIG).sections["leaks"]
    assert clean.figures[0].value == pytest.approx(5 / 15)
    assert clean.figures[0].count == 15
    assert without_leaks(one, CONFIG) is one


def report(*models, examples=()):
    data = ImageTextDataset.from_examples(
        list(examples) or [Example("x", encoded(noise(0)), ["<script>alert(1)</script>"], [])],
        name="<b>set</b>", source="made")
    found = compare(models, CONFIG)
    return Report(data, list(data), [], tuple(models), tuple(found), verdict(models, found), {"draws": 300})


class Structure(HTMLParser):
    """Tags, texts and what is loaded from elsewhere."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.outside, self.texts = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.outside += [value for name, value in attributes if name in ("src", "href") and value
                         and not value.startswith(("data:", "#"))]

    def handle_data(self, text):
        self.texts.append(text)


@pytest.fixture
def rich():
    """A report of two models with everything that a section can hold."""
    def one(name, share):
        return measured(
            name, figure(some(share)), Figure("test", "effective rank", 37.5), figure(some(share), "train", key=False),
            tables=(Table("By <i>label</i>", ("label", "R@1"), (("<u>cat</u>", 0.25), ("dog", float("nan")))),
                    Table("Confusion", ("", "cat", "dog"), (("cat", 3, 1), ("dog", 0, 4)), heat=True)),
            plots=(Plot("Curve", "What.", "k", "share", (Curve("own", (1.0, 10.0), (0.1, share)), Curve(
                "chance", (1.0, 10.0), (0.0, 0.1), style="dashed")), x_log=True),
                Plot("Reliability", "How.", "said", "was", (Curve("", (0.1, 0.9), (0.2, 0.8), (0.1, 0.7), (0.3, 0.9),
                                                                  "points"),), diagonal=True)),
            cases=(Case("hit", "<script>alert(2)</script>", wanted=(0,), found=((0, 0.5, True),), note="rank 1"),
                   Case("miss", "a picture", query_image=0, found_texts=(("<b>no</b>", 0.1, False),))),
            warnings=("Careful.",), remarks=("Quiet.",), settings={"prompts": ["a photo of {}"]},
            details={"of": (np.float32("nan"), {"inner": float("inf")}), "rows": np.arange(2)})
    return report(one("base", 0.3), one("adapted", 0.6))


def test_the_page_is_whole_and_safe(rich):
    page = report_page(rich)
    structure = Structure(page)
    assert "script" not in structure.tags
    assert "u" not in structure.tags  # markup of data is shown, not obeyed
    assert structure.outside == []
    text = " ".join(structure.texts)
    for word in ("adapted is better than base in", "<script>alert(2)</script>", "By <i>label</i>", "Careful.", "Quiet.",
                 "a photo of {}", "effective rank", "points"):
        assert word in text
    assert page.count("<svg") == 2  # plots of one title are one picture
    assert "base: own" in page
    assert "adapted: own" in page


def test_the_json_has_no_nan_and_everything_else(rich, tmp_path):
    store_report(rich, tmp_path / "out")
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert [model["name"] for model in stored["models"]] == ["base", "adapted"]
    section = stored["models"][1]["sections"]["retrieval"]
    assert section["figures"][0]["low"] < section["figures"][0]["value"] < section["figures"][0]["high"]
    assert section["tables"][0]["rows"][1] == ["dog", None]
    assert section["details"] == {"of": [None, {"inner": None}], "rows": [0, 1]}
    assert stored["comparisons"][0]["winner"] == "adapted"
    assert (tmp_path / "out" / "evaluation.html").is_file()


def test_a_report_is_written_over_its_own_kind_alone(rich, tmp_path):
    store_report(rich, tmp_path / "out")
    store_report(rich, tmp_path / "out")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        store_report(rich, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["precious.txt"]


def test_the_console_shows_key_figures_and_the_verdict(rich, capsys):
    print_report(rich)
    shown = capsys.readouterr().out
    assert "adapted is better than base" in " ".join(shown.split())
    assert "effective rank" not in shown  # no key figure


def test_figures_are_found_by_name(rich):
    assert rich.figure("retrieval", "test", "effective rank").value == 37.5
    assert rich.figure("retrieval", "test", "text → image R@10", "adapted").value > 0.5
    with pytest.raises(KeyError, match="effective rank"):
        rich.figure("retrieval", "test", "elsewhere")
    with pytest.raises(KeyError, match="there are retrieval"):
        rich.section("zero_shot")


def test_models_get_names_that_differ(tmp_path):
    assert model_names(["runs/a", "runs/b"]) == ["a", "b"]
    assert model_names(["one/model", "two/model"]) == ["one/model", "two/model"]
    assert model_names(["openai/clip", "google/siglip"]) == ["clip", "siglip"]
    assert model_names(["a", "a"]) == ["a (1)", "a (2)"]
