"""Training by every objective, recipe and adaptation, on small things; caches and parts change nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.pictures import shape, write_shapes, write_table
from tests.pretrained import save_tiny
from vector_universe import DualEncoder, TrainConfig, UserError, load_dataset, train
from vector_universe.losses import KernelKL
from vector_universe.training import recipes
from vector_universe.training.activation_cache import ActivationCache
from vector_universe.training.config import read_config
from vector_universe.training.overfit import overfit_one_batch

TINY = TrainConfig(embedding_width=16, epochs=2, batch_size=8, precision="fp32", monitor_every=2)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return load_dataset(write_shapes(tmp_path_factory.mktemp("data") / "shapes")).select(range(30))


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    for kind in ("clip", "siglip"):
        save_tiny(kind, folder / kind)
    return folder


def losses(run):
    return [line["loss"] for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
            if "loss" in line]


def weights(run):
    return load_file(run / "model" / "model.safetensors")


@pytest.mark.parametrize("settings", [
    {"objective": "sigmoid"}, {"objective": "alignment"}, {"objective": "alignment", "anisotropy": "mean"},
    {"objective": "alignment", "anisotropy": "spectral"}, {"soft_labels": 0.3}, {"objective": "fusion"},
    {"leave_out": "any_label", "batches": "apart"},
    {"soft_labels": 0.3, "leave_out": "same_labels", "duplicates": "off"},
    {"objective": "fusion", "fusion": "bilinear", "micro_batch": 3}, {"ema": 0.9, "keep": "best"},
    {"schedule": "plateau", "learning_rate_image": 1e-4, "learning_rate_text": 1e-5},
    {"image_views": "resized_crop", "flip": True, "colour": 0.2, "blur": True}])
def test_every_objective_learns(shapes, tmp_path, settings):
    model = train(shapes, replace(TINY, epochs=8, **settings), tmp_path / "run", quiet=True)
    seen = losses(tmp_path / "run")
    assert np.mean(seen[-3:]) < np.mean(seen[:3])
    assert np.isfinite(model.embed_texts(["red circle"])).all()


def test_a_fusion_run_leaves_its_head_and_its_kernel(shapes, tmp_path):
    out = tmp_path / "run"
    model = train(shapes, replace(TINY, objective="fusion", epochs=30, modality_dropout=0.1), out, quiet=True)
    loaded = DualEncoder.from_pretrained(out / "model")
    assert loaded.fusion is not None
    kernel, names = KernelKL.load(out / "kernel"), json.loads((out / "kernel" / "labels.json").read_text())
    examples = [example for example in shapes if example.split == "train"]
    fused = loaded.fuse_vectors(loaded.embed_images([example.image for example in examples]),
                                loaded.embed_texts([example.texts[0] for example in examples]), None)
    with torch.no_grad():
        scores = kernel.kernel(torch.from_numpy(fused), torch.from_numpy(loaded.embed_texts(names)))
    right = [names[scores[row].argmax()] in example.labels for row, example in enumerate(examples)]
    assert np.mean(right) > 0.8
    assert model.fusion is not None
    validation = [line["validation"] for line in map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
                  if line.get("validation")]
    assert validation[-1]["average_precision"] > validation[0]["chance_average_precision"]


def test_burnt_in_text_is_part_of_fusion_and_rows_without_labels_are_let_be(shapes, tmp_path):
    few = shapes.with_ocr(["sale" if row % 2 else "" for row in range(len(shapes))])
    table = few.table.map(lambda row, place: {"labels": row["labels"] if place % 3 else []}, with_indices=True)
    few.table = table
    train(few, replace(TINY, objective="fusion", micro_batch=5), tmp_path / "run", quiet=True)
    assert np.isfinite(losses(tmp_path / "run")).all()


@pytest.mark.parametrize("settings", [{"objective": "fusion"}, {"soft_labels": 0.2}])
def test_an_objective_of_labels_needs_some(tmp_path, settings):
    (tmp_path / "d" / "images").mkdir(parents=True)
    for name in "abcdefgh":
        shape("blue", "bar", "small").save(tmp_path / "d" / "images" / f"{name}.png")
    write_table(tmp_path / "d", [(f"{name}.png", f"title {name}", "") for name in "abcdefgh"])
    with pytest.raises(UserError, match="needs labels, and no training picture has any"):
        train(load_dataset(tmp_path / "d"), replace(TINY, batch_size=None, **settings), tmp_path / "run", quiet=True)


# ---- given models ----

MODES = {"last_k": {"adapt_image": "last_k", "adapt_text": "last_k", "last_k": 1},
         "heads": {"adapt_image": "last_k", "adapt_text": "last_k", "last_k": 0},
         "locked image": {"adapt_image": "frozen"}, "two views": {"adapt_image": "last_k", "last_k": 1, "views": 2}}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_reading_back_changes_nothing(shapes, bases, tmp_path, monkeypatch, mode, kind):
    """With and without caches, and with one too small for all: the same weights, the same losses."""
    config = replace(TINY, embedding_width=256, model=str(bases / kind), epochs=3, learning_rate=1e-3, **MODES[mode])
    read, get = [], ActivationCache.get
    monkeypatch.setattr(ActivationCache, "get", lambda *given: read.append(len(given[1])) or get(*given))
    train(shapes, config, tmp_path / "cached", quiet=True)
    assert sum(read) > 20
    train(shapes, replace(config, cache=False), tmp_path / "plain", quiet=True)
    train(shapes, replace(config, cache_gb=0.0002), tmp_path / "small", quiet=True)
    for other in ("plain", "small"):
        assert losses(tmp_path / other) == pytest.approx(losses(tmp_path / "cached"), abs=2e-6)
        for name, tensor in weights(tmp_path / "cached").items():
            if not name.endswith("k_proj.bias"):  # has no gradient but rounding, which Adam makes a step of
                assert torch.allclose(tensor, weights(tmp_path / other)[name], atol=2e-5), name


@pytest.mark.parametrize("settings", [{}, {"objective": "alignment", "encoder_dropout": 0.1}, {"objective": "fusion"},
                                      {"lora_targets": ("q_proj", "v_proj")}, {"wise_ft": 0.5}])
def test_a_given_model_learns_by_every_objective(shapes, bases, tmp_path, settings):
    config = replace(TINY, embedding_width=256, model=str(bases / "clip"), learning_rate=3e-3, epochs=4, micro_batch=5,
                     **settings)
    train(shapes, config, tmp_path / "run", quiet=True)
    assert losses(tmp_path / "run")[-1] < losses(tmp_path / "run")[0]


def test_retention_is_measured_and_blends_are_offered(shapes, bases, tmp_path, small_folder):
    config = replace(TINY, embedding_width=256, model=str(bases / "clip"), learning_rate=1e-2, retain=str(small_folder))
    train(shapes, config, tmp_path / "run", quiet=True)
    found = json.loads((tmp_path / "run" / "retention.json").read_text())
    assert [row["alpha"] for row in found["rows"]] == [tenth / 10 for tenth in range(11)]
    assert 0 <= found["recommended"] <= 1
    assert found["before"] == found["rows"][0]["general"]


# ---- recipes ----

def test_recipes_are_settings(bases):
    assert recipes.recipe() == TrainConfig(recipe="scratch")
    assert recipes.recipe(model="x") == replace(recipes.lora("x"), recipe="lora")
    assert recipes.alignment("x").learning_rate == 5e-5
    assert recipes.alignment("x").epochs == 15
    plateau = recipes.resnet_distilbert()
    assert (plateau.learning_rate, plateau.learning_rate_image, plateau.learning_rate_text) == (1e-3, 1e-4, 1e-5)
    for name in recipes.RECIPES:
        needs = name in ("lora", "locked_image", "gan")
        config = recipes.recipe(name, "x" if needs else None)
        config.check()
    with pytest.raises(UserError, match="no recipe 'loar': choose one of scratch, lora"):
        recipes.recipe("loar")
    with pytest.raises(UserError, match="locked_image adapts a given model: give --model"):
        recipes.recipe("locked_image")
    with pytest.raises(UserError, match="resnet_distilbert makes a new model"):
        recipes.recipe("resnet_distilbert", "x")


def test_the_settings_of_a_run_can_be_run_again(shapes, bases, tmp_path):
    config = replace(TINY, model=str(bases / "clip"), embedding_width=256, lora_targets=("q_proj",), epochs=1)
    train(shapes, config, tmp_path / "run", quiet=True)
    assert read_config(tmp_path / "run") == config
    assert read_config(tmp_path / "run" / "config.json") == config
    (tmp_path / "other.json").write_text(json.dumps(asdict(config) | {"flux": 1}))
    with pytest.raises(UserError, match=r"another version: it has flux"):
        read_config(tmp_path / "other.json")
    with pytest.raises(UserError, match="holds no settings that can be read"):
        read_config(tmp_path / "nothing")


def test_towers_by_name_take_three_rates_and_a_plateau(shapes, tmp_path):
    """The recipe resnet_distilbert, with small towers of the same kinds and random weights."""
    from transformers import DistilBertConfig, ResNetConfig
    ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic").save_pretrained(
        tmp_path / "resnet")
    DistilBertConfig(dim=32, hidden_dim=64, n_layers=2, n_heads=2, vocab_size=500).save_pretrained(
        tmp_path / "distilbert")
    config = replace(recipes.resnet_distilbert(), image_tower=str(tmp_path / "resnet"),
                     text_tower=str(tmp_path / "distilbert"), pretrained_towers=False, image_size=32, batch_size=8,
                     epochs=5, embedding_width=16, precision="fp32")
    model = train(shapes, config, tmp_path / "run", quiet=True)
    assert model.config.max_text_tokens == 200
    assert model.config.projection == "mlp"
    rates = [line["learning_rate"] for line in map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text()
                                                   .splitlines()) if "loss" in line]
    assert rates[0] == 1e-3
    assert all(rate == pytest.approx(1e-3 * 0.8 ** round(np.log(rate / 1e-3) / np.log(0.8))) for rate in rates)


# ---- the self-test and other doors ----

def test_one_batch_is_learned_by_heart_or_not(shapes, tmp_path):
    assert "learned by heart in" in overfit_one_batch(shapes, TINY, tmp_path)
    with pytest.raises(UserError, match=r"after 200 steps on one batch of 16 pairs only"):
        overfit_one_batch(shapes, replace(TINY, learning_rate=1e-9), tmp_path)


def test_a_batch_larger_than_the_data_is_refused_before_any_work(shapes, tmp_path):
    with pytest.raises(UserError, match=r"batch_size is 5000, but there are \d+ training images"):
        train(shapes, replace(TINY, batch_size=5000), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_parts_change_nothing_but_the_last_digits(shapes, tmp_path):
    """A batch in parts of 3 is the batch as a whole, where there is no dropout."""
    train(shapes, replace(TINY, epochs=1, objective="sigmoid"), tmp_path / "whole", quiet=True)
    train(shapes, replace(TINY, epochs=1, objective="sigmoid", micro_batch=3), tmp_path / "parts", quiet=True)
    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)


def test_training_stops_early_and_keeps_the_best(small_folder, tmp_path):
    config = replace(TINY, epochs=30, early_stopping=2, keep="best", learning_rate=1e-8)
    train(load_dataset(small_folder), config, tmp_path / "run", quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    validations = [line["validation"] for line in lines if "validation" in line]
    assert len(validations) < 30
    best = max(range(len(validations)), key=lambda e: (validations[e]["recall_at_10"], -validations[e]["loss"]))
    assert best == len(validations) - 3
    kept = load_file(tmp_path / "run" / "best.safetensors")
    assert all(torch.equal(weights(tmp_path / "run")[name], tensor) for name, tensor in kept.items())


