"""Training and measuring models that predict words: in the same loop, on the same batches, by the same evaluators."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.pictures import write_shapes
from vector_universe import DualEncoder, TrainConfig, Universe, UserError, evaluate, load_dataset, train
from vector_universe.evaluation import zero_shot
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.prompts import EMOJI, PLAIN, Prompts
from vector_universe.evaluation.subject import Subject
from vector_universe.evaluation.zero_shot import prompts_for, zero_shot_scores
from vector_universe.models import DualEncoderConfig, load_run_model
from vector_universe.models.export import export
from vector_universe.models.load import load_any_model
from vector_universe.models.predictors import Predictor
from vector_universe.training import loop, overfit, recipes
from vector_universe.training.curves import write_curves
from vector_universe.training.history import read_history
from vector_universe.training.overfit import overfit_one_batch
from vector_universe.training.preparation import build_accelerator, set_up
from vector_universe.training.progress import TrainingProgress
from vector_universe.training.run_folder import RunFolder
from vector_universe.training.run_verdict import verdict_sentences

TINY = TrainConfig(epochs=5, batch_size=8, precision="fp32")
OBJECTIVES = ("bag_of_words", "ngram", "captioner")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return load_dataset(write_shapes(tmp_path_factory.mktemp("data") / "shapes"))


@pytest.fixture(scope="module")
def runs(shapes, tmp_path_factory):
    """A run of each objective, on 30 of the shapes."""
    place = tmp_path_factory.mktemp("runs")
    for objective in OBJECTIVES:
        train(shapes.select(range(30)), replace(TINY, objective=objective, epochs=8), place / objective, quiet=True)
    return place


@pytest.fixture(scope="module")
def dual_encoder():
    """One that has learned nothing."""
    return DualEncoder.from_scratch(["a red circle", "a blue square"], DualEncoderConfig(embedding_width=16)).eval()


def losses(run):
    return [line["loss"] for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
            if "loss" in line]


def prepared(dataset, config, folder):
    return set_up(dataset, config, RunFolder(folder), build_accelerator(), TrainingProgress(quiet=True))


# ---- training ----

@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_prediction_learns_and_is_told(runs, objective):
    run = runs / objective
    seen = losses(run)
    assert np.mean(seen[-3:]) < np.mean(seen[:3])
    assert isinstance(load_any_model(run), Predictor)
    history = read_history(run)
    assert [("validation/perplexity" in record) for record in history.validations] == [objective != "bag_of_words"] * 8
    said = " ".join(verdict_sentences(history))
    assert "There was no validation" not in said
    assert "loss on validation pictures" in said
    readme = (run / "README.md").read_text()
    assert "Predictor.from_pretrained" in readme
    assert "vu index" not in readme


def test_the_page_of_a_run_draws_what_there_is(runs):
    page = write_curves(runs / "ngram").read_text()
    assert "Validation loss" in page
    for title in ("Validation recall", "Logit scale", "Cosines", "Modality gap"):
        assert title not in page


def test_rows_views_and_captions_are_those_of_the_contrastive_run(shapes, tmp_path):
    """In every epoch: so that runs with equal seeds differ in the objective alone."""
    one, other = (prepared(shapes, replace(TINY, objective=objective, seed=3, flip=True), tmp_path / objective)
                  for objective in ("info_nce", "captioner"))
    for epoch in (0, 1):
        assert torch.equal(one.order(epoch), other.order(epoch))
        batches = [setup.task.batch(epoch, setup.training[:6]) for setup in (one, other)]
        assert batches[0].captions == batches[1].captions
        pixels = one.task.encodings(batches[0])["images"].prepare(slice(2, 6))[3][0]
        assert torch.equal(pixels, other.task.encodings(batches[1])["losses"].prepare(slice(2, 6))[0])
    one.close()
    other.close()


def test_the_loss_is_the_mean_of_the_rows_whatever_the_parts(shapes, tmp_path):
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    few = shapes.select(range(20))
    train(few, replace(TINY, objective="ngram", epochs=2), whole, quiet=True)
    train(few, replace(TINY, objective="ngram", epochs=2, micro_batch=3), parts, quiet=True)
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-5)


def test_a_resumed_run_is_the_undisturbed_one_bit_for_bit(shapes, tmp_path, monkeypatch):
    config = replace(TINY, objective="captioner", epochs=2, micro_batch=3, ema=0.9, keep="best", decoder_dropout=0.1)
    few = shapes.select(range(20))
    train(few, config, tmp_path / "whole", quiet=True)
    note = loop._Loop._note

    def interrupt(self, record, *others):
        note(self, record, *others)
        self.interruption.asked = True

    with monkeypatch.context() as patched:
        patched.setattr(loop._Loop, "_note", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(few, config, tmp_path / "run", quiet=True)
    train(few, config, tmp_path / "run", quiet=True)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    ours, theirs = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("run", "whole"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_one_batch_is_learned_by_heart_or_not(shapes, tmp_path, monkeypatch):
    config, few = replace(TINY, objective="bag_of_words"), shapes.select(range(10))
    assert "learned by heart in" in overfit_one_batch(few, config, tmp_path)
    monkeypatch.setattr(overfit, "STEPS", 3)
    with pytest.raises(UserError, match=r"after 3 steps on one batch of \d pairs only"):
        overfit_one_batch(few, replace(config, learning_rate=1e-9), tmp_path)


# ---- measuring ----

def test_predictors_stand_beside_a_dual_encoder_in_one_report(shapes, runs, dual_encoder):
    models = {"contrastive": dual_encoder} | {name: load_any_model(runs / name) for name in OBJECTIVES}
    halves = shapes.with_splits(["train"] * 30 + ["test"] * 30)  # the predictors saw the first half
    report = evaluate(models, halves, EvaluateConfig(draws=100, only=("retrieval", "zero_shot", "probes", "geometry",
                                                                      "leaks")))
    for name in OBJECTIVES:
        for section in ("retrieval", "geometry"):
            assert report.section(section, name).remarks == (
                "Not measured: the model predicts words and embeds no texts.",)
        figure = report.figure("zero_shot", "test", "zero-shot mAP by label", name)
        assert figure.chance < figure.value <= 1
        assert report.section("probes", name).figures
        assert any((one.section, one.other) == ("zero_shot", name) for one in report.comparisons)
    assert report.section("retrieval", "contrastive").figures
    assert any(line.startswith("bag_of_words: zero-shot mAP by label") for line in report.verdict)
    with pytest.raises(UserError, match="--only retrieval: a model that predicts words embeds no texts; of captioner"):
        evaluate({"captioner": models["captioner"]}, shapes, EvaluateConfig(only=("retrieval",)))


def test_zero_shot_scores_are_the_mean_over_prompts(shapes, runs, monkeypatch):
    model = load_any_model(runs / "ngram")
    subject = Subject.of(model, shapes.select(range(10)))
    names, prompts = ["red", "blue circle"], Prompts("two", ("{}", "large {}"))
    features_NLW = model.read_pixels(np.stack([model.framing.pixels(one.image) for one in subject.examples]))
    expected_NC = np.stack([model.scores(features_NLW, [name, f"large {name}"]).mean(axis=1) for name in names], axis=1)
    monkeypatch.setattr(zero_shot, "CHUNK", 4)
    assert zero_shot_scores(subject, names, prompts) == pytest.approx(expected_NC, abs=1e-5)
    some = subject.at(np.array([7, 2]))
    assert zero_shot_scores(some, names, prompts) == pytest.approx(expected_NC[[7, 2]], abs=1e-5)


def test_labels_without_a_known_word_are_named(shapes, runs):
    table = shapes.table.map(lambda row: {"labels": ["zebra crossing" if "red" in row["labels"] else "blue"]})
    other = shapes.select(range(60))
    other.table = table
    report = evaluate(load_any_model(runs / "bag_of_words"), other, EvaluateConfig(draws=100, only=("zero_shot",)))
    assert any(line.startswith("The model knows no word of the label 'zebra crossing': no training text has one")
               for line in report.verdict)


def test_bare_labels_are_asked_of_predictors_by_themselves(shapes, runs, dual_encoder):
    predictor, contrastive = (Subject.of(model, shapes.select(range(2)))
                              for model in (load_any_model(runs / "ngram"), dual_encoder))
    assert prompts_for(predictor, EvaluateConfig()) == PLAIN
    assert prompts_for(contrastive, EvaluateConfig()) != PLAIN
    assert prompts_for(predictor, EvaluateConfig(prompts="emoji")) == EMOJI


# ---- refusals ----

def test_what_needs_vectors_of_texts_refuses_a_predictor_in_one_line(shapes, runs, tmp_path):
    run = runs / "ngram"
    line = r"ngram predicts words \(ngram\); it embeds no texts: give a run of another recipe"
    with pytest.raises(UserError, match=line):
        load_run_model(run)
    with pytest.raises(UserError, match=line):
        export(str(run), tmp_path / "export")
    with pytest.raises(UserError, match=line):
        train(shapes, replace(TINY, model=str(run)), tmp_path / "run", quiet=True)
    with pytest.raises(UserError, match=r"model predicts words \(ngram\); it embeds no texts"):
        Subject.of(load_any_model(run), shapes.select(range(2))).embed_texts(["red"])
    with pytest.raises(UserError, match=r"the model predicts words \(ngram\); it embeds no texts"):
        Universe.build(load_any_model(run), shapes.select(range(2)), tmp_path / "universe")


@pytest.mark.parametrize(("settings", "words"), [
    ({"text_tower": "transformer", "word_dropout": 0.2}, "text_tower, word_dropout: the objective captioner predicts"),
    ({"model": "openai/clip"}, "the objective captioner makes a new model, which predicts words: leave --model out"),
    ({"soft_labels": 0.1}, "only the objective info_nce takes soft targets"),
    ({"decoder_dropout": 1.0}, "decoder_dropout is 1.0: it must be at least 0 and below 1")])
def test_settings_of_text_vectors_are_refused(settings, words):
    with pytest.raises(UserError, match=words):
        replace(TINY, objective="captioner", **settings).check()


def test_recipes_are_the_objectives():
    for objective in OBJECTIVES:
        assert recipes.recipe(objective).objective == objective
        with pytest.raises(UserError, match=f"the recipe {objective} makes a new model, which predicts words"):
            recipes.recipe(objective, "x")
