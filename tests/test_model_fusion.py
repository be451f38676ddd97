"""A model that carries a fusion head: what it fuses, and that the head goes wherever the model goes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import BertConfig, ViTConfig

from tests.pretrained import save_tiny
from vector_universe import DualEncoder, UserError
from vector_universe.models import (
    Adaptation,
    DualEncoderConfig,
    FusionHead,
    FusionHeadConfig,
    adapt,
    load_adapter,
    load_run_model,
    merge,
    save_adapter,
)
from vector_universe.models.adaptation import trainable_table
from vector_universe.models.adapter_file import learned_state
from vector_universe.models.fusion import KINDS

TEXTS = ["a red circle", "blue square"]
LAYERS = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    save_tiny("clip", folder)
    return folder


def make(source, clip):
    torch.manual_seed(0)
    if source == "clip":
        return DualEncoder.from_pretrained(clip)
    if source == "towers":
        return DualEncoder.from_towers(ViTConfig(**LAYERS, image_size=32, patch_size=8), BertConfig(**LAYERS),
                                       texts=TEXTS, width=24).eval()
    return DualEncoder.from_scratch(TEXTS, DualEncoderConfig(image_width=64, embedding_width=24)).eval()


def trained(model, kind="gated", seed=1):
    """A head far away from where it starts."""
    head = model.add_fusion(kind, hidden_width=20, rank=6)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return model


def rows(seed, count=5, width=24):
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=1).numpy()


def unit(rows_ND):
    return rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_a_new_head_and_no_head_give_the_mean_of_what_is_there(kind, clip):
    model = make("clip", clip)
    if kind:
        model.add_fusion(kind, hidden_width=20, rank=6)
    image, title, ocr = rows(0), rows(1), rows(2)
    title[1] = ocr[1] = ocr[2] = 0
    found = model.fuse_vectors(image, title, ocr)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, unit(image + title + ocr), atol=1e-6)
    np.testing.assert_allclose(model.fuse_vectors(title_ND=rows(1)), rows(1), atol=1e-6)
    np.testing.assert_allclose(model.fuse_vectors(rows(3), -rows(3)), rows(3), atol=1e-6)
    assert model.fuse_vectors(image[:0], title[:0]).shape == (0, 24)
    many = rows(0, 5000), rows(1, 5000)  # more than are fused at once
    np.testing.assert_allclose(model.fuse_vectors(*many), unit(sum(many)), atol=1e-6)


@pytest.mark.parametrize("with_head", [False, True])
def test_what_cannot_be_fused_is_refused_with_and_without_a_head(with_head, clip):
    model = make("clip", clip)
    if with_head:
        model.add_fusion()
    for arrays, message in (((None, None, None), "at least one"), ((rows(0), rows(1)[:2], None), "all must be"),
                            ((2 * rows(0), None, None), "not of length 1"),
                            ((np.zeros((2, 24), np.float32), None, None), "neither image nor title"),
                            ((rows(0) * np.nan, None, None), "not of length 1")):
        with pytest.raises(ValueError, match=message):
            model.fuse_vectors(*arrays)


def test_a_trained_head_fuses_as_it_does_by_itself(clip):
    model = trained(make("clip", clip))
    assert not np.allclose(model.fuse_vectors(rows(0), rows(1)), unit(rows(0) + rows(1)), atol=1e-2)
    np.testing.assert_array_equal(model.fuse_vectors(rows(0), rows(1)), model.fusion.fuse(rows(0), rows(1)))


@pytest.mark.parametrize("source", ["clip", "towers", "scratch"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_saved_and_loaded_with_its_head_to_the_bit(source, kind, clip, tmp_path):
    model = trained(make(source, clip), kind)
    model.save_pretrained(tmp_path)
    again = load_run_model(tmp_path)
    assert again.config.fusion == {"kind": kind, "hidden_width": 20, "rank": 6}
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(weight, model.state_dict()[name]) for name, weight in again.state_dict().items())
    assert again.fingerprint() == model.fingerprint()
    assert not again.fusion.training
    np.testing.assert_array_equal(again.fuse_vectors(rows(0), rows(1)), model.fuse_vectors(rows(0), rows(1)))
    again.set_fusion(None)
    again.save_pretrained(tmp_path / "without")
    assert load_run_model(tmp_path / "without").fusion is None


def test_the_head_is_part_of_the_fingerprint(clip):
    model = make("clip", clip)
    plain = model.fingerprint()
    first, second = trained(model).fingerprint(), trained(model, seed=2).fingerprint()
    assert len({plain, first, second}) == 3
    assert model.tower_fingerprint() == plain
    model.set_fusion(None)
    assert model.fingerprint() == plain


def test_a_head_of_half_precision_fuses_in_float32(clip):
    model = trained(make("clip", clip)).to(torch.bfloat16)
    found = model.fuse_vectors(rows(0), rows(1))
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("settings", "message"), [
    ({"kind": "magic"}, "kind is 'magic': choose one of concat, gated, bilinear"),
    ({"rank": 0}, "rank is 0: it must be at least 1")])
def test_impossible_heads_are_refused_and_change_nothing(settings, message, clip):
    model = make("clip", clip)
    with pytest.raises(UserError, match=message):
        model.add_fusion(**settings)
    with pytest.raises(UserError, match="is of width 8, and the model embeds in 24 dimensions"):
        model.set_fusion(FusionHead(FusionHeadConfig(width=8)))
    assert model.fusion is None
    assert model.config.fusion is None


def test_a_config_with_other_settings_is_refused(clip, tmp_path):
    trained(make("clip", clip)).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"fusion": {"kind": "gated"}}))
    with pytest.raises(UserError, match="fusion has kind: give kind, hidden_width, rank"):
        DualEncoder.from_pretrained(tmp_path)


def test_the_table_counts_the_head(clip):
    model = adapt(trained(make("clip", clip)), Adaptation("frozen", "lora"))
    table = {row.part: row for row in trainable_table(model)}
    size = sum(parameter.numel() for parameter in model.fusion.parameters())
    assert list(table) == ["image", "text", "fusion", "all"]
    assert (table["fusion"].mode, table["fusion"].trainable, table["fusion"].total) == ("full", size, size)
    assert any(name.startswith("fusion.") for name in learned_state(model))
    model.fusion.requires_grad_(False)
    assert trainable_table(model)[2].mode == "frozen"
    assert not any(name.startswith("fusion.") for name in learned_state(model))


@pytest.mark.parametrize("first", ["head", "adapter"])
@pytest.mark.parametrize("learns", [True, False])
def test_an_adapter_brings_its_head(first, learns, clip, tmp_path):
    model = make("clip", clip)
    if first == "head":
        adapt(trained(model), Adaptation())
    else:
        trained(adapt(model, Adaptation()))
    model.fusion.requires_grad_(learns)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                parameter.add_(0.1)
    save_adapter(model, tmp_path)
    base = make("clip", clip)
    if learns:
        base.add_fusion("concat")  # a head of its own gives way
    again = merge(load_adapter(base, tmp_path).eval())
    merge(model)
    assert again.fingerprint() == model.fingerprint()
    np.testing.assert_array_equal(again.fuse_vectors(rows(0), rows(1)), model.fuse_vectors(rows(0), rows(1)))
    np.testing.assert_array_equal(again.embed_texts(TEXTS), model.embed_texts(TEXTS))


def test_an_adapter_without_a_head_leaves_none(clip, tmp_path):
    model = adapt(make("clip", clip), Adaptation())
    save_adapter(model, tmp_path)
    assert "fusion" not in json.loads((tmp_path / "adapter_config.json").read_text())
    assert load_adapter(trained(make("clip", clip)), tmp_path).fusion is None
