"""Training: what a run leaves, that it repeats itself, and that an interruption changes nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.pictures import shape, write_shapes, write_table
from vector_universe import TrainConfig, UserError, load_dataset, train
from vector_universe.losses import InfoNCE, LossOutput
from vector_universe.training import loop
from vector_universe.training.config import IMAGES_SEEN, MAX_EPOCHS, MIN_EPOCHS
from vector_universe.training.optimisation import share_of_peak
from vector_universe.training.run_folder import RunFolder

TINY = TrainConfig(embedding_width=32, epochs=3, batch_size=8, precision="fp32")
FEW = replace(TINY, batch_size=None)  # as many as there are


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return load_dataset(write_shapes(tmp_path_factory.mktemp("data") / "shapes")).select(range(24))


@pytest.fixture(scope="module")
def tiny_run(shapes, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "tiny"
    train(shapes, TINY, out, quiet=True)
    return out


def weights(run):
    return load_file(run / "model" / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_leaves_its_files(tiny_run):
    assert {path.name for path in tiny_run.iterdir()} == {
        "README.md", "vector_universe.json", "config.json", "data.json", "trained_on.jsonl", "environment.json",
        "metrics.jsonl", "skipped.csv", "checkpoint.safetensors", "model", "curves.html"}
    assert json.loads((tiny_run / "config.json").read_text())["epochs"] == 3
    assert (tiny_run / "skipped.csv").read_text().split() == ["file,row,reason"]


def test_metrics_name_every_epoch(tiny_run):
    lines = metrics(tiny_run)
    steps = [line for line in lines if "loss" in line]
    assert [line["epoch"] for line in lines if "validation" in line] == [1, 2, 3]
    assert steps[0]["step"] == 0
    assert all(np.isfinite(line["loss"]) and 0 <= line["learning_rate"] <= TINY.peak_learning_rate for line in steps)


def test_the_loss_goes_down_and_pictures_are_found(small_run):
    lines = metrics(small_run)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("towers", [("vit", "bag_of_words"), ("convnet", "transformer")])
def test_the_other_towers_train(shapes, tmp_path, towers):
    model = train(shapes, replace(TINY, image_tower=towers[0], text_tower=towers[1], epochs=1), tmp_path / "r", True)
    assert (model.config.image_tower, model.config.text_tower) == towers
    assert not model.training
    assert np.isfinite(model.embed_texts(["red circle"])).all()


def test_the_same_seed_gives_the_same_weights_and_another_does_not(shapes, tiny_run, tmp_path):
    torch.rand(7)  # what was drawn before does not matter
    train(shapes, TINY, tmp_path / "again", quiet=True)
    assert same(weights(tmp_path / "again"), weights(tiny_run))
    train(shapes, replace(TINY, seed=1), tmp_path / "other", quiet=True)
    assert not same(weights(tmp_path / "other"), weights(tiny_run))


def lasting(run):
    """The figures of a run, without those of the clock."""
    return [{key: value for key, value in line.items() if key not in ("pairs_per_second", "waiting")}
            for line in metrics(run)]


@pytest.mark.parametrize("stop_at", [1, 2, 3, 5])
@pytest.mark.parametrize("moment", ["after the checkpoint", "before the checkpoint"])
def test_an_interrupted_run_continues_as_if_nothing_had_been(shapes, tiny_run, tmp_path, monkeypatch, moment, stop_at):
    out, save = tmp_path / "run", loop.save_checkpoint
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)  # after every step
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 1e9)

    def interrupted(path, model, task, optimizer, average, progress):
        if progress.steps == stop_at and moment == "before the checkpoint":
            with (out / "metrics.jsonl").open("a") as file:
                file.write('{"epoch": 2, "st')  # and a line is half written
            raise SystemExit
        save(path, model, task, optimizer, average, progress)
        if progress.steps == stop_at:
            raise SystemExit

    monkeypatch.setattr(loop, "save_checkpoint", interrupted)
    with pytest.raises(SystemExit):
        train(shapes, TINY, out, quiet=True)
    assert not (out / "model").exists()
    monkeypatch.setattr(loop, "save_checkpoint", save)
    torch.rand(3)
    train(shapes, TINY, out, quiet=True)
    assert same(weights(out), weights(tiny_run))
    assert lasting(out) == lasting(tiny_run)
    steps = [line["step"] for line in metrics(out) if "loss" in line]
    assert steps == list(range(len(steps)))


def test_one_process_trains_in_one_precision_after_another(shapes, tmp_path):
    losses = []
    for precision in ("bf16", "fp32"):
        train(shapes, replace(TINY, epochs=1, precision=precision), tmp_path / precision, quiet=True)
        losses.append(metrics(tmp_path / precision)[0]["loss"])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_a_run_killed_before_its_first_checkpoint_starts_over(shapes, tiny_run, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt
    set_up = loop.set_up
    monkeypatch.setattr(loop, "set_up", killed)
    with pytest.raises(KeyboardInterrupt):
        train(shapes, TINY, tmp_path / "run", quiet=True)
    monkeypatch.setattr(loop, "set_up", set_up)
    train(shapes, TINY, tmp_path / "run", quiet=True)
    assert same(weights(tmp_path / "run"), weights(tiny_run))


def test_a_finished_run_is_loaded_and_not_touched(shapes, tiny_run, monkeypatch):
    before = content(tiny_run)
    monkeypatch.setattr(loop, "set_up", None)  # whatever trains would call it
    model = train(shapes, TINY, tiny_run, quiet=True)
    assert torch.equal(model.logit_scale.detach(), weights(tiny_run)["towers.logit_scale"])
    assert content(tiny_run) == before


def test_a_run_with_other_settings_or_data_is_refused_and_kept(shapes, tiny_run):
    before = content(tiny_run)
    with pytest.raises(UserError, match=r"other settings \(embedding_width, seed\)"):
        train(shapes, replace(TINY, embedding_width=48, seed=5), tiny_run, quiet=True)
    with pytest.raises(UserError, match="other data"):
        train(shapes.select(range(20)), TINY, tiny_run, quiet=True)
    assert content(tiny_run) == before


def folder_of(path, splits, broken=()):
    (path / "images").mkdir(parents=True)
    lines = ["file_name,title,split"]
    for number, split in enumerate(splits):
        file = path / "images" / f"{number}.png"
        shape("red", "circle", "large").save(file)
        if number in broken:
            file.write_bytes(file.read_bytes()[:120])
        lines.append(f"{number}.png,picture {number},{split}")
    (path / "metadata.csv").write_text("\n".join(lines))
    return load_dataset(path)


def test_one_training_image_is_too_few(tmp_path):
    with pytest.raises(UserError, match="has 1 training images: at least 2"):
        train(folder_of(tmp_path / "d", ["train", "test", "test"]), TINY, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_one_readable_training_image_is_too_few(tmp_path):
    data = folder_of(tmp_path / "d", ["train", "train", "train"], broken={0, 2})
    with pytest.raises(UserError, match=r"only 1 training images .* can be decoded: see .*skipped.csv"):
        train(data, FEW, tmp_path / "run", quiet=True)
    assert "0.png" in (tmp_path / "run" / "skipped.csv").read_text()


def test_two_images_without_validation_are_enough(tmp_path):
    model = train(folder_of(tmp_path / "d", ["train", "train"]), replace(FEW, epochs=2), tmp_path / "run", quiet=True)
    assert np.isfinite(model.embed_texts(["picture 1"])).all()
    assert [line["validation"] for line in metrics(tmp_path / "run") if "validation" in line] == [None, None]


def test_labels_without_titles_train(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png", "c.png", "d.png"):
        shape("blue", "bar", "small").save(tmp_path / "images" / name)
    write_table(tmp_path, [(f"{name}.png", "", f"label {name}") for name in "abcd"])
    data = load_dataset(tmp_path)
    assert len(data.split("train")) >= 2
    train(data, replace(FEW, epochs=1), tmp_path / "run", quiet=True)
    assert (tmp_path / "run" / "model" / "config.json").is_file()


def test_a_checkpoint_with_other_weights_is_refused(shapes, tiny_run, tmp_path):
    """Weights of other names would be passed over in silence, and the run would begin anew under the old figures."""
    shutil.copytree(tiny_run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    with safe_open(checkpoint, "pt") as stored:
        renamed = {key.replace("model.towers.", "model."): stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        notes = stored.metadata()
    save_file(renamed, checkpoint, notes)
    with pytest.raises(UserError, match="another version"):
        train(shapes, TINY, tmp_path / "run", quiet=True)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_batch(shapes, tmp_path, monkeypatch):
    forward, calls = InfoNCE.forward, []

    def broken(self, *inputs, **named):
        calls.append(1)
        output = forward(self, *inputs, **named)
        return LossOutput.of(broken=output.total * float("nan")) if len(calls) > 4 else output

    monkeypatch.setattr(InfoNCE, "forward", broken)
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step \d.*the batch is in .*batch-\d"):
        train(shapes, TINY, tmp_path / "run", quiet=True)
    assert (tmp_path / "run" / "checkpoint.safetensors").is_file()
    assert not (tmp_path / "run" / "model").exists()
    kept = next((tmp_path / "run").glob("batch-*"))
    batch = json.loads((kept / "batch.json").read_text())
    assert len(batch["ids"]) == len(batch["texts"]) == TINY.batch_size
    assert load_file(kept / "embeddings.safetensors")["images"].shape == (TINY.batch_size, TINY.embedding_width)


@pytest.mark.parametrize(("setting", "value"), [
    ("epochs", 0), ("image_size", 63), ("batch_size", 1), ("batch_size", -4), ("embedding_width", 0),
    ("learning_rate", 0.0), ("learning_rate", -1e-3), ("learning_rate", float("nan")), ("learning_rate", 1.0),
    ("warmup", 1.0), ("warmup", -0.1), ("word_dropout", 1.0), ("word_dropout", -0.1), ("word_dropout", float("nan"))])
def test_impossible_settings_are_refused_before_anything_is_written(shapes, tmp_path, setting, value):
    with pytest.raises(UserError, match=f"{setting} is {value}"):
        train(shapes, replace(TINY, **{setting: value}), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_epochs_follow_the_number_of_pictures():
    counts = [TrainConfig().epochs_for(count) for count in (2, 2000, 3000, 10**6)]
    assert counts == [MAX_EPOCHS, round(IMAGES_SEEN / 2000), round(IMAGES_SEEN / 3000), MIN_EPOCHS]
    assert TrainConfig(epochs=3).epochs_for(10) == 3


def test_the_learning_rate_rises_then_falls_to_near_zero():
    shares = [share_of_peak(step, 100, TrainConfig()) for step in range(100)]
    peak = shares.index(max(shares))
    assert shares[peak] == pytest.approx(1)
    assert 8 <= peak <= 10
    assert shares[:peak] == sorted(shares[:peak])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)
    assert 0 < shares[-1] < 0.01


def test_lines_of_unsaved_steps_are_forgotten(tmp_path):
    run = RunFolder(tmp_path)
    for step in (0, 1, 1, 2):
        run.log({"step": step})
    run.drop_metrics_from(2)
    assert [line["step"] for line in metrics(tmp_path)] == [0, 1, 1]
