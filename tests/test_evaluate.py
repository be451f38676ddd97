"""`evaluate` from end to end: one model, two models, what is kept on disk, and what cannot be measured."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.pictures import shape, write_shapes
from vector_universe import DualEncoder, Universe, UserError, evaluate, load_dataset
from vector_universe.cli import main
from vector_universe.data import ImageTextDataset
from vector_universe.evaluation import EvaluateConfig
from vector_universe.evaluation import run as room
from vector_universe.evaluation.config import EVALUATORS
from vector_universe.evaluation.evaluators.retrieval import retrieval_by_split
from vector_universe.evaluation.run import EVALUATE
from vector_universe.evaluation.subject import Subject
from vector_universe.evaluation.whitening import Judgement
from vector_universe.models.post_processing import fit_post_processing

QUICK = EvaluateConfig(draws=100)


@pytest.fixture
def run(small_run, tmp_path):
    """A copy of the run, to be written into."""
    shutil.copytree(small_run, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    """Shapes by colour, one label each, in three splits."""
    folder = write_shapes(tmp_path_factory.mktemp("data") / "colours")
    rows = list(csv.reader((folder / "metadata.csv").open()))[1:]
    with (folder / "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file_name", "title", "labels", "split"))
        for number, (name, title, labels) in enumerate(rows):
            table.writerow((name, title, labels.split("|")[0], ("train", "train", "validation", "test")[number % 4]))
    return folder


@pytest.fixture(scope="session")
def small_report(small_model, classes):
    """One model on the classes."""
    return evaluate(small_model, load_dataset(classes), QUICK)


def test_every_evaluator_can_be_asked_for():
    assert tuple(EVALUATE) == EVALUATORS


def test_all_that_the_data_has_something_for_is_measured(small_report):
    assert list(small_report.models[0].sections) == ["retrieval", "zero_shot", "probes", "few_shot", "geometry",
                                                     "calibration", "leaks"]
    assert small_report.figure("zero_shot", "test", "zero-shot balanced accuracy").chance == pytest.approx(1 / 6)
    assert len(small_report.examples) == 60
    assert small_report.settings["draws"] == 100


def test_figures_are_those_of_the_parts(small_report, small_model, classes):
    subject = Subject.of(small_model, load_dataset(classes))
    alone = retrieval_by_split(subject).text_to_image["test"]
    assert small_report.figure("retrieval", "test", "text → image R@5").value == alone.recall_at_5
    images, texts = subject.images_ND[subject.places("test")], subject.embed_texts(
        [subject.examples[place].texts[0] for place in subject.places("test")])
    ranks = [1 + np.sum(np.delete(row, own) >= row[own] - 1e-6) for own, row in enumerate(texts @ images.T)]
    assert alone.recall_at_5 == np.mean(np.array(ranks) <= 5)


def test_the_first_of_two_models_is_what_the_other_is_compared_with(small_model, classes):
    worse = DualEncoder.from_pretrained(small_model.name_or_path) if small_model.name_or_path else None
    assert worse is not None
    with torch.no_grad():
        for weight in worse.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) * 0.5)
    found = evaluate({"good": small_model, "spoilt": worse.eval()}, load_dataset(classes), replace(
        QUICK, only=("retrieval", "probes")))
    named = {(one.test, one.metric): one for one in found.comparisons}
    assert named["train among all", "text → image R@5"].winner == "good"
    assert named["train among all", "text → image R@5"].difference.value < -0.3
    assert {one.key for one in found.comparisons} == {True, False}


def test_the_same_model_twice_cannot_be_told_apart(small_model, classes):
    found = evaluate({"a": small_model, "b": small_model}, load_dataset(classes), replace(QUICK, only=("retrieval",)))
    assert found.comparisons
    assert all(one.difference.value == 0 and one.winner is None for one in found.comparisons)
    assert any("b and a cannot be told apart in" in line for line in found.verdict)


def test_the_command_measures_runs_side_by_side(run, small_run, classes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["evaluate", str(run), str(small_run), "--data", str(classes), "--only", "retrieval", "--draws", "100"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "cannot be told apart" in shown
    pages = list(tmp_path.glob("evaluation-*/evaluation.html"))
    assert len(pages) == 1
    assert "difference" in pages[0].read_text()
    assert not (run / "evaluation.json").exists()


def test_a_run_keeps_its_report_and_its_calibration(run, tmp_path, capsys):
    folder = tmp_path / "many"
    (folder / "images").mkdir(parents=True)
    with (folder / "metadata.csv").open("w", newline="") as file:  # 60 texts on validation: enough for a calibration
        table = csv.writer(file)
        table.writerow(("file_name", "title", "split"))
        for number, (colour, form, size) in enumerate((c, f, s) for c in ("red", "green", "blue", "yellow", "purple",
                                                                          "black")
                                                      for f in ("circle", "square", "triangle", "bar", "cross")
                                                      for s in ("small", "large")):
            shape(colour, form, size).save(folder / "images" / f"{number}.png")
            table.writerow((f"{number}.png", f"{size} {colour} {form}", "validation"))
    before = DualEncoder.from_pretrained(run / "model").fingerprint()
    main(["evaluate", str(run), "--data", str(folder), "--draws", "100"])
    assert f"report: {run / 'evaluation.html'}" in capsys.readouterr().err
    after = DualEncoder.from_pretrained(run / "model")
    assert after.fingerprint() == before  # vectors are the same
    assert after.calibration.candidates == 60
    main(["index", str(run), "--data", str(folder), "--out", str(tmp_path / "universe")])
    hits = Universe.open(tmp_path / "universe").search("large red circle", k=3)
    assert hits[0].probability > hits[2].probability > 0


@pytest.mark.parametrize("helps", [True, False])
def test_whitening_is_kept_where_it_helps_and_only_there(run, classes, monkeypatch, capsys, helps):
    def judge(subject, *_):
        found = fit_post_processing("centre", subject.images_ND, subject.embed_texts(["red", "blue", "large cross"]))
        return Judgement((), found if helps else None)

    before = DualEncoder.from_pretrained(run / "model").fingerprint()
    monkeypatch.setattr(room, "judge_post_processing", judge)
    main(["evaluate", str(run), "--data", str(classes), "--only", "retrieval", "geometry", "--draws", "100",
          "--whiten"])
    assert (f"{run / 'model'} now has centring" in capsys.readouterr().err) is helps
    kept = DualEncoder.from_pretrained(run / "model").eval()
    assert (kept.post_processing is not None) is helps
    assert (kept.fingerprint() != before) is helps
    assert not list(run.glob("model.*"))
    stored = json.loads((run / "evaluation.json").read_text())["models"][0]
    assert stored["model_fingerprint"] == kept.fingerprint()
    again = retrieval_by_split(Subject.of(kept, load_dataset(classes))).text_to_image["test"]
    figures = {(one["test"], one["metric"]): one["value"] for one in stored["sections"]["retrieval"]["figures"]}
    assert figures["test", "text → image R@5"] == again.recall_at_5  # what was measured is what was kept


def test_a_report_elsewhere_leaves_the_model_alone(run, classes, tmp_path, monkeypatch, capsys):
    def judge(subject, *_):
        return Judgement((), fit_post_processing("centre", subject.images_ND, subject.embed_texts(["red", "blue"])))

    monkeypatch.setattr(room, "judge_post_processing", judge)
    before = sorted((path.name, path.read_bytes()) for path in (run / "model").iterdir())
    main(["evaluate", str(run), "--data", str(classes), "--only", "geometry", "--draws", "100", "--whiten",
          "--out", str(tmp_path / "report")])
    assert "stays as it is" in capsys.readouterr().err
    assert sorted((path.name, path.read_bytes()) for path in (run / "model").iterdir()) == before


def test_retention_is_measured_on_other_data(small_model, classes, small_folder):
    found = evaluate(small_model, load_dataset(classes), replace(QUICK, only=("retention",), retain=str(small_folder)))
    section = found.section("retention")
    assert {figure.test for figure in section.figures} == {"shapes"}
    recalls = [figure for figure in section.figures if "R@" in figure.metric]
    assert len(recalls) == 2 + (len(load_dataset(small_folder).split("test")) > 10)
    assert all(figure.sample is not None for figure in recalls)  # so that base and adapted can be compared


def test_corrupted_pictures_lower_the_figures(small_model, classes):
    found = evaluate(small_model, load_dataset(classes), replace(QUICK, only=("shift",), corruptions=True))
    section = found.section("shift")
    assert section.plots
    assert any(figure.test == "corrupted at strength 5" for figure in section.figures)


class Blind(DualEncoder):
    """Gives NaN for every image."""

    def embed_pixels(self, pixels, batch_size=32):
        return np.full((len(pixels), self.config.embedding_width), np.nan, np.float32)


def test_a_model_that_gives_nan_is_refused(small_run, classes):
    blind = Blind.from_pretrained(small_run / "model")
    with pytest.raises(UserError, match="returns NaN for 60 of 60 inputs"):
        evaluate(blind, load_dataset(classes), QUICK)


def test_data_without_a_readable_image_is_refused(small_model, classes):
    broken = ImageTextDataset.from_examples(
        [replace(example, image=b"no picture") for example in load_dataset(classes)], name="broken", source="made")
    with pytest.raises(UserError, match="none of the 60 images of broken can be read"):
        evaluate(small_model, broken, QUICK)


def test_one_class_leaves_a_remark_and_asked_for_by_name_an_error(small_model, classes):
    one = ImageTextDataset.from_examples([replace(example, labels=["thing"]) for example in load_dataset(classes)],
                                         name="one", source="made")
    found = evaluate(small_model, one, QUICK)
    assert "nothing to tell apart" in " ".join(found.section("zero_shot").remarks + found.section("probes").remarks)
    for name in ("zero_shot", "probes", "few_shot"):
        with pytest.raises(UserError, match="nothing to tell apart"):
            evaluate(small_model, one, replace(QUICK, only=(name,)))


def test_labels_that_training_lacks_are_named(small_model, classes):
    examples = [replace(example, labels=["unheard of"]) if example.split == "test" and "red" in example.texts[0]
                else example for example in load_dataset(classes)]
    data = ImageTextDataset.from_examples(examples, name="other", source="made")
    assert "unheard of" in " ".join(evaluate(small_model, data, replace(QUICK, only=("probes",))).verdict)


@pytest.mark.parametrize(("settings", "message"), [
    ({"only": ("retreival",)}, "there is no such evaluation"), ({"draws": 5}, "needs at least 100"),
    ({"prompts": "phto"}, "there is no such set"), ({"prompts": "./none.txt"}, "cannot be read"),
    ({"shift": ("nowhere",)}, "nowhere"), ({"retain": "nowhere"}, "nowhere")])
def test_impossible_settings_are_one_clear_line(small_model, classes, settings, message):
    with pytest.raises(UserError, match=message) as refused:
        evaluate(small_model, load_dataset(classes), replace(QUICK, **settings))
    assert "\n" not in str(refused.value)
