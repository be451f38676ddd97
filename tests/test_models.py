"""The four models: unit vectors that depend on one input alone, and that survive saving."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image

from vector_universe import DualEncoder, UserError
from vector_universe.models import DualEncoderConfig, load_run_model

TEXTS = ["red circle", "a large blue square beside a small green triangle", "", "빨간 원", "word " * 2000, "🙂"]
TOWERS = list(product(("convnet", "vit"), ("bag_of_words", "transformer")))


def make(image_tower="convnet", text_tower="bag_of_words", **settings):
    torch.manual_seed(0)
    config = DualEncoderConfig(image_tower=image_tower, text_tower=text_tower, image_width=64, text_width=64,
                               text_layers=2, embedding_width=24, **settings)
    return DualEncoder.from_scratch(TEXTS * 2, config).eval()


@pytest.fixture(scope="module", params=TOWERS, ids="-".join)
def model(request):
    return make(*request.param)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), np.uint8)


def test_embeddings_are_unit_rows_of_the_width_asked_for(model, pixels):
    for rows, count in ((model.embed_pixels(pixels), 7), (model.embed_texts(TEXTS), len(TEXTS))):
        assert rows.shape == (count, 24)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert len(np.unique(rows.round(5), axis=0)) == count


def test_nothing_gives_no_rows(model):
    for rows in (model.embed_images([]), model.embed_texts([])):
        assert rows.shape == (0, 24)


def test_forward_returns_both_sides(model, pixels):
    ids, mask = model.tokenize(TEXTS[:2])
    images, texts = model(model.normalise_pixels(torch.from_numpy(pixels[:2])), ids, mask)
    np.testing.assert_allclose(images.detach().numpy(), model.embed_pixels(pixels[:2]), atol=1e-5)
    np.testing.assert_allclose(texts.detach().numpy(), model.embed_texts(TEXTS[:2]), atol=1e-5)


def test_a_text_does_not_depend_on_its_neighbours(model):
    alone = np.concatenate([model.embed_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(model.embed_texts(TEXTS), alone, atol=1e-5)
    np.testing.assert_allclose(model.embed_texts(TEXTS, batch_size=4), alone, atol=1e-5)


def test_an_image_does_not_depend_on_its_batch(model, pixels):
    together = model.embed_pixels(pixels)
    for batch_size in (1, 3):
        np.testing.assert_allclose(model.embed_pixels(pixels, batch_size), together, atol=1e-5)


def test_an_image_embeds_the_same_from_pixels_bytes_path_and_picture(model, pixels, tmp_path):
    picture = Image.fromarray(pixels[0])
    picture.save(tmp_path / "x.png")
    rows = model.embed_images([picture, tmp_path / "x.png", (tmp_path / "x.png").read_bytes()])
    np.testing.assert_allclose(rows, np.repeat(model.embed_pixels(pixels[:1]), 3, axis=0), atol=1e-5)


def test_saved_and_loaded_is_the_very_same(model, pixels, tmp_path):
    model.save_pretrained(tmp_path / "m")
    loaded = load_run_model(tmp_path / "m")
    assert loaded.fingerprint() == model.fingerprint()
    assert np.array_equal(loaded.embed_pixels(pixels), model.embed_pixels(pixels))
    assert np.array_equal(loaded.embed_texts(TEXTS), model.embed_texts(TEXTS))
    assert not loaded.training
    assert list((tmp_path / "m").glob("*.safetensors"))
    assert not list((tmp_path / "m").glob("*.bin"))


@pytest.mark.parametrize("name", ["towers.logit_scale", "towers.image_projection.weight",
                                  "towers.text_tower.tokens.weight"])
def test_one_changed_weight_changes_the_fingerprint(name):
    model = make()
    before = model.fingerprint()
    weight = model.get_parameter(name).data.view(-1)
    weight[0] += 1e-3
    assert model.fingerprint() != before
    weight[0] = make().get_parameter(name).data.view(-1)[0]
    assert model.fingerprint() == before


def test_the_fingerprint_follows_config_and_tokenizer():
    assert make().fingerprint() == make().fingerprint()
    assert make(image_mean=(0.4, 0.5, 0.5)).fingerprint() != make().fingerprint()


def test_word_order_counts_for_the_transformer_alone():
    there, back = "red circle", "circle red"
    for tower, same in (("bag_of_words", True), ("transformer", False)):
        rows = make(text_tower=tower).embed_texts([there, back])
        assert np.allclose(rows[0], rows[1], atol=1e-5) is same


def test_upper_case_and_width_do_not_matter():
    rows = make().embed_texts(["red circle", "RED Circle", "ｒｅｄ circle"])
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])


@pytest.mark.parametrize("size", [48, 63, 72, 240, 0])
def test_impossible_image_sizes_are_refused(size):
    with pytest.raises(UserError, match=f"image_size is {size}: choose a multiple of 16"):
        make(image_size=size)


@pytest.mark.parametrize("image_tower", ["convnet", "vit"])
def test_another_image_size(image_tower):
    model = make(image_tower, image_size=96)
    assert model.embed_images([Image.new("RGB", (200, 30))]).shape == (1, 24)


@pytest.mark.parametrize("setting", ["image_tower", "text_tower"])
def test_unknown_towers_are_refused(setting):
    with pytest.raises(UserError, match=f"{setting} is 'pyramid': choose one of"):
        make(**{setting: "pyramid"})


def test_folders_without_a_model_are_refused(tmp_path):
    (tmp_path / "other").mkdir()
    for content in ("{}", '{"model_type": "bert"}', "[]", "not json"):
        (tmp_path / "other" / "config.json").write_text(content)
        with pytest.raises(UserError, match="other holds no trained model"):
            load_run_model(tmp_path / "other")
    with pytest.raises(UserError, match="nowhere holds no trained model"):
        load_run_model(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["cut", "gone", "no tokenizer"])
def test_damaged_models_are_refused(tmp_path, damage):
    make().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "gone":
        weights.unlink()
    else:
        for file in tmp_path.glob("tokenizer*"):
            file.unlink()
    with pytest.raises(UserError, match="cannot be loaded"):
        load_run_model(tmp_path)
