"""Exported models: other libraries load them and give the same vectors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import AutoModel, AutoTokenizer, CLIPImageProcessorPil, CLIPModel, SiglipImageProcessorPil

from tests.pretrained import save_tiny
from vector_universe import DualEncoder, TrainConfig, UserError, load_dataset, train
from vector_universe.cli import main
from vector_universe.models import load_run_model
from vector_universe.models.export import export

TEXTS = ["a red circle", "blue", "one two three"]


@pytest.fixture(scope="module", params=["clip", "siglip"])
def run(request, small_folder, tmp_path_factory):
    """A run that adapted a tiny model, with a licence in its base's card."""
    folder = tmp_path_factory.mktemp("export")
    save_tiny(request.param, folder / "base")
    (folder / "base" / "README.md").write_text("---\nlicense: mit\ntags: [x]\n---\n# Base\n")
    config = TrainConfig(model=str(folder / "base"), epochs=1, batch_size=16, precision="fp32", learning_rate=1e-3)
    train(load_dataset(small_folder), config, folder / "run", quiet=True)
    return folder / "run"


def kind_of(run):
    return load_run_model(run).towers.model.config.model_type


def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))


@torch.no_grad()
def vectors_of(model, tokenizer, processor, siglip):
    padding = {"padding": "max_length", "max_length": tokenizer.model_max_length} if siglip else {"padding": True}
    ids = tokenizer(TEXTS, truncation=True, return_tensors="pt", **padding)
    if siglip:
        ids = {"input_ids": ids["input_ids"]}
    texts = model.get_text_features(**ids).pooler_output
    pixels = processor(picture(), return_tensors="pt")["pixel_values"]
    return F.normalize(torch.cat([texts, model.get_image_features(pixel_values=pixels).pooler_output]), dim=-1).numpy()


def test_transformers_loads_it_with_the_same_vectors(run, tmp_path):
    export(run, tmp_path / "plain")
    kind = kind_of(run)
    assert not any(name in (tmp_path / "plain" / "config.json").read_text() for name in ("vector_universe", "lora"))
    loader = CLIPModel if kind == "clip" else AutoModel
    model, report = loader.from_pretrained(tmp_path / "plain", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    processor = (CLIPImageProcessorPil if kind == "clip" else SiglipImageProcessorPil).from_pretrained(
        tmp_path / "plain")
    found = vectors_of(model, AutoTokenizer.from_pretrained(tmp_path / "plain"), processor, kind == "siglip")
    ours = load_run_model(run)
    np.testing.assert_allclose(found[:3], ours.embed_texts(TEXTS), atol=1e-5)
    np.testing.assert_allclose(found[3:], ours.embed_images([picture()]), atol=1e-5)


def test_it_comes_back_as_ours(run, tmp_path):
    export(run, tmp_path / "plain")
    ours, again = load_run_model(run), DualEncoder.from_pretrained(tmp_path / "plain")
    assert again.framing == ours.framing
    assert again.state_dict().keys() == ours.state_dict().keys()
    assert all(torch.equal(weight, ours.state_dict()[name]) for name, weight in again.state_dict().items())
    np.testing.assert_allclose(again.embed_texts(TEXTS), ours.embed_texts(TEXTS), atol=1e-6)
    np.testing.assert_allclose(again.embed_images([picture()]), ours.embed_images([picture()]), atol=1e-6)


def test_sentence_transformers_loads_it_with_the_same_vectors(run, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not here")
    export(run, tmp_path / "sentence", "sentence-transformers")
    model = sentence_transformers.SentenceTransformer(str(tmp_path / "sentence"), device="cpu",
                                                      processor_kwargs={"backend": "pil"})
    ours = load_run_model(run)
    np.testing.assert_allclose(model.encode(TEXTS), ours.embed_texts(TEXTS), atol=1e-5)
    np.testing.assert_allclose(model.encode([picture()]), ours.embed_images([picture()]), atol=1e-5)


def test_the_folder_for_sentence_transformers(run, tmp_path):
    export(run, tmp_path / "out", "sentence-transformers")
    kinds = [module["type"].rsplit(".", 1)[1] for module in json.loads((tmp_path / "out/modules.json").read_text())]
    assert kinds == ["CLIPModel" if kind_of(run) == "clip" else "Transformer", "Normalize"]


def test_the_card_says_what_it_is(run, tmp_path, capsys):
    main(["export", str(run), "--out", str(tmp_path / "out")])
    assert "the model and its card are in" in capsys.readouterr().err
    card = (tmp_path / "out" / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    assert 'license: "mit"' in front
    assert 'library_name: "transformers"' in front
    assert "base_model" not in front  # a folder of this machine
    assert str(run.parent) not in card
    data = json.loads((run / "data.json").read_text())
    for text in ("Adapted from `base`", data["fingerprint"],
                 "| adapt_image | lora |", "| lora_rank | 16 |", "| recall_at_10 |", "licence: mit"):
        assert text in body


def test_the_card_shows_what_was_evaluated(run, small_folder, tmp_path, capsys):
    main(["evaluate", str(run), "--data", str(small_folder), "--only", "retrieval", "leaks", "--json"])
    shown = capsys.readouterr()
    assert f"report: {run / 'evaluation.html'}" in shown.err
    stored = json.loads((run / "evaluation.json").read_text())
    data = load_dataset(small_folder)
    assert stored == json.loads(shown.out)
    assert (stored["source"], stored["fingerprint"]) == (str(small_folder), data.fingerprint)
    assert stored["models"][0]["model_fingerprint"] == load_run_model(run).fingerprint()
    assert stored["models"][0]["circumstances"]["device"] == "cpu"
    export(run, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"Measured by `vu evaluate` on {data.summary()} (fingerprint {data.fingerprint})" in card
    assert str(small_folder) not in card  # a folder of one machine
    assert "after the last epoch" not in card
    for sentence in stored["verdict"]:
        assert f"- {sentence}" in card
    table = card.split("Retrieval:")[1].split("Leaks:")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")]
    figures = {(row["test"], row["metric"]): row for row in stored["models"][0]["sections"]["retrieval"]["figures"]}
    assert len(rows) > 10
    for test, metric, value, *_ in rows[1:]:
        assert value == f"{figures[test.removeprefix('| '), metric]['value']:.4g}"
    assert not any(row[0].startswith("| train") for row in rows)
    (run / "evaluation.json").write_text("{}")  # damaged: as if it were not there
    export(run, tmp_path / "again")
    assert "after the last epoch" in (tmp_path / "again" / "README.md").read_text()
    (run / "evaluation.json").unlink()


def test_evaluation_writes_into_no_other_folder_than_a_run(small_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_tiny("clip", tmp_path / "base")
    before = sorted((tmp_path / "base").iterdir())
    main(["evaluate", str(tmp_path / "base"), "--data", str(small_folder), "--only", "retrieval", "--json"])
    assert sorted((tmp_path / "base").iterdir()) == before
    assert (tmp_path / "evaluation-base-shapes" / "evaluation.html").is_file()


@pytest.mark.parametrize("format", ["transformers", "sentence-transformers"])
def test_a_fusion_head_stays_behind_and_is_spoken_of(format, tmp_path, capsys):
    save_tiny("clip", tmp_path / "base")
    model = DualEncoder.from_pretrained(tmp_path / "base")
    model.add_fusion("bilinear")
    model.save_pretrained(tmp_path / "fused")
    main(["export", str(tmp_path / "fused"), "--out", str(tmp_path / "out"), "--format", format])
    card = (tmp_path / "out" / "README.md").read_text()
    for text in (capsys.readouterr().err, card):
        assert "The model's fusion head (bilinear)" in text
        assert "stays behind" in text
    _, report = CLIPModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    again = DualEncoder.from_pretrained(tmp_path / "out")
    assert again.fusion is None
    np.testing.assert_allclose(again.embed_texts(TEXTS), model.embed_texts(TEXTS), atol=1e-6)
    assert export(tmp_path / "base", tmp_path / "plain").left_behind is None
    assert "stays behind" not in (tmp_path / "plain" / "README.md").read_text()


def test_a_model_that_no_run_made(tmp_path):
    save_tiny("clip", tmp_path / "base")
    export(tmp_path / "base", tmp_path / "out")
    assert "None were measured" in (tmp_path / "out" / "README.md").read_text()
    assert "license:" not in (tmp_path / "out" / "README.md").read_text()


def test_what_cannot_be_exported(small_run, tmp_path):
    with pytest.raises(UserError, match="is made of two towers, for which transformers has no class"):
        export(small_run, tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(UserError, match="full is not empty: give --out a new folder"):
        export(small_run, tmp_path / "full")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
