"""A tower cut in front of what learns: both halves together are the plain encoding, values and gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    ConvNextConfig,
    Dinov2Config,
    DistilBertConfig,
    GPT2Config,
    ModernBertConfig,
    ResNetConfig,
    SwinConfig,
    T5Config,
    ViTConfig,
)

from tests.pretrained import tiny_model, tiny_tokenizer
from vector_universe import DualEncoder
from vector_universe.models import Adaptation, DualEncoderConfig, adapt
from vector_universe.models.cut import TowerCut, stack_rows
from vector_universe.models.pretrained import plain
from vector_universe.models.whole import WholeModel

TEXTS = ["a red circle", "blue square", "a green star beside a wall", "x"]
SIDES = ("image", "text")
WHOLE = ("clip", "siglip", "chinese_clip", "altclip")
LAYERS = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
CONFIGS = {
    "resnet": ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1]),
    "hf_vit": ViTConfig(**LAYERS, image_size=32, patch_size=8),
    "hf_vit_with_dropout": ViTConfig(**LAYERS, image_size=32, patch_size=8, hidden_dropout_prob=0.1),
    "convnext": ConvNextConfig(hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1]),
    "dinov2": Dinov2Config(**LAYERS, image_size=32, patch_size=8),
    "swin": SwinConfig(image_size=32, patch_size=2, window_size=4, embed_dim=8, depths=[1, 1, 1], num_heads=[1, 2, 2]),
    "distilbert": DistilBertConfig(dim=32, n_layers=3, n_heads=2, hidden_dim=32),
    "bert": BertConfig(**LAYERS),
    "gpt2": GPT2Config(n_embd=32, n_layer=3, n_head=2),
    "modernbert": ModernBertConfig(**LAYERS, pad_token_id=0),
    "t5": T5Config(d_model=32, d_kv=16, d_ff=32, num_layers=3, num_heads=2),
}
IMAGE_TOWERS = ("convnet", "vit", "resnet", "hf_vit", "convnext", "dinov2", "swin")
TEXT_TOWERS = ("transformer", "distilbert", "bert", "gpt2", "modernbert")
CASES = [(kind, side) for kind in WHOLE for side in SIDES] + [(kind, "image") for kind in IMAGE_TOWERS] + \
    [(kind, "text") for kind in TEXT_TOWERS]


def build(kind, **settings):
    torch.manual_seed(0)
    if kind in WHOLE:
        tokenizer = tiny_tokenizer()
        inner = tiny_model(kind, tokenizer)
        config = DualEncoderConfig(pretrained_config=plain(inner.config), image_size=32,
                                   embedding_width=32 if kind == "siglip" else 24, max_text_tokens=20,
                                   pad_texts_to_max=kind == "siglip")
        model = DualEncoder(config, WholeModel(inner))
        model.tokenizer = tokenizer
        return model.eval()
    if kind in ("convnet", "vit"):
        model = DualEncoder.from_scratch(TEXTS * 3, DualEncoderConfig(
            image_size=64, image_tower=kind, text_tower="transformer", image_layers=3, text_layers=3))
    else:
        image, text = ("hf_vit", kind) if kind in (*TEXT_TOWERS, "t5", "bag_of_words") else (kind, "bert")
        model = DualEncoder.from_towers(CONFIGS[image], CONFIGS.get(text, text), texts=TEXTS * 3, width=16,
                                        image_size=32, **settings)
    with torch.no_grad():  # away from zero, so that a part that is left out is seen
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return model.eval()


def last_k(model, k):
    return adapt(model, Adaptation(image="last_k", text="last_k", last_k=k))


def inputs_of(model, side):
    if side == "text":
        return model.tokenize(TEXTS)
    size = model.config.image_size
    return (torch.randn(len(TEXTS), 3, size, size, generator=torch.Generator().manual_seed(1)),)


def encode(model, side, inputs):
    return model.encode_images(*inputs) if side == "image" else model.encode_texts(*inputs)


def resumed(cut, inputs):
    """As a cache of rows does it: taken apart, and put together again."""
    activations = stack_rows(cut.rows(cut.activations(*inputs), *inputs))
    return cut.resume(activations, *inputs) if cut.side == "text" else cut.resume(activations)


def gradients(model, rows):
    model.zero_grad()
    (rows * torch.randn(rows.shape, generator=torch.Generator().manual_seed(2), dtype=rows.dtype)).sum().backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def state_of(model):
    """All that a call could leave behind: training modes, overridden methods, hooks, names of weights."""
    return [(name, module.training, sorted(vars(module)), list(module._forward_hooks), list(module._forward_pre_hooks))
            for name, module in model.named_modules()], list(model.state_dict())


# ---- values, gradients ----

@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize(("kind", "side"), CASES)
def test_both_halves_are_the_plain_encoding(kind, side, k):
    model = last_k(build(kind), k)
    cut = TowerCut.of(model, side)
    blocks = model.parts(side).blocks
    if k == len(blocks):
        assert cut is None  # the first block learns
        return
    assert (cut.kind, cut.depth) == ("activation", len(blocks) - k)
    inputs = inputs_of(model, side)
    assert cut.check(*inputs)
    before = state_of(model)
    plain_rows = encode(model, side, inputs)
    found = resumed(cut, inputs)
    torch.testing.assert_close(found, plain_rows, rtol=0, atol=1e-6)
    assert found.dtype == torch.float32
    expected, actual = gradients(model, plain_rows), gradients(model, found)
    assert expected.keys() == actual.keys()
    learning = {name for name, weight in model.named_parameters() if weight.requires_grad and _is_of(model, name, side)}
    assert expected.keys() == learning
    for name in expected:
        scale = expected[name].abs().max().item()
        torch.testing.assert_close(actual[name], expected[name], rtol=1e-5, atol=1e-6 * max(1.0, scale), msg=name)
    assert state_of(model) == before


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["clip", "vit", "resnet"])
def test_gradients_in_double_precision(kind, side):
    model = last_k(build(kind), 1).double()
    cut = TowerCut.of(model, side)
    inputs = inputs_of(model, side)
    activations = cut.activations(*inputs)
    assert activations.dtype == torch.float64
    expected = gradients(model, encode(model, side, inputs))
    actual = gradients(model, cut.resume(activations, *(inputs if side == "text" else ())))
    for name in expected:
        torch.testing.assert_close(actual[name], expected[name], rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize(("kind", "side"), [("clip", "image"), ("vit", "image"), ("convnet", "image"),
                                            ("resnet", "image"), ("siglip", "text")])
def test_without_padding_the_same_bits(kind, side):
    model = last_k(build(kind), 1)
    inputs = inputs_of(model, side)
    with torch.no_grad():
        assert torch.equal(resumed(TowerCut.of(model, side), inputs), encode(model, side, inputs))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["clip", "siglip", "convnet", "bert"])
def test_a_frozen_side_is_cut_at_its_embeddings(kind, side):
    model = adapt(build(kind), Adaptation(image="frozen", text="frozen"))
    cut = TowerCut.of(model.train(), side)
    inputs = inputs_of(model, side)
    assert cut.kind == "embedding"
    assert cut.check(*inputs)
    activations = cut.activations(*inputs)
    assert torch.equal(activations, encode(model, side, inputs).detach())
    assert torch.equal(cut.resume(stack_rows(cut.rows(activations, *inputs))), activations)
    assert not activations.requires_grad


def test_items_are_the_same_in_another_batch():
    model = last_k(build("bert"), 1)
    cut = TowerCut.of(model, "text")
    ids, mask = inputs_of(model, "text")
    rows = [cut.rows(cut.activations(ids[place:place + 1, :length], mask[place:place + 1, :length]),
                     ids[place:place + 1, :length], mask[place:place + 1, :length])[0]
            for place, length in enumerate(mask.sum(dim=1).tolist())]
    torch.testing.assert_close(cut.resume(stack_rows(rows), ids, mask), model.encode_texts(ids, mask),
                               rtol=0, atol=1e-6)


# ---- in training ----

@pytest.mark.parametrize(("kind", "side"), [("bert", "text"), ("hf_vit_with_dropout", "image")])
def test_dropout_is_for_what_learns_alone_and_draws_as_with_the_front_at_rest(kind, side):
    model = last_k(build(kind, projection="mlp", dropout=0.3), 1)
    cut = TowerCut.of(model.train(), side)
    inputs = inputs_of(model, side)
    before = state_of(model)
    assert torch.equal(cut.activations(*inputs), cut.activations(*inputs))
    torch.manual_seed(3)
    found = resumed(cut, inputs)
    assert not torch.equal(found, resumed(cut, inputs))
    assert state_of(model) == before
    for name, module in model.named_modules():
        if not name.startswith((*model.parts(side).blocks[2:], *model.parts(side).after)):
            module.training = False
    torch.manual_seed(3)
    torch.testing.assert_close(found, encode(model, side, inputs), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("kind", "side"), [("clip", "image"), ("clip", "text"), ("convnet", "image"),
                                            ("transformer", "text"), ("bert", "text"), ("resnet", "image")])
def test_under_autocast(kind, side):
    model = last_k(build(kind), 1)
    inputs = inputs_of(model, side)
    with torch.autocast("cpu", torch.bfloat16):
        cut = TowerCut.of(model, side)
        assert cut.check(*inputs)  # leaves no weights cast without gradient in autocast's cache
        found = resumed(cut, inputs)
        expected = gradients(model, encode(model, side, inputs))
    actual = gradients(model, found)
    assert expected.keys() == actual.keys()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(found.detach(), encode(model, side, inputs), rtol=0, atol=1e-2)
    largest = max(gradient.abs().max() for gradient in expected.values())
    for name in expected:
        torch.testing.assert_close(actual[name], expected[name], rtol=0.05, atol=0.05 * largest.item(), msg=name)


def test_chunks_with_cached_gradients():
    """Rows first, without gradient; then chunk by chunk with the rows' gradient (GradCache, Gao et al. 2021)."""
    model = last_k(build("clip"), 1)
    cut = TowerCut.of(model, "text")
    inputs = inputs_of(model, "text")
    activations = cut.activations(*inputs)
    weights = torch.randn(len(TEXTS), 24, generator=torch.Generator().manual_seed(4))
    (model.encode_texts(*inputs) * weights).sum().backward()
    expected = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    for place in (slice(0, 2), slice(2, 4)):
        cut.resume(activations[place], *[part[place] for part in inputs]).backward(weights[place])
    for name, gradient in expected.items():
        torch.testing.assert_close(model.get_parameter(name).grad, gradient, rtol=1e-5, atol=1e-6, msg=name)


def test_gradient_checkpointing_goes_with_it():
    model = last_k(build("bert"), 1)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    cut = TowerCut.of(model.train(), "text")
    inputs = inputs_of(model, "text")
    expected = gradients(model, model.encode_texts(*inputs))
    model.gradient_checkpointing_enable()
    actual = gradients(model, resumed(cut, inputs))
    for name in expected:
        torch.testing.assert_close(actual[name], expected[name], rtol=1e-5, atol=1e-6, msg=name)


# ---- where there is no cut ----

@pytest.mark.parametrize("adaptation", [Adaptation(), Adaptation(image="full", text="full")])
@pytest.mark.parametrize("side", SIDES)
def test_no_cut_where_the_first_block_learns(adaptation, side):
    assert TowerCut.of(adapt(build("clip"), adaptation), side) is None


def test_no_cut_in_a_plain_model_nor_in_a_bag_of_words():
    assert TowerCut.of(build("clip"), "image") is None
    model = build("bag_of_words")
    assert TowerCut.of(adapt(model, Adaptation(image="frozen", text="last_k", last_k=0)), "text") is None


def test_no_cut_where_something_before_the_blocks_learns():
    model = last_k(build("clip"), 1)
    assert TowerCut.of(model, "image") is not None
    model.towers.model.vision_model.embeddings.class_embedding.requires_grad_(True)
    assert TowerCut.of(model, "image") is None


@pytest.mark.parametrize(("k", "fits"), [(0, True), (1, False)])
def test_blocks_that_hand_on_more_than_their_output_cannot_be_cut(k, fits):
    model = last_k(build("t5"), k)  # its first block hands the position bias to all others
    cut = TowerCut.of(model, "text")
    before = state_of(model)
    assert cut.check(*inputs_of(model, "text")) == fits
    assert state_of(model) == before


def test_blocks_that_give_what_cannot_be_kept_cannot_be_cut():
    class Several(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def forward(self, x):
            return self.block(x), [x]

    model = last_k(build("vit"), 1)
    blocks = model.towers.image_tower.blocks
    blocks[1], blocks[2] = Several(blocks[1]), nn.Identity()
    blocks[2].forward = lambda given: given[0]
    assert not TowerCut(model, "image", 2).check(*inputs_of(model, "image"))


class Around(nn.Module):
    """A text tower that also adds what it read before the blocks after them."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.tokens, self.blocks, self.norm = inner.tokens, inner.blocks, inner.norm

    def forward(self, input_ids, attention_mask):
        return self.inner(input_ids, attention_mask) + self.blocks[0].seen.mean(dim=1)


def test_a_tower_that_reads_a_block_past_its_output_cannot_be_cut():
    model = last_k(build("transformer"), 1)
    model.towers.text_tower = Around(model.towers.text_tower)
    first = model.towers.text_tower.blocks[0]
    first.register_forward_hook(lambda module, _, output: setattr(module, "seen", output))
    cut = TowerCut(model, "text", 3)
    assert not cut.check(*inputs_of(model, "text"))


def test_a_front_that_looks_at_the_whole_batch_cannot_be_cut():
    class Centred(nn.Module):
        def forward(self, x):
            return x - x.mean(dim=0)

    model = last_k(build("vit"), 1)
    model.towers.image_tower.blocks.insert(0, Centred())
    assert not TowerCut.of(model, "image").check(*inputs_of(model, "image"))


def test_padding_that_is_read_cannot_be_left_out():
    model = last_k(build("siglip"), 1)
    inputs = inputs_of(model, "text")
    assert TowerCut.of(model, "text").check(*inputs)
    model.config.pad_texts_to_max = False
    assert not TowerCut.of(model, "text").check(*inputs)


# ---- nothing is left behind ----

@pytest.mark.parametrize("where", ["front", "back"])
def test_nothing_is_left_after_an_exception(where):
    model = last_k(build("bert"), 1).train()
    cut = TowerCut.of(model, "text")
    inputs = inputs_of(model, "text")
    activations = cut.activations(*inputs)
    block = model.get_submodule(model.parts("text").blocks[0 if where == "front" else 2])

    def fail(*_):
        raise MemoryError

    hook = block.register_forward_pre_hook(fail)
    before = state_of(model)
    with pytest.raises(MemoryError):
        cut.activations(*inputs) if where == "front" else cut.resume(activations, *inputs)
    assert state_of(model) == before
    hook.remove()
    torch.testing.assert_close(model.eval().encode_texts(*inputs), resumed(cut, inputs), rtol=0, atol=1e-6)


def test_the_cut_follows_the_weights_as_they_learn():
    model = last_k(build("clip"), 1)
    cut = TowerCut.of(model, "image")
    inputs = inputs_of(model, "image")
    activations = cut.activations(*inputs)
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], 0.1)
    cut.resume(activations)[:, 0].sum().backward()
    optimizer.step()
    assert any(not torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert torch.equal(cut.resume(activations), model.encode_images(*inputs))


def _is_of(model, name, side):
    tower, projections = model.towers.modules_of(side)
    return name.startswith(tuple(f"towers.{part}." for part in (tower, *projections)))
