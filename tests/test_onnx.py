"""ONNX files of both towers: the vectors of the model, for any batch, and without torch."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import DistilBertConfig, ViTConfig

from tests import pretrained
from vector_universe import DualEncoder, TrainConfig, UserError, load_dataset, train
from vector_universe.cli import main
from vector_universe.models import DualEncoderConfig, load_run_model, onnx_export
from vector_universe.models.export import export

TEXTS = ["a red circle", "blue"]
KINDS = ["clip", "siglip", "convnet x bag of words", pytest.param("ViT x DistilBERT", marks=pytest.mark.slow)]


def picture(width=48, height=32):
    """Smooth, so that a preparation that rounds otherwise by a pixel shows nothing."""
    rows, columns = np.mgrid[0:height, 0:width] / max(width, height)
    return Image.fromarray((np.stack([rows, columns, 1 - rows], axis=-1) * 255).astype(np.uint8))


def save_kind(kind, folder):
    if kind in ("clip", "siglip"):
        with pytest.MonkeyPatch.context() as patch:  # the exporter's time grows with the layers
            for settings in (pretrained.LAYERS, pretrained.VISION):
                patch.setitem(settings, "num_hidden_layers", 1)
            pretrained.save_tiny(kind, folder)
    elif kind == "convnet x bag of words":
        DualEncoder.from_scratch(TEXTS, DualEncoderConfig(image_width=64)).save_pretrained(folder)
    else:
        layers = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
        DualEncoder.from_towers(
            ViTConfig(**layers, image_size=32, patch_size=8),
            DistilBertConfig(dim=32, hidden_dim=32, n_layers=1, n_heads=2, max_position_embeddings=30),
            projection="mlp", width=24, texts=TEXTS).save_pretrained(folder)


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory):
    """A model's folder, and what was exported from it, by way of the command line."""
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    folder = tmp_path_factory.mktemp("onnx")
    source = folder / "model"
    save_kind(request.param, source)
    main(["export", str(source), "--out", str(folder / "out"), "--format", "onnx"])
    return source, folder / "out"


def session(path):
    import onnxruntime
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_the_files_give_the_vectors_of_the_model_for_any_batch(exported):
    source, out = exported
    model = load_run_model(source)
    image, text = session(out / "image.onnx"), session(out / "text.onnx")
    assert [found.name for found in text.get_inputs()] == ["input_ids", "attention_mask"]
    size = model.config.image_size
    assert image.get_inputs()[0].shape == ["batch", 3, size, size]
    assert text.get_inputs()[0].shape == [
        "batch", model.config.max_text_tokens if model.config.pad_texts_to_max else "length"]
    for texts in (["blue"], ["red", "a large blue square", ""], ["word " * 100] * 4):
        ids, mask = model.tokenize(texts)
        pixels = torch.randn(len(texts), 3, size, size)
        with torch.no_grad():
            images_BD, texts_BD = model(pixels, ids, mask)
        [found] = image.run(None, {"pixel_values": pixels.numpy()})
        np.testing.assert_allclose(found, images_BD, atol=1e-5)
        [found] = text.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        np.testing.assert_allclose(found, texts_BD, atol=1e-5)


def test_the_card_s_example_runs_without_torch(exported):
    source, out = exported
    card = (out / "README.md").read_text()
    assert 'library_name: "onnx"' in card
    example = card.split("```python\n")[1].split("```")[0]
    picture().save(out / "picture.png")
    code = ("import sys; sys.modules['torch'] = None\n" + example.replace("picture.jpg", "picture.png")
            + "\nnp.savez('found.npz', images=images, texts=texts)")
    done = subprocess.run([sys.executable, "-c", code], cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, model = np.load(out / "found.npz"), load_run_model(source)
    np.testing.assert_allclose(found["texts"], model.embed_texts(TEXTS), atol=1e-5)
    assert (found["images"] @ model.embed_images([picture()]).T).item() > 0.995


def export_checked(source, out):
    """Export, and compare both files with the model once more, in numbers of our own."""
    pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    exported = export(source, out, "onnx")
    model = load_run_model(source)
    ids, mask = model.tokenize(TEXTS)
    pixels = model.normalise_pixels(torch.from_numpy(model.framing.pixels(picture(70, 50))[None].copy()))
    with torch.no_grad():
        images_BD, texts_BD = model(pixels, ids, mask)
    [found] = session(out / "image.onnx").run(None, {"pixel_values": pixels.numpy()})
    np.testing.assert_allclose(found, images_BD, atol=1e-5)
    [found] = session(out / "text.onnx").run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    np.testing.assert_allclose(found, texts_BD, atol=1e-5)
    return exported, (out / "README.md").read_text()


def test_a_run_trained_by_lora_is_exported_merged(small_folder, tmp_path):
    save_kind("clip", tmp_path / "base")
    config = TrainConfig(model=str(tmp_path / "base"), epochs=1, batch_size=16, precision="fp32", learning_rate=1e-2)
    train(load_dataset(small_folder), config, tmp_path / "run", quiet=True)
    exported, card = export_checked(tmp_path / "run", tmp_path / "out")
    before, after = load_run_model(tmp_path / "base"), load_run_model(tmp_path / "run")
    assert not np.allclose(before.embed_texts(TEXTS), after.embed_texts(TEXTS), atol=1e-3)
    assert f"Both files were run when they were written. {exported.parity}, between" in card
    assert "| adapt_image | lora |" in card
    assert b"lora" not in (tmp_path / "out" / "text.onnx").read_bytes()


def test_pictures_that_are_cut_from_larger_ones(tmp_path):
    """shortest_edge above the crop: the card's example and the numbers beside it cut as the model does."""
    save_kind("clip", tmp_path / "model")
    (tmp_path / "model" / "preprocessor_config.json").write_text(json.dumps({
        "do_center_crop": True, "size": {"shortest_edge": 44}, "resample": 3,
        "crop_size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    model = load_run_model(tmp_path / "model")
    assert (model.framing.shortest_edge, model.framing.size) == (44, 32)
    _, card = export_checked(tmp_path / "model", tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())
    assert settings["size"] == {"shortest_edge": 44}
    assert settings["crop_size"] == {"height": 32, "width": 32}
    picture(70, 50).save(tmp_path / "out" / "picture.png")
    example = card.split("```python\n")[1].split("```")[0].replace("picture.jpg", "picture.png")
    done = subprocess.run([sys.executable, "-c", example + "\nnp.save('found.npy', images)"], cwd=tmp_path / "out",
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (np.load(tmp_path / "out" / "found.npy") @ model.embed_images([picture(70, 50)]).T).item() > 0.995


def test_a_fusion_head_stays_behind(tmp_path):
    save_kind("convnet x bag of words", tmp_path / "model")
    model = load_run_model(tmp_path / "model")
    model.add_fusion("concat")
    model.save_pretrained(tmp_path / "fused")
    exported, card = export_checked(tmp_path / "fused", tmp_path / "out")
    assert exported.left_behind in card
    assert "fusion head (concat)" in card


def test_other_vectors_are_refused_and_leave_nothing(tmp_path, monkeypatch):
    save_kind("convnet x bag of words", tmp_path / "model")
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: name)
    monkeypatch.setattr(onnx_export, "_write", lambda *_: None)
    differences = iter([1e-7, float("nan")])
    monkeypatch.setattr(onnx_export, "_difference", lambda *_: next(differences))
    with pytest.raises(UserError, match=r"other vectors than the model, by 1.0e-07 \(images\) and nan"):
        export(tmp_path / "model", tmp_path / "out", "onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_without_the_extra_it_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stopped:
        main(["export", "no model is looked for", "--out", str(tmp_path / "out"), "--format", "onnx"])
    assert stopped.value.code == 2
    assert "pip install 'vector-universe[onnx]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
