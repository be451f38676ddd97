"""Dropout in encoders: two views while training, one vector else, and nothing left behind."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import BertConfig, ResNetConfig, ViTConfig

from tests.pretrained import save_tiny
from vector_universe import DualEncoder, UserError
from vector_universe.models import Adaptation, DualEncoderConfig, adapt, merge
from vector_universe.models.dropout import encoder_dropout

TEXTS = ["a red circle", "blue square", "a green star beside a wall"]
LAYERS = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
          "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}

def build(kind, tmp_path):
    torch.manual_seed(0)
    if kind in ("clip", "siglip"):
        save_tiny(kind, tmp_path)
        return DualEncoder.from_pretrained(tmp_path)
    if kind == "bert":
        return DualEncoder.from_towers(ViTConfig(**LAYERS, image_size=32, patch_size=8), BertConfig(**LAYERS),
                                       texts=TEXTS * 3, width=16, image_size=32)
    if kind == "resnet":
        return DualEncoder.from_towers(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1] * 4),
                                       "bag_of_words", texts=TEXTS * 3, width=16, image_size=32)
    image, text = ("convnet", "bag_of_words") if kind == "small" else ("vit", "transformer")
    return DualEncoder.from_scratch(TEXTS * 3, DualEncoderConfig(image_tower=image, text_tower=text,
                                                                 embedding_width=16))


def embed(model, side):
    if side == "text":
        return model.encode_texts(*model.tokenize(TEXTS))
    size = model.config.image_size
    return model.encode_images(torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0)))


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize("side", ["image", "text"])
@pytest.mark.parametrize("kind", ["clip", "siglip", "bert", "resnet", "small", "transformers"])
def test_two_passes_are_two_views_while_training_alone(kind, side, tmp_path):
    model = build(kind, tmp_path)
    before = hooks(model)
    model.eval()
    plain = embed(model, side)
    dropout = encoder_dropout(model, side, 0.1)
    assert torch.equal(embed(model, side), plain)
    model.train()
    torch.manual_seed(1)
    one, other = embed(model, side), embed(model, side)
    assert not torch.equal(one, other)
    torch.manual_seed(1)
    assert torch.equal(embed(model, side), one)
    one.pow(3).sum().backward()
    tower, projections = model.towers.modules_of(side)
    for name in (tower, *projections):
        weights = list(model.towers.get_submodule(name).parameters())
        assert any(weight.grad is not None and weight.grad.any() for weight in weights)
    dropout.remove()
    dropout.remove()
    assert hooks(model) == before
    model.eval()
    assert torch.allclose(embed(model, side), plain, atol=1e-5) or kind in ("resnet", "small")  # batch norms saw data


@pytest.mark.parametrize(("adaptation", "places"), [
    (Adaptation("full", "lora"), [f"towers.text_tower.model.encoder.layer.{n}" for n in range(3)]),
    (Adaptation("full", "last_k", last_k=1), ["towers.text_tower.model.encoder.layer.2"]),
    (Adaptation("full", "last_k", last_k=0), ["towers.text_projection"]),
])
def test_it_goes_where_something_learns(adaptation, places, tmp_path):
    model = adapt(build("bert", tmp_path), adaptation).train()
    with encoder_dropout(model, "text", 0.1) as dropout:
        assert dropout.modules == places
        assert not torch.equal(embed(model, "text"), embed(model, "text"))
    assert hooks(model) == 0
    assert torch.equal(embed(model, "text"), embed(model, "text"))


def test_siglip_with_learning_norms_alone_drops_from_its_pooled_output(tmp_path):
    model = adapt(build("siglip", tmp_path), Adaptation("last_k", "last_k", last_k=0)).train()
    for side, tower in (("image", "towers.model.vision_model"), ("text", "towers.model.text_model")):
        with encoder_dropout(model, side, 0.1) as dropout:
            assert dropout.modules == [tower]
            assert not torch.equal(embed(model, side), embed(model, side))


def test_it_survives_merging(tmp_path):
    model = adapt(build("clip", tmp_path), Adaptation()).train()
    with encoder_dropout(model, "text", 0.1):
        merge(model)
    assert hooks(model) == 0


def test_a_block_that_returns_a_tuple_keeps_the_rest():
    class Block(nn.Linear):
        def forward(self, rows):
            return super().forward(rows), "attentions"

    class Towers(nn.Module):
        def modules_of(self, side):
            return "tower", []

    class Parts:
        blocks = ("block",)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Block(8, 8)
            self.towers = Towers()

        def parts(self, side):
            return Parts

    model = Model().train()
    with encoder_dropout(model, "text", 0.5):
        states, rest = model.block(torch.ones(4, 8))
    assert rest == "attentions"
    assert 0 < (states == 0).sum() < 32


def test_gradient_checkpointing_drops_the_same_twice(tmp_path):
    model = build("clip", tmp_path).train()
    gradients = []
    with encoder_dropout(model, "text", 0.1):
        for checkpointing in (False, True):
            if checkpointing:
                model.gradient_checkpointing_enable()
            model.zero_grad()
            torch.manual_seed(3)
            embed(model, "text").pow(3).sum().backward()
            gradients.append(model.get_submodule(model.parts("text").blocks[0]).mlp.fc1.weight.grad.clone())
    assert torch.allclose(*gradients, atol=1e-6)


def test_impossible_settings_are_refused(tmp_path):
    model = build("bert", tmp_path)
    for probability in (-0.1, 1.0, float("nan")):
        with pytest.raises(UserError, match="at least 0 and below 1"):
            encoder_dropout(model, "text", probability)
    assert encoder_dropout(model, "text", 0.0).modules == []
    adapt(model, Adaptation("full", "frozen"))
    with pytest.raises(UserError, match="nothing of the text side learns"):
        encoder_dropout(model, "text", 0.1)
    assert hooks(model) == 0
