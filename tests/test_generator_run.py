"""A run that trains a generator: its folder, resumption bit for bit, drawing from it, and what it refuses."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.pictures import COLOURS, SHAPES, SIZES, shape
from vector_universe import DualEncoder, UserError
from vector_universe.cli import main
from vector_universe.data import ImageTextDataset
from vector_universe.data.example import Example
from vector_universe.models import DualEncoderConfig, load_run_model
from vector_universe.models.gan import GeneratorConfig
from vector_universe.training import train, train_generator
from vector_universe.training.adversarial import generate as generating
from vector_universe.training.adversarial import loop
from vector_universe.training.adversarial.judge import embed_generated
from vector_universe.training.overfit import overfit_one_batch
from vector_universe.training.recipes import recipe

WAYS = {"": (0, 0), " to the left": (-6, 0), " to the top": (0, -6)}


def png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def shapes(side: int = 40) -> list[Example]:
    examples = []
    for number, (colour, form, size, way) in enumerate(product(COLOURS, SHAPES, SIZES, WAYS)):
        moved = Image.new("RGB", (80, 80), "white")
        moved.paste(shape(colour, form, size), WAYS[way])
        split = ("test", "validation", *["train"] * 8)[number % 10]
        examples.append(Example(f"{number:03}", png(moved.resize((side, side))), [f"{size} {colour} {form}{way}"],
                                [colour], split))
    return examples


def as_dataset(examples: list[Example]) -> ImageTextDataset:
    return ImageTextDataset.from_examples(examples, name="shapes", source="shapes")


@pytest.fixture(scope="module", autouse=True)
def tiny():
    patch = pytest.MonkeyPatch()
    patch.setattr(loop, "GeneratorConfig", partial(GeneratorConfig, noise_width=4, channels=16, narrowest=4,
                                                   condition_width=16))
    patch.setattr(loop, "write_page", lambda path: (path / "curves.html").write_text(""))  # drawn in one test
    yield
    patch.undo()


@pytest.fixture(scope="module")
def dataset():
    return as_dataset(shapes())


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, dataset):
    """A model that embeds the texts; it has learned nothing, which is of no account here."""
    path = tmp_path_factory.mktemp("encoder") / "model"
    torch.manual_seed(0)
    DualEncoder.from_scratch([example.title for example in dataset],
                             DualEncoderConfig(embedding_width=16, text_width=16, image_width=64)).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def config(encoder):
    return replace(recipe("gan", str(encoder)), generated_size=32, epochs=2, batch_size=36)


@pytest.fixture(scope="module")
def run(tmp_path_factory, dataset, config):
    path = tmp_path_factory.mktemp("runs") / "run"
    train_generator(dataset, config, path, quiet=True)
    return path


def metrics(path: Path) -> list[dict]:
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "pairs_per_second"} for record in records]


def test_the_folder_holds_generator_model_sheets_and_figures(run, dataset):
    assert {"generator", "model", "samples", "curves.html", "README.md", "metrics.jsonl", "config.json"} <= {
        path.name for path in run.iterdir()}
    assert not (run / "cache").exists()
    assert [path.name for path in sorted((run / "samples").iterdir())] == ["epoch-001.png", "epoch-002.png"]
    for name in ("generator/", "samples/", "checkpoint.safetensors"):
        assert f"`{name}`" in (run / "README.md").read_text()
    records = metrics(run)
    assert [record["step"] for record in records if "reconstruction" in record] == list(range(8))
    assert [record["step"] for record in records if "discriminator" in record] == list(range(5, 8))  # after the warm-up
    last = records[-1]["samples"]
    assert {"own", "shuffled", "recall_at_10", "frechet_distance", "coverage", "spread"} <= last.keys()
    assert 0 <= last["coverage"] <= 1


def test_the_copy_of_the_model_is_the_model(run, encoder):
    assert load_run_model(run).fingerprint() == load_run_model(encoder).fingerprint()


def test_a_run_that_was_killed_ends_bit_for_bit_as_one_undisturbed(run, dataset, config, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    step = loop._Loop._step

    def killed(self, *arguments):
        if self.steps == 6:  # within the second epoch, after a checkpoint
            raise SystemExit
        return step(self, *arguments)

    monkeypatch.setattr(loop._Loop, "_step", killed)
    with pytest.raises(SystemExit):
        train_generator(dataset, config, tmp_path / "run", quiet=True)
    with pytest.raises(UserError, match="its training has not finished"):
        generating.generate(tmp_path / "run", ["circle"])
    monkeypatch.setattr(loop._Loop, "_step", step)
    torch.manual_seed(99)
    train_generator(dataset, config, tmp_path / "run", quiet=True)
    whole, resumed = (load_file(path / "generator" / "model.safetensors") for path in (run, tmp_path / "run"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert metrics(run) == metrics(tmp_path / "run")
    for name in ("epoch-001.png", "epoch-002.png"):
        assert (run / "samples" / name).read_bytes() == (tmp_path / "run" / "samples" / name).read_bytes()


def test_a_finished_run_is_loaded(run, dataset, config, monkeypatch):
    monkeypatch.setattr(loop, "read_pairs", None)  # no work
    again = train_generator(dataset, config, run, quiet=True)
    kept = load_file(run / "generator" / "model.safetensors")
    assert all(torch.equal(kept[name], tensor) for name, tensor in again.state_dict().items())


def test_another_model_of_the_same_name_is_noticed(run, dataset, config, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(loop._Loop, "_look", lambda *_: 1 / 0)
    path = tmp_path / "run"
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(ZeroDivisionError):
        train_generator(dataset, config, path, quiet=True)
    monkeypatch.setattr(DualEncoder, "fingerprint", lambda self: "other")
    with pytest.raises(UserError, match="has changed since"):
        train_generator(dataset, config, path, quiet=True)


def test_the_page_of_curves_shows_the_last_sheet(run, monkeypatch):
    from vector_universe.training.adversarial.page import write_page
    page = write_page(run).read_text()
    for word in ("Text match", "Coverage", "Samples after epoch 2", "data:image/png;base64,"):
        assert word in page
    (run / "curves.html").write_text("")


# ---- drawing ----


def test_equal_texts_and_seeds_draw_equal_pictures_in_any_company(run):
    alone = generating.generate(run, ["large red circle"], 2, 0.7, seed=5)
    among = generating.generate(run, ["small blue bar", "large red circle"], 3, 0.7, seed=4)
    assert alone.shape == (1, 2, 32, 32, 3)
    assert np.array_equal(alone[0], among[1, 1:])
    assert not np.array_equal(alone[0, 0], alone[0, 1])
    assert not np.array_equal(among[0, 0], among[1, 0])


def test_vu_generate_writes_a_sheet(run, tmp_path, capsys):
    main(["generate", str(run), "large red circle", "ein Bär", "--n", "3", "--out", str(tmp_path / "sheet.png")])
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * 128
        assert sheet.height > 2 * 128
    assert "2 × 3 pictures" in capsys.readouterr().err
    first = (tmp_path / "sheet.png").read_bytes()
    main(["generate", str(run), "large red circle", "ein Bär", "--n", "3", "--out", str(tmp_path / "again.png")])
    assert (tmp_path / "again.png").read_bytes() == first


def test_vu_train_with_the_recipe_says_what_comes_next(dataset, encoder, tmp_path, capsys):
    folder = tmp_path / "pictures"
    (folder / "images").mkdir(parents=True)
    with (folder / "metadata.csv").open("w") as table:
        table.write("file_name,title\n")
        for example in shapes():
            (folder / "images" / f"{example.id}.png").write_bytes(example.image)
            table.write(f"{example.id}.png,{example.title}\n")
    main(["train", "--data", str(folder), "--recipe", "gan", "--model", str(encoder), "--generated-size", "32",
          "--epochs", "1", "--out", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert "epoch 1/1: text match" in said
    assert f"vu generate {tmp_path / 'run'}" in said


def test_pictures_of_another_size_are_judged(encoder):
    pixels = np.zeros((3, 32, 32, 3), np.uint8)
    rows = embed_generated(load_run_model(encoder), pixels, batch_size=2)
    assert rows.shape == (3, 16)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)


# ---- what is refused ----


def changed(examples: list[Example], **fields) -> ImageTextDataset:
    return as_dataset([replace(example, **fields) for example in examples])


@pytest.mark.parametrize(("made", "words"), [
    (lambda: as_dataset(shapes()[:100]), "has 80 training pictures: too few for a generator.* at least 100"),
    (lambda: changed(shapes(), texts=["a shape"]), "same text, 'a shape'"),
    (lambda: changed(shapes(), texts=[], labels=[]), "no picture of shapes has a text or a label"),
    (lambda: as_dataset(shapes(side=20)), "100% of the pictures are smaller than the 32 pixels"),
])
def test_data_that_no_generator_can_learn_from_is_refused(made, words, config, tmp_path):
    with pytest.raises(UserError, match=words):
        train_generator(made(), config, tmp_path / "run", quiet=True)


def test_small_pictures_are_refused_with_the_size_that_would_do(config, tmp_path):
    with pytest.raises(UserError, match="half of them at most 40: give --generated-size 32"):
        train_generator(as_dataset(shapes()), replace(config, generated_size=64), tmp_path / "run", quiet=True)


def test_pictures_that_many_share_a_text_are_not_held_to_one(dataset, config, encoder, tmp_path):
    from vector_universe.training.adversarial.pairs import read_pairs
    from vector_universe.training.progress import TrainingProgress
    from vector_universe.training.run_folder import RunFolder
    model, run = load_run_model(encoder), RunFolder(tmp_path)
    for data, own in ((dataset, True), (changed(shapes(), texts=[]), False)):
        pairs = read_pairs(data, model, config, run, TrainingProgress(quiet=True))
        assert pairs.own_pictures is own
        assert (loop.settings_of(config, pairs, 100).reconstruction > 0) is own
        assert loop.settings_of(config, pairs, 100).warmup_steps == (60 if own else 0)
        pairs.store.close()


def test_settings_that_make_no_sense_are_refused(encoder, dataset, config, tmp_path):
    with pytest.raises(UserError, match=r"recipe gan draws .* give --model"):
        recipe("gan")
    with pytest.raises(UserError, match="generated_size is 48: choose 32, 64, 128"):
        replace(config, generated_size=48).check()
    with pytest.raises(UserError, match=r"lora_rank: the objective gan .* leave it out"):
        replace(config, lora_rank=4).check()
    with pytest.raises(UserError, match="leave --overfit-one-batch out"):
        overfit_one_batch(dataset, config, tmp_path / "run")
    with pytest.raises(UserError, match="train_generator"):
        train(dataset, config, tmp_path / "run")
    with pytest.raises(UserError, match="recipe gan"):
        train_generator(dataset, replace(config, objective="info_nce"), tmp_path / "run")


@pytest.mark.parametrize(("arguments", "words"), [
    (["circle", "--truncation", "2"], "truncation is 2.0"), (["circle", "--n", "0"], "n is 0"),
    (["circle", "--seed", "-1"], "seed is -1"), ([" "], "nothing to draw"),
    (["circle", "--out", "sheet.gif"], "is no PNG")])
def test_vu_generate_refuses_in_one_line(run, tmp_path, capsys, arguments, words):
    if "--out" not in arguments:
        arguments = [*arguments, "--out", str(tmp_path / "sheet.png")]
    with pytest.raises(SystemExit) as left:
        main(["generate", str(run), *arguments])
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert words in said
    assert said.count("\n") == 1


def test_vu_generate_on_a_run_without_a_generator(small_run, tmp_path):
    with pytest.raises(UserError, match="has no generator: give a run of vu train --recipe gan"):
        generating.generate(small_run, ["circle"])
    with pytest.raises(UserError, match="does not exist"):
        generating.generate(tmp_path / "nothing", ["circle"])
