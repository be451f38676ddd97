"""Centring and whitening: against float64, as part of the model, and judged before they are kept."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.pretrained import save_tiny
from vector_universe import DualEncoder, TrainConfig, UserError, load_dataset, train
from vector_universe.models import Adaptation, DualEncoderConfig, adapt, load_adapter, load_run_model, save_adapter
from vector_universe.models.export import export
from vector_universe.models.post_processing import KINDS, PostProcessing, fit_post_processing

TEXTS = ["a red circle", "blue square"]


def unit(rows_ND):
    return rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)


def cone(seed, count=300, width=12, decay=1.0):
    """Unit rows in a narrow cone whose directions differ in width; in float64."""
    draw = np.random.default_rng(seed)
    return unit(3 * draw.normal(size=width) + draw.normal(size=(count, width)) * np.arange(1, width + 1) ** -decay)


def small(width=24):
    torch.manual_seed(0)
    return DualEncoder.from_scratch(TEXTS, DualEncoderConfig(image_width=64, embedding_width=width)).eval()


def processed(kind="whiten", width=24):
    model = small(width)
    model.set_post_processing(fit_post_processing(kind, cone(1, width=width), cone(2, width=width)))
    return model


def pixels(count=4, size=64):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


# ---- what it computes ----


def test_centring_takes_the_mean_of_its_side_away():
    images, texts = cone(0), cone(1, 200)
    found = fit_post_processing("centre", images, texts)
    for side, rows in (("image", images), ("text", texts)):
        np.testing.assert_allclose(found.apply_to(rows, side), unit(rows - rows.mean(axis=0)), atol=2e-6)
    assert np.abs(unit(images - images.mean(axis=0)) - found.apply_to(images, "text")).max() > 0.1


def test_whitening_makes_every_direction_equally_wide():
    images, texts = cone(0, 40_000), cone(1, 40_000)
    found = fit_post_processing("whiten", images, texts)
    moved = [(rows - rows.mean(axis=0)) @ found.whiten_DD.double().numpy() for rows in (images, texts)]
    pooled = sum(np.cov(rows.T) for rows in moved) / 2
    np.testing.assert_allclose(pooled / pooled[0, 0], np.eye(12), atol=0.02)
    np.testing.assert_allclose(found.apply_to(images, "image"), unit(moved[0]), atol=1e-5)


def test_sides_weigh_alike_however_many_rows_they_have():
    images, texts = cone(0), cone(1)
    few, many = (fit_post_processing("whiten", images, rows) for rows in (texts, np.repeat(texts, 4, axis=0)))
    rows = cone(2)
    # not to the digit: more rows are shrunk less
    np.testing.assert_allclose(few.apply_to(rows, "text"), many.apply_to(rows, "text"), atol=0.05)


def test_few_rows_are_shrunk_towards_centring_alone():
    draw = np.random.default_rng(0)
    images, texts = (unit(draw.normal(size=(10, 64)) + 2) for _ in range(2))
    spread = np.linalg.svd(fit_post_processing("whiten", images, texts).whiten_DD.numpy(), compute_uv=False)
    assert spread.max() / spread.min() < 5  # of an unshrunk covariance of 10 rows it would be infinite


def test_a_new_one_changes_nothing():
    rows = cone(0).astype(np.float32)
    for kind in KINDS:
        np.testing.assert_allclose(PostProcessing(kind, 12).apply_to(rows, "image"), rows, atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.integers(2, 40), st.integers(2, 40), st.integers(2, 12))
def test_what_comes_out_are_unit_rows(seed, kind, images, texts, width):
    found = fit_post_processing(kind, cone(seed, images, width), cone(seed + 1, texts, width))
    rows = found.apply_to(cone(seed + 2, 7, width), "image")
    assert (rows.shape, rows.dtype) == ((7, width), np.float32)
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))  # zeros where a row is the mean itself


def test_bad_input_is_refused():
    with pytest.raises(UserError, match="'sphere': choose one of centre, whiten"):
        PostProcessing("sphere", 4)
    with pytest.raises(UserError, match="1 text vectors: give at least two"):
        fit_post_processing("centre", cone(0), cone(1, 1))
    with pytest.raises(UserError, match="all vectors are the same"):
        fit_post_processing("whiten", np.ones((5, 4)) / 2, np.ones((5, 4)) / 2)


# ---- as part of the model ----


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_applies_it_in_every_way_to_embed(kind):
    plain, model = small(), processed(kind)
    found = model.post_processing
    images, texts = plain.embed_pixels(pixels()), plain.embed_texts(TEXTS)
    # bf16 is where the towers are, before it
    np.testing.assert_allclose(model.embed_pixels(pixels()), found.apply_to(images, "image"), atol=1e-5)
    np.testing.assert_allclose(model.embed_texts(TEXTS), found.apply_to(texts, "text"), atol=1e-5)
    ids, mask = model.tokenize(TEXTS)
    np.testing.assert_allclose(model.encode_texts(ids, mask).detach(), found.apply_to(
        plain.encode_texts(ids, mask).detach().numpy(), "text"), atol=1e-5)


def test_the_product_is_not_taken_in_bf16():
    found, rows = processed().post_processing, torch.from_numpy(cone(3, width=24)).float()
    with torch.autocast("cpu", torch.bfloat16):
        inside = found(rows, "image")
    assert inside.dtype == torch.float32
    assert torch.equal(inside, found(rows, "image"))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_saved_and_loaded_with_the_model(kind, tmp_path):
    model = processed(kind)
    model.save_pretrained(tmp_path)
    loaded = load_run_model(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["post_processing"] == {"kind": kind}
    assert loaded.fingerprint() == model.fingerprint()
    np.testing.assert_array_equal(loaded.embed_texts(TEXTS), model.embed_texts(TEXTS))
    np.testing.assert_array_equal(loaded.embed_pixels(pixels()), model.embed_pixels(pixels()))


def test_the_fingerprint_knows_it_and_is_as_before_without():
    model = small()
    before = model.fingerprint()
    model.set_post_processing(fit_post_processing("centre", cone(1, width=24), cone(2, width=24)))
    centred = model.fingerprint()
    assert centred != before
    assert model.tower_fingerprint() == before
    model.set_post_processing(fit_post_processing("centre", cone(3, width=24), cone(2, width=24)))
    assert model.fingerprint() not in (centred, before)
    model.set_post_processing(None)
    assert model.fingerprint() == before


def test_it_follows_the_model_into_half_precision():
    model = processed()
    exact = model.embed_texts(TEXTS)
    model.to(torch.bfloat16)
    assert model.post_processing.image_mean_D.dtype == torch.bfloat16
    assert (model.embed_texts(TEXTS) * exact).sum(axis=1).min() > 0.99


def test_a_head_and_post_processing_exclude_each_other():
    model = small()
    model.add_fusion("concat")
    with pytest.raises(UserError, match=r"fusion head.*set_fusion"):
        model.set_post_processing(PostProcessing("centre", 24))
    with pytest.raises(UserError, match=r"centring and PCA whitening.*set_post_processing"):
        processed().add_fusion("concat")
    with pytest.raises(UserError, match=r"of width 12.*24 dimensions"):
        small().set_post_processing(PostProcessing("centre", 12))
    with pytest.raises(UserError, match="post_processing has kind, size: give kind"):
        DualEncoderConfig(post_processing={"kind": "centre", "size": 3}).check()


# ---- training from such a model, exports ----


def test_training_starts_without_it_and_says_so(small_folder, tmp_path):
    save_tiny("clip", tmp_path / "base")
    base = DualEncoder.from_pretrained(tmp_path / "base")
    width = base.config.embedding_width
    plain = base.fingerprint()
    base.set_post_processing(fit_post_processing("whiten", cone(1, width=width), cone(2, width=width)))
    base.save_pretrained(tmp_path / "whitened")
    config = TrainConfig(model=str(tmp_path / "whitened"), epochs=1, batch_size=16, precision="fp32", wise_ft=0.5)
    with pytest.warns(UserWarning, match="PCA whitening is taken off.*fit it again"):
        model = train(load_dataset(small_folder), config, tmp_path / "run", quiet=True)
    assert model.post_processing is model.config.post_processing is None
    stored = json.loads((tmp_path / "run" / "adapter" / "adapter_config.json").read_text())
    assert stored["base_fingerprint"] == plain


def test_an_adapter_fits_its_base_whatever_is_done_to_its_vectors(tmp_path):
    save_tiny("clip", tmp_path / "base")
    base = DualEncoder.from_pretrained(tmp_path / "base")
    save_adapter(adapt(base, Adaptation("frozen", "lora")), tmp_path / "adapter")
    again = DualEncoder.from_pretrained(tmp_path / "base")
    width = again.config.embedding_width
    again.set_post_processing(PostProcessing("centre", width))
    with pytest.warns(UserWarning, match="taken off"):
        assert load_adapter(again, tmp_path / "adapter").post_processing is None


def test_a_plain_base_warns_of_nothing(tmp_path):
    save_tiny("clip", tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapt(DualEncoder.from_pretrained(tmp_path), Adaptation("frozen", "lora"))


@pytest.mark.parametrize("format", ["transformers", "sentence-transformers"])
def test_formats_that_have_no_place_for_it_are_refused(format, tmp_path):
    save_tiny("clip", tmp_path / "base")
    model = DualEncoder.from_pretrained(tmp_path / "base")
    width = model.config.embedding_width
    model.set_post_processing(fit_post_processing("centre", cone(1, width=width), cone(2, width=width)))
    model.save_pretrained(tmp_path / "centred")
    with pytest.raises(UserError, match=f"ends in centring, for which {format} has no place.*--format onnx"):
        export(tmp_path / "centred", tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


def test_onnx_keeps_it(tmp_path):
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    ort = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    model = processed()
    model.save_pretrained(tmp_path / "model")
    found = export(tmp_path / "model", tmp_path / "out", "onnx")
    assert max(found.parity.image, found.parity.text) < 1e-4
    ids, mask = model.tokenize(TEXTS)
    given = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
    rows = ort.InferenceSession(str(tmp_path / "out" / "text.onnx")).run(None, given)[0]
    np.testing.assert_allclose(rows, model.encode_texts(ids, mask).detach(), atol=1e-5)
    assert np.abs(rows - small().embed_texts(TEXTS)).max() > 0.1
    assert "centring and PCA whitening" in (tmp_path / "out" / "README.md").read_text()
