"""Adaptation by tower: what learns, what stays, and that an adapter can be merged, saved and trusted."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from transformers import BertConfig, DistilBertConfig, ResNetConfig, ViTConfig

from tests.pretrained import save_tiny
from vector_universe import DualEncoder, TrainConfig, UserError, load_dataset, train
from vector_universe.models import Adaptation, adapt, load_adapter, load_run_model, merge, save_adapter
from vector_universe.models.adaptation import check_adapter_gradients, default_mode, trainable_table
from vector_universe.training import loop

TEXTS = ["a red circle", "blue square", "a green star beside a wall"]
LAYERS = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
RESNET = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1])
DISTILBERT = DistilBertConfig(dim=32, n_layers=3, n_heads=2, hidden_dim=32)
VIT = ViTConfig(**LAYERS, image_size=32, patch_size=8)
BERT = BertConfig(**LAYERS)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in ("clip", "siglip", "chinese_clip", "altclip")}
    for kind, folder in folders.items():
        save_tiny(kind, folder)
    return folders


@pytest.fixture
def clip(clips):
    return DualEncoder.from_pretrained(clips["clip"])


def pair(image=VIT, text=BERT, **settings):
    torch.manual_seed(0)
    return DualEncoder.from_towers(image, text, texts=TEXTS * 3, width=16, image_size=32, **settings).eval()


def pictures(model):
    size = model.config.image_size
    return np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)


def step(model, steps=3):
    """Train a few steps; the adapters' gradients are checked at the first."""
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], 1e-2)
    pixels = model.normalise_pixels(torch.from_numpy(pictures(model)))
    model.train()
    for number in range(steps):
        images, texts = model(pixels, *model.tokenize(TEXTS))
        optimizer.zero_grad()
        F.cross_entropy(images @ texts.T * model.logit_scale.exp(), torch.arange(3)).backward()
        if number == 0:
            check_adapter_gradients(model)
        optimizer.step()
    return model.eval()


def plain_names(state):
    """Weights by the names that they had before LoRA's layers were put around them."""
    return {name.replace(".base_layer.", "."): tensor.clone() for name, tensor in state.items() if ".lora_" not in name}


def changed_by(model, adaptation):
    before = plain_names(model.state_dict())
    step(adapt(model, adaptation))
    after = plain_names(model.state_dict())
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def vectors(model):
    return np.concatenate([model.embed_pixels(pictures(model)), model.embed_texts(TEXTS)])


# ---- what learns ----

@pytest.mark.parametrize("kind", ["clip", "siglip", "chinese_clip", "altclip"])
def test_lora_goes_to_attention_in_blocks_and_starts_as_nothing(clips, kind):
    model = DualEncoder.from_pretrained(clips[kind])
    before = vectors(model)
    adapt(model, Adaptation())
    np.testing.assert_allclose(vectors(model), before, atol=1e-6)
    adapted = {name.split(".lora_A")[0] for name, _ in model.named_parameters() if ".lora_A" in name}
    blocks = [block for side in ("image", "text") for block in model.parts(side).blocks]
    assert len(blocks) == 4
    assert all(sum(name.startswith(f"{block}.") for name in adapted) == 4 for block in blocks)
    assert len(adapted) == 16


@pytest.mark.parametrize(("image", "text", "per_block"), [(VIT, BERT, 4), (VIT, DISTILBERT, 4),
                                                          ("vit", "transformer", 2)])
def test_lora_on_any_transformers(image, text, per_block):
    model = DualEncoder.from_towers(image, text, texts=TEXTS * 3) if image == "vit" else pair(image, text)
    changed = changed_by(model, Adaptation(rank=4, alpha=8))
    assert changed == {"towers.logit_scale", "towers.image_projection.weight", "towers.text_projection.weight"}
    blocks = [block for side in ("image", "text") for block in model.parts(side).blocks]
    adapters = [name for name, _ in model.named_parameters() if ".lora_A" in name]
    assert len(adapters) == per_block * len(blocks)  # our own blocks have query, key and value in one matrix


def test_a_frozen_side_keeps_its_vectors_and_its_tower_is_not_in_training_mode(clips):
    model = DualEncoder.from_pretrained(clips["clip"])
    before = model.embed_pixels(pictures(model))
    changed = changed_by(model, Adaptation(image="frozen", text="full"))
    assert np.array_equal(model.embed_pixels(pictures(model)), before)
    assert changed
    assert all("text" in name or "logit_scale" in name for name in changed)
    model.train()
    assert model.training
    assert not model.towers.model.vision_model.training
    assert model.towers.model.text_model.training


def test_both_frozen_learn_nothing(clip):
    adapt(clip, Adaptation(image="frozen", text="frozen"))
    assert not [name for name, weight in clip.named_parameters() if weight.requires_grad]


@pytest.mark.parametrize("k", [0, 1, 2])
def test_last_k_changes_the_last_blocks_and_what_follows_alone(k):
    model = pair()
    parts = {side: model.parts(side) for side in ("image", "text")}
    changed = changed_by(model, Adaptation(image="last_k", text="last_k", last_k=k))
    allowed = [name for found in parts.values() for name in (*found.blocks[3 - k:], *found.after)]
    assert all(name == "towers.logit_scale" or name.startswith(tuple(f"{part}." for part in allowed))
               for name in changed)
    assert all(any(name.startswith(f"{part}.") for name in changed) for part in allowed)


def test_a_convnet_goes_with_a_lora_text_tower():
    model = pair(RESNET, DISTILBERT)
    changed = changed_by(model, Adaptation(image="last_k", text="lora", last_k=1))
    assert any("encoder.stages.3" in name for name in changed)
    assert not any("encoder.stages.2" in name or "text_tower" in name for name in changed)


def test_the_table_counts_what_learns(clip):
    total = sum(weight.numel() for weight in clip.parameters())
    adapt(clip, Adaptation(image="lora", text="frozen"))
    image, text, everything = trainable_table(clip)
    lora = 2 * 4 * 2 * 16 * 32  # blocks, layers, matrices, rank, width
    assert (image.part, image.mode, image.trainable) == ("image", "lora", lora + 24 * 32)
    assert (text.mode, text.trainable, text.share) == ("frozen", 0, 0.0)
    assert (everything.trainable, everything.total) == (image.trainable + 1, total + lora)
    assert image.share == image.trainable / image.total


# ---- merging, saving ----

@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_merged_equals_unmerged_and_is_a_plain_model(clips, kind, tmp_path):
    plain = DualEncoder.from_pretrained(clips[kind])
    model = step(adapt(DualEncoder.from_pretrained(clips[kind]), Adaptation()))
    unmerged = vectors(model)
    assert np.abs(unmerged - vectors(plain)).max() > 1e-3
    assert merge(model) is model
    np.testing.assert_allclose(vectors(model), unmerged, atol=1e-5)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert all(weight.requires_grad for weight in model.parameters())
    model.save_pretrained(tmp_path)
    loaded = DualEncoder.from_pretrained(tmp_path)
    assert loaded.fingerprint() == model.fingerprint()
    np.testing.assert_allclose(vectors(loaded), vectors(model), atol=1e-6)
    assert merge(loaded).fingerprint() == model.fingerprint()  # nothing to merge


@pytest.mark.parametrize("adaptation", [
    Adaptation(), Adaptation(image="frozen", rank=4), Adaptation(image="last_k", text="full", last_k=1),
    Adaptation(targets=("fc1", "fc2"))])
def test_a_saved_adapter_gives_the_very_same_model(clips, adaptation, tmp_path):
    model = step(adapt(DualEncoder.from_pretrained(clips["clip"]), adaptation, "tiny"))
    save_adapter(model, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"adapter_model.safetensors", "adapter_config.json"}
    assert json.loads((tmp_path / "adapter_config.json").read_text())["base"] == "tiny"
    loaded = load_adapter(DualEncoder.from_pretrained(clips["clip"]), tmp_path)
    assert loaded.adapted == model.adapted
    np.testing.assert_allclose(vectors(loaded), vectors(model), atol=1e-6)
    assert loaded.fingerprint() == model.fingerprint()  # bit by bit
    assert merge(loaded).fingerprint() == merge(model).fingerprint()


def test_an_adapter_of_another_base_is_refused(clips, clip, tmp_path):
    save_adapter(adapt(clip, Adaptation(), "tiny"), tmp_path)
    other = DualEncoder.from_pretrained(clips["clip"])
    with torch.no_grad():
        other.towers.model.logit_scale += 1e-3
    with pytest.raises(UserError, match=r"made for another base \(tiny, fingerprint [0-9a-f]{16}\): this one has"):
        load_adapter(other, tmp_path)


@pytest.mark.parametrize("damage", ["nothing there", "cut", "not json", "another format", "fewer weights"])
def test_damaged_adapters_are_refused(clips, clip, tmp_path, damage):
    save_adapter(adapt(clip, Adaptation()), tmp_path)
    weights, config = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    if damage == "nothing there":
        weights.unlink()
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "fewer weights":
        settings = json.loads(config.read_text())
        settings["adaptation"]["rank"] = 8
        config.write_text(json.dumps(settings))
    else:
        config.write_text("{" if damage == "not json" else '{"peft_type": "LORA"}')
    match = "do not fit its config" if damage == "fewer weights" else "holds no adapter that can be read"
    with pytest.raises(UserError, match=match):
        load_adapter(DualEncoder.from_pretrained(clips["clip"]), tmp_path)


# ---- what is wrong ----

def test_a_dead_adapter_is_named(clip):
    class Past(nn.Module):
        """Reads the layer's weight past the layer, as `nn.MultiheadAttention` does."""

        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return F.linear(x, self.layer.base_layer.weight, self.layer.base_layer.bias)

    adapt(clip, Adaptation())
    attention = clip.towers.model.text_model.encoder.layers[1].self_attn
    attention.v_proj = Past(attention.v_proj)
    with pytest.raises(UserError, match=r"^1 adapters got no gradient .*layers\.1\.self_attn\.v_proj"):
        step(clip)


def test_layers_that_would_give_no_gradient_are_no_targets():
    torch.manual_seed(0)
    model = pair()
    model.get_submodule(model.parts("image").blocks[0]).odd = nn.MultiheadAttention(32, 2)
    with pytest.raises(UserError, match=r"LoRA cannot go to .*odd\.out_proj: nn.MultiheadAttention would give it no"):
        adapt(model, Adaptation())


def test_towers_without_attention_are_refused():
    model = pair(RESNET, "bag_of_words")
    with pytest.raises(UserError, match=r"image tower has no attention in its blocks .*: adapt it by last_k or full"):
        adapt(model, Adaptation(text="full"))
    with pytest.raises(UserError, match="the text tower has no attention"):
        adapt(model, Adaptation(image="full"))
    with pytest.raises(UserError, match="last_k is 2, and the text tower has 0 blocks"):
        adapt(model, Adaptation(image="last_k", text="last_k"))
    assert (default_mode(model, "image"), default_mode(model, "text")) == ("full", "full")
    assert all(weight.requires_grad for weight in model.parameters())  # nothing was changed
    changed = changed_by(model, Adaptation(text="frozen", targets=("convolution",)))
    assert not any("image_tower" in name for name in changed)


def test_a_target_that_names_nothing(clip):
    with pytest.raises(UserError, match="the image tower has no layer named query, nothing in its blocks"):
        adapt(clip, Adaptation(targets=("query", "nothing")))


@pytest.mark.parametrize(("setting", "value", "message"), [
    ("image", "some", "image is 'some': choose one of frozen, lora, last_k, full"),
    ("rank", 0, "rank is 0: it must be at least 1"), ("last_k", -1, "last_k is -1"), ("dropout", 1.0, "dropout is 1.0"),
    ("last_k", 3, "the image tower has 2 blocks: choose fewer")])
def test_impossible_settings(clip, setting, value, message):
    with pytest.raises(UserError, match=message):
        adapt(clip, replace(Adaptation(image="last_k", text="last_k"), **{setting: value}))


def test_adapting_twice_and_saving_nothing(clip, tmp_path):
    with pytest.raises(UserError, match="there is no adapter to save"):
        save_adapter(clip, tmp_path)
    adapt(clip, Adaptation())
    with pytest.raises(UserError, match="adapted already: merge it first"):
        adapt(clip, Adaptation())


# ---- in training ----

@pytest.fixture(scope="module")
def config(clips):
    return TrainConfig(model=str(clips["clip"]), epochs=2, batch_size=16, precision="fp32", adapt_image="last_k",
                       last_k=1, lora_dropout=0.1, learning_rate=1e-3)


@pytest.fixture(scope="module")
def few(small_folder):
    return load_dataset(small_folder).select(range(32))


@pytest.fixture(scope="module")
def run(few, config, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapted") / "run"
    train(few, config, out, quiet=True)
    return out


def test_a_run_leaves_a_merged_model_and_its_adapter(run, config):
    model = load_run_model(run)
    adapted = load_adapter(DualEncoder.from_pretrained(config.model), run / "adapter")
    assert adapted.adapted.adaptation == Adaptation("last_k", "lora", 1, dropout=0.1)
    assert adapted.adapted.base == config.model
    assert merge(adapted).fingerprint() == model.fingerprint()
    stored = load_file(run / "checkpoint.safetensors")
    assert not any("vision_model.encoder.layers.0" in name for name in stored)  # what does not learn is not stored


def test_an_interrupted_run_continues_as_if_nothing_had_been(run, few, config, tmp_path, monkeypatch):
    save = loop.save_checkpoint

    def interrupted(*state):
        save(*state)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(few, config, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run" / "model").exists()
    monkeypatch.setattr(loop, "save_checkpoint", save)
    train(few, config, tmp_path / "run", quiet=True)
    assert load_run_model(tmp_path / "run").fingerprint() == load_run_model(run).fingerprint()


def test_a_base_that_changed_meanwhile_is_refused(few, config, tmp_path, monkeypatch):
    save_tiny("clip", tmp_path / "base")
    config = replace(config, model=str(tmp_path / "base"))
    monkeypatch.setattr(loop, "publish", lambda *_: None)
    train(few, config, tmp_path / "run", quiet=True)
    model = DualEncoder.from_pretrained(tmp_path / "base").towers.model
    with torch.no_grad():
        model.logit_scale += 1
    model.save_pretrained(tmp_path / "base")
    with pytest.raises(UserError, match="began from has changed since: put the former one back"):
        train(few, config, tmp_path / "run", quiet=True)


def test_the_table_is_printed_before_training(few, config, tmp_path, capsys):
    train(few, replace(config, epochs=1), tmp_path / "run")
    printed = capsys.readouterr().err
    assert printed.index("trainable") < printed.index("step 0")
    assert "last_k" in printed


def test_settings_of_adaptation_in_a_run():
    with pytest.raises(UserError, match="adapt_text, lora_rank: only a given model is adapted"):
        TrainConfig(adapt_text="full", lora_rank=8).check()
    with pytest.raises(UserError, match="both frozen: nothing would learn"):
        TrainConfig(model="x", adapt_image="frozen", adapt_text="frozen").check()
    rates = [TrainConfig(model="x", adapt_text=mode).peak_learning_rate for mode in ("auto", "lora", "full", "last_k")]
    assert rates == [1e-4, 1e-4, 1e-5, 1e-5]
