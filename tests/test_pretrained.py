"""Pretrained models give the vectors that transformers gives, survive saving, and say what is wrong with them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import (
    BertConfig,
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    DistilBertConfig,
    DistilBertModel,
    ResNetConfig,
    ResNetModel,
    Siglip2Config,
    ViTConfig,
)

from tests.pictures import write_table
from tests.pretrained import LAYERS, REAL_VOCABULARY, real_tokenizer, save_tiny, tiny_tokenizer
from vector_universe import DualEncoder, TrainConfig, UserError, load_dataset, train
from vector_universe.models import load_run_model

KINDS = ("clip", "siglip", "chinese_clip", "altclip")
TEXTS = ["a photo of a cat", "dog", "", "one two three four", "a b c d e f g h i j k l m"]
needs_vocabulary = pytest.mark.skipif(not REAL_VOCABULARY.is_file(), reason="CLIP's vocabulary is not here")


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """The model of transformers, ours from the same folder, and the folder."""
    folder = tmp_path_factory.mktemp(request.param)
    theirs = save_tiny(request.param, folder)
    return theirs, DualEncoder.from_pretrained(folder), folder


@pytest.fixture
def clip(tmp_path):
    save_tiny("clip", tmp_path)
    return tmp_path


@torch.no_grad()
def their_texts(model, tokenizer, texts):
    rows = []
    for text in texts:
        if model.config.model_type == "siglip":  # padded to the full length and read without a mask, as it was trained
            ids = tokenizer([text], padding="max_length", max_length=20, truncation=True, return_tensors="pt")
            ids.pop("attention_mask")
        else:
            ids = tokenizer([text], truncation=True, max_length=48, return_tensors="pt")
        rows.append(F.normalize(model.get_text_features(**ids).pooler_output, dim=-1))
    return torch.cat(rows).numpy()


@torch.no_grad()
def their_images(model, pixel_values):
    return F.normalize(model.get_image_features(pixel_values=pixel_values).pooler_output, dim=-1)


def test_embeddings_are_those_of_transformers(pair):
    theirs, ours, _ = pair
    pixels = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(ours.encode_images(pixels), their_images(theirs, pixels), atol=1e-5, rtol=0)
    expected = their_texts(theirs, ours.tokenizer, TEXTS)
    np.testing.assert_allclose(ours.embed_texts(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(ours.embed_texts(TEXTS, batch_size=2), expected, atol=1e-5)
    assert ours.embed_texts([]).shape == (0, ours.config.embedding_width)
    assert ours.logit_scale.item() == theirs.logit_scale.item()
    assert (ours.logit_bias is None) == (not hasattr(theirs, "logit_bias"))


def test_saving_and_loading_changes_no_byte(pair, tmp_path):
    _, ours, _ = pair
    ours.save_pretrained(tmp_path / "one")
    again = load_run_model(tmp_path / "one")
    again.save_pretrained(tmp_path / "two")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert again.fingerprint() == ours.fingerprint()
    np.testing.assert_allclose(again.embed_texts(TEXTS), ours.embed_texts(TEXTS), atol=1e-6)
    assert again.framing == ours.framing


def test_the_pretrained_model_can_be_saved_back(pair, tmp_path):
    theirs, ours, _ = pair
    ours.towers.model.save_pretrained(tmp_path)
    for name, weight in type(theirs).from_pretrained(tmp_path).state_dict().items():
        assert torch.equal(weight, theirs.state_dict()[name]), name


def test_the_parts_of_each_side_are_found(pair):
    _, ours, _ = pair
    names = {name for name, _ in ours.named_modules()}
    for side in ("image", "text"):
        parts = ours.parts(side)
        assert len(parts.blocks) == 2
        assert {parts.tower, *parts.blocks, *parts.after} <= names


def test_only_what_is_read_of_a_text_counts(pair):
    _, ours, _ = pair
    limit = ours.config.max_text_tokens
    assert ours.count_cut(TEXTS) == 0
    with pytest.warns(UserWarning, match=rf"1 of 2 texts \(50.0%\) are longer than the {limit} tokens"):
        rows = ours.embed_texts(["x " * limit, "x"])
    with pytest.warns(UserWarning, match="1 of 1"):
        longer = ours.embed_texts(["x " * (limit + 9)])
    np.testing.assert_allclose(rows[:1], longer, atol=1e-6)


def test_siglip_alone_keeps_its_padding(pair):
    theirs, ours, _ = pair
    length = ours.tokenize(["a"])[0].shape[1]
    assert length == (20 if theirs.config.model_type == "siglip" else 3)


@needs_vocabulary
def test_clip_with_its_real_vocabulary(tmp_path):
    tokenizer = real_tokenizer()
    theirs = save_tiny("clip", tmp_path, tokenizer)
    ours = DualEncoder.from_pretrained(tmp_path)
    assert ours.tokenize(["a photo of a cat"])[0].tolist() == [[49406, 320, 1125, 539, 320, 2368, 49407]]
    texts = [*TEXTS, "Cutest Cats Compilation 2017 | Best Cute Cat Videos Ever", "고양이 🙂"]
    np.testing.assert_allclose(ours.embed_texts(texts), their_texts(theirs, tokenizer, texts), atol=1e-5)


@pytest.mark.slow
@needs_vocabulary
def test_clip_in_full_size(tmp_path):
    torch.manual_seed(0)
    theirs, tokenizer = CLIPModel(CLIPConfig(text_config={"eos_token_id": 49407})).eval(), real_tokenizer()
    theirs.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    ours = DualEncoder.from_pretrained(tmp_path)
    pixels = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(ours.encode_images(pixels), their_images(theirs, pixels), atol=1e-5, rtol=0)
    np.testing.assert_allclose(ours.embed_texts(TEXTS), their_texts(theirs, tokenizer, TEXTS), atol=1e-5)


# ---- two towers ----

TINY_RESNET = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1])
TINY_DISTILBERT = DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=32)


def save_towers(folder):
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer(model_max_length=512)
    resnet = ResNetModel(TINY_RESNET).eval()
    distilbert = DistilBertModel(DistilBertConfig(**TINY_DISTILBERT.to_dict() | {"vocab_size": len(tokenizer)})).eval()
    resnet.save_pretrained(folder / "resnet")
    distilbert.save_pretrained(folder / "distilbert")
    tokenizer.save_pretrained(folder / "distilbert")
    return resnet, distilbert, tokenizer


def test_a_resnet_and_a_distilbert_under_an_mlp_head(tmp_path):
    resnet, distilbert, tokenizer = save_towers(tmp_path)
    model = DualEncoder.from_towers(tmp_path / "resnet", tmp_path / "distilbert", projection="mlp", width=16,
                                    dropout=0.1, max_text_tokens=200).eval()
    assert model.config.max_text_tokens == 200
    pixels = torch.randn(3, 3, 64, 64)

    def head(side, features):
        part = getattr(model.towers, f"{side}_projection")
        projected = part.projection(features)
        return F.normalize(part.norm(projected + part.layer(F.gelu(projected))), dim=-1)

    with torch.no_grad():
        images = head("image", resnet(pixels).pooler_output.flatten(1))
        texts = torch.cat([head("text", distilbert(**tokenizer([text], return_tensors="pt")).last_hidden_state[:, 0])
                           for text in TEXTS])
        torch.testing.assert_close(model.encode_images(pixels), images, atol=1e-5, rtol=0)
    np.testing.assert_allclose(model.embed_texts(TEXTS), texts.numpy(), atol=1e-5)


@pytest.mark.parametrize(("image", "text", "rule"), [
    (TINY_RESNET, TINY_DISTILBERT, "cls"),
    (ViTConfig(**LAYERS, image_size=64), CLIPTextConfig(**LAYERS), "eos"),
    ("convnet", BertConfig(**LAYERS), "cls"),
    (TINY_RESNET, "bag_of_words", "own"),
], ids=["resnet-distilbert", "vit-clip", "convnet-bert", "resnet-words"])
def test_any_two_towers_with_random_weights(image, text, rule, tmp_path):
    torch.manual_seed(0)
    model = DualEncoder.from_towers(image, text, width=16, texts=TEXTS * 2).eval()
    assert model.config.text_pooling == rule
    together = model.embed_texts(TEXTS)
    np.testing.assert_allclose(together, np.concatenate([model.embed_texts([text]) for text in TEXTS]), atol=1e-5)
    picture = Image.effect_noise((80, 50), 60).convert("RGB")
    model.save_pretrained(tmp_path)
    loaded = DualEncoder.from_pretrained(tmp_path)
    assert loaded.fingerprint() == model.fingerprint()
    np.testing.assert_allclose(loaded.embed_texts(TEXTS), together, atol=1e-6)
    np.testing.assert_allclose(loaded.embed_images([picture]), model.embed_images([picture]), atol=1e-6)

    model.train()
    size = model.framing.size
    images, texts = model(torch.randn(5, 3, size, size), *model.tokenize(TEXTS))
    (images @ texts.T * model.logit_scale.exp()).diag().sum().backward()
    assert not [name for name, weight in model.named_parameters() if weight.grad is None]


def test_pretrained_batch_norms_keep_their_statistics(tmp_path):
    save_towers(tmp_path)
    model = DualEncoder.from_towers(tmp_path / "resnet", "bag_of_words", texts=TEXTS).train()
    pixels = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model.encode_images(pixels)[:1], model.encode_images(pixels[:1]))


def test_the_pooling_that_a_sentence_model_declares(tmp_path):
    save_towers(tmp_path)
    (tmp_path / "distilbert" / "1_Pooling").mkdir()
    (tmp_path / "distilbert" / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    assert DualEncoder.from_towers("convnet", tmp_path / "distilbert").config.text_pooling == "mean"


def test_the_towers_of_a_clip_can_be_joined_anew(clip):
    model = DualEncoder.from_towers(clip, clip, width=8)
    theirs = DualEncoder.from_pretrained(clip).towers.model
    assert torch.equal(model.towers.text_tower.model.embeddings.token_embedding.weight,
                       theirs.text_model.embeddings.token_embedding.weight)
    assert torch.equal(model.towers.image_tower.model.post_layernorm.weight, theirs.vision_model.post_layernorm.weight)


# ---- on the way through the product ----

def test_training_goes_on_from_a_pretrained_model(clip, small_folder, tmp_path):
    before = DualEncoder.from_pretrained(clip)
    config = TrainConfig(model=str(clip), epochs=1, batch_size=16, precision="fp32")
    model = train(load_dataset(small_folder), config, tmp_path / "run", quiet=True)
    loaded = load_run_model(tmp_path / "run")
    assert loaded.fingerprint() == model.fingerprint() != before.fingerprint()
    assert loaded.framing == before.framing
    assert [not torch.equal(old, new) for old, new in zip(before.parameters(), model.parameters(), strict=True)]


def test_the_command_line_takes_a_pretrained_model(clip, tmp_path, capsys):
    from vector_universe.cli import main
    (tmp_path / "few" / "images").mkdir(parents=True)  # too few for UMAP, which takes long to import
    colours = ("red", "green", "blue", "white")
    for colour in colours:
        Image.new("RGB", (40, 30), colour).save(tmp_path / "few" / "images" / f"{colour}.png")
    write_table(tmp_path / "few", [(f"{colour}.png", colour, colour) for colour in colours])
    few = str(tmp_path / "few")
    main(["index", str(clip), "--data", few, "--out", str(tmp_path / "universe")])
    main(["search", str(tmp_path / "universe"), "red", "--model", str(clip), "--json", "-k", "3"])
    assert len(json.loads(capsys.readouterr().out)) == 3
    main(["evaluate", str(clip), "--data", few, "--json", "--out", str(tmp_path / "report")])
    assert json.loads(capsys.readouterr().out)["images"] == 4


def test_settings_of_new_towers_do_not_go_with_a_given_model():
    with pytest.raises(UserError, match="image_size, embedding_width: the model x brings its own"):
        TrainConfig(model="x", image_size=96, embedding_width=8).check()


# ---- what is wrong ----

def rewrite(path, **settings):
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def test_a_name_that_is_nowhere(monkeypatch):
    from huggingface_hub import constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"no model nobody/nothing: .* hub cannot be reached"):
        load_run_model("nobody/nothing")
    with pytest.raises(UserError, match="there is no such folder"):
        load_run_model("a/b/c")


def test_a_siglip_2_of_variable_resolution_is_refused_with_the_way_out(clip):
    (clip / "config.json").write_text(json.dumps(Siglip2Config().to_dict()))
    with pytest.raises(UserError, match=r"is a SigLIP 2 of variable resolution \(NaFlex\), which is not supported: "
                                        r"take .* a fixed resolution, such as google/siglip2-base-patch16-224"):
        load_run_model(clip)


def test_pickled_weights_are_refused(clip):
    (clip / "model.safetensors").rename(clip / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pickled \(pytorch_model.bin\), which may run any program; get the model in"):
        load_run_model(clip)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_is_missing(clip, file):
    (clip / file).unlink()
    with pytest.raises(UserError, match="holds no trained model" if file == "config.json" else "cannot be loaded"):
        load_run_model(clip)


def test_weights_that_do_not_fit_their_config(clip):
    rewrite(clip / "config.json", projection_dim=48)
    with pytest.raises(UserError, match=r"2 of another shape \(text_projection.weight \[24, 32\] for \[48, 32\], "):
        load_run_model(clip)
    settings = json.loads((clip / "config.json").read_text())
    for layers, what in ((3, "16 missing"), (1, "16 unexpected")):
        rewrite(clip / "config.json", projection_dim=24,
                vision_config=settings["vision_config"] | {"num_hidden_layers": layers})
        with pytest.raises(UserError, match=rf"do not fit its config.json: {what} \(.*layers.*, …\)"):
            load_run_model(clip)


def test_models_of_another_kind(clip, tmp_path):
    rewrite(clip / "config.json", model_type="no_such_kind")
    with pytest.raises(UserError, match="'no_such_kind' is not known to this version of transformers"):
        load_run_model(clip)
    save_towers(tmp_path)
    with pytest.raises(UserError, match=r"it is a 'resnet'.*: give a CLIP or SigLIP, or join it"):
        load_run_model(tmp_path / "resnet")
    with pytest.raises(UserError, match=r"brings no tokenizer: give `tokenizer`, or `texts`"):
        DualEncoder.from_towers(TINY_RESNET, "bag_of_words")
    with pytest.raises(UserError, match="a 'clip_vision_model' cannot be a text tower: it has no vocabulary"):
        DualEncoder.from_towers("convnet", CLIPConfig().vision_config, texts=TEXTS)


def test_pictures_of_the_wrong_form(clip):
    model = DualEncoder.from_pretrained(clip)
    with pytest.raises(UserError, match=r"pixels are float64 \(1, 32, 32, 3\): this model takes uint8"):
        model.embed_pixels(np.zeros((1, 32, 32, 3)))
    with pytest.raises(UserError, match=r"pixels are uint8 \(1, 3, 32, 32\)"):
        model.embed_pixels(np.zeros((1, 3, 32, 32), np.uint8))
    with pytest.raises(UserError, match="image 1 is a ndarray: give a path"):
        model.embed_images([Image.new("RGB", (4, 4)), np.zeros((4, 4))])
    for mode in ("L", "1", "P", "RGBA", "CMYK", "I;16", "F", "YCbCr"):
        assert np.isfinite(model.embed_images([Image.new(mode, (40, 20))])).all()
