"""Predictors of words: what they know, what they score, and that they survive saving."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import ResNetConfig, ViTConfig

from tests.predictors import TEXTS, make, shaken
from vector_universe import DualEncoder, UserError
from vector_universe.losses.captioning import captioning
from vector_universe.models import DualEncoderConfig, load_any_model
from vector_universe.models.predictors import Predictor
from vector_universe.models.predictors.ngram import count_ngrams
from vector_universe.models.predictors.vocabulary import MANY_TEXTS, learn_words

KINDS = ("bag_of_words", "ngram", "captioner")


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    return shaken(make(request.param))


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), np.uint8)


@pytest.mark.parametrize("predicts", KINDS)
@pytest.mark.parametrize("image_tower", ["convnet", "vit"])
def test_before_training_every_score_is_zero(predicts, image_tower, pixels):
    model = make(predicts, image_tower=image_tower)
    scores = model.scores(model.read_pixels(pixels), ["red", "a red circle", "circle red a", "unheard of", ""])
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, np.zeros((7, 5)), atol=1e-5)


def test_a_score_depends_on_its_own_text_and_picture_alone(model, pixels):
    features = model.read_pixels(pixels)
    texts = ["red", "a big red square", "blue circle", "a", "", "원 a 빨간"]
    together = model.scores(features, texts)
    assert np.abs(together[:, :4]).min() > 1e-4
    alone = np.stack([model.scores(features[i:i + 1], [text])[0, 0] for i in range(7) for text in texts])
    np.testing.assert_allclose(together, alone.reshape(7, 6), atol=1e-4)
    np.testing.assert_allclose(model.read_pixels(pixels, batch_size=3), features, atol=1e-4)


def test_losses_of_rows_do_not_depend_on_other_rows(model, pixels):
    features = torch.from_numpy(model.read_pixels(pixels))
    texts = ["red", "a big red square", "blue circle", "a", "", "원 a 빨간", "unheard of"]
    with torch.no_grad():
        together = model.row_losses(features, *model.targets(texts))
        order = [3, 0, 6, 5, 1, 4, 2]
        shuffled = model.row_losses(features[order], *model.targets([texts[i] for i in order]))
        alone = torch.cat([model.row_losses(features[i:i + 1], *model.targets(texts[i:i + 1])) for i in range(7)])
    assert together.shape == (7,)
    torch.testing.assert_close(together[order], shuffled, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-5)


def test_learning_one_pair_raises_its_score(model, pixels):
    model = shaken(make(model.config.predicts))
    images = model.normalise_pixels(torch.from_numpy(pixels[:2]))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    targets = model.targets(["a red circle", "a blue circle"])
    for _ in range(25):
        optimiser.zero_grad()
        model.row_losses(model.features(images), *targets).mean().backward()
        optimiser.step()
    scores = model.scores(model.read_pixels(pixels[:2]), ["a red circle", "a blue circle"])
    assert scores[0, 0] > scores[0, 1] + 0.5
    assert scores[1, 1] > scores[1, 0] + 0.5


def test_a_captioner_hides_some_pictures_in_training_alone(pixels):
    model = shaken(make("captioner", dropout=0.0))
    features = torch.from_numpy(model.read_pixels(np.repeat(pixels[:1], 200, axis=0)))
    targets = model.targets(["a red circle"] * 200)
    with torch.no_grad():
        assert len(model.row_losses(features, *targets).unique()) == 1
        model.train()
        torch.manual_seed(0)
        losses = model.row_losses(features, *targets)
        torch.manual_seed(0)
        assert torch.equal(model.row_losses(features, *targets), losses)
    shares = losses.round(decimals=4).unique(return_counts=True)[1].sort().values / 200
    assert len(shares) == 2
    assert 0.04 < shares[0] < 0.17


def test_a_captioner_of_texts_that_are_all_alike_is_refused():
    with pytest.raises(UserError, match="the training texts are all alike: two different ones at least"):
        make("captioner", texts=["cat", "CAT", "cat"])
    assert make("captioner", texts=["🙂", "🙁"]).unknown(["🙂"]) == []


def test_scores_are_the_difference_of_losses_with_and_without_the_picture(pixels):
    model = shaken(make("captioner"))
    features, texts = model.read_pixels(pixels), ["a red circle", "blue"]
    lengths = [len(row) for row in model.tokenizer(texts)["input_ids"]]
    head = model.head
    tokens, = model.targets(texts)
    with torch.no_grad():
        states, _ = head.decoder(head.read(tokens), head.decoder.look_away())
        without = captioning(head.decoder.logits(states), tokens) * torch.tensor(lengths)
        given = [model.row_losses(torch.from_numpy(features), *model.targets([text] * 7)) * length
                 for text, length in zip(texts, lengths, strict=True)]
    expected = without - torch.stack(given, dim=1)
    np.testing.assert_allclose(model.scores(features, texts), expected.numpy(), atol=0.05)  # the model's arithmetic


def test_embeddings_are_the_pooled_features(model, pixels):
    rows = model.embed_pixels(pixels)
    assert rows.shape == (7, 64)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert model.embed_images([]).shape == (0, 64)


def test_saved_and_loaded_is_the_very_same(model, pixels, tmp_path):
    model.save_pretrained(tmp_path / "model")
    loaded = load_any_model(tmp_path)  # as a run folder has it
    assert isinstance(loaded, Predictor)
    assert loaded.fingerprint() == model.fingerprint()
    features = model.read_pixels(pixels)
    np.testing.assert_allclose(loaded.read_pixels(pixels), features, atol=1e-5)
    np.testing.assert_allclose(loaded.scores(features, TEXTS), model.scores(features, TEXTS), atol=1e-4)
    assert not loaded.training
    assert {path.suffix for path in (tmp_path / "model").iterdir()} <= {".json", ".safetensors"}


def test_nothing_gives_nothing(model):
    size = model.config.image_size
    features = model.read_pixels(np.empty((0, size, size, 3), np.uint8))
    assert model.scores(features, ["red"]).shape == (0, 1)
    assert model.scores(model.read_pixels(np.zeros((2, size, size, 3), np.uint8)), []).shape == (2, 0)


def test_texts_of_unknown_words_are_named():
    assert make().unknown(["red", "green", "", "green circle", "🙂"]) == ["green", "", "🙂"]


def test_case_width_and_punctuation_do_not_matter(pixels):
    model = shaken(make())
    scores = model.scores(model.read_pixels(pixels), ["red circle", "RED, circle!", "ｒｅｄ\ncircle", "circle red red"])
    assert np.array_equal(scores, np.repeat(scores[:, :1], 4, axis=1))


def test_rare_words_are_left_out_where_asked_or_where_there_are_many_texts():
    few = ["a red circle"] * 3 + ["once"]
    assert make(texts=few).unknown(["once", "red"]) == []
    assert make(texts=few, min_count=2).unknown(["once", "red"]) == ["once"]
    assert make(texts=few, vocabulary_limit=2).unknown(["a", "red", "circle"]) == ["red"]
    assert "once" not in learn_words(["red a"] * MANY_TEXTS + ["once"]).get_vocab()


@pytest.mark.parametrize("texts", [[], ["", "🙂", "!?"], ["cat", "CAT", "cat!"]])
def test_a_vocabulary_of_one_word_is_refused(texts):
    with pytest.raises(UserError, match=r"the training texts have (no word|one word alone, 'cat',) to predict: two"):
        make(texts=texts)


def test_long_texts_are_cut_and_counted(pixels):
    model = shaken(make(max_text_tokens=3))
    assert model.count_cut(["a red circle", "a big red square"]) == 1
    scores = model.scores(model.read_pixels(pixels), ["a big red", "a big red square"])
    assert np.array_equal(scores[:, 0], scores[:, 1])


@pytest.mark.parametrize(("name", "value"), [("predicts", "poems"), ("smoothing", 0), ("smoothing", 1), ("dropout", 1),
                                             ("ngram_order", 0), ("min_count", 0), ("vocabulary_limit", 1)])
def test_impossible_settings_are_refused(name, value):
    with pytest.raises(UserError, match=f"{name} is {value!r}"):
        make(**{name: value})


def test_a_dual_encoder_is_no_predictor(tmp_path):
    DualEncoder.from_scratch(TEXTS, DualEncoderConfig(image_width=64, text_width=64)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="predicts no words: give what `vu train --recipe bag_of_words`"):
        Predictor.from_pretrained(tmp_path)


def test_a_dictionary_holds_frequent_ngrams_with_their_beginnings_and_ends():
    rows = [[1, 2, 3, 4], [1, 2, 3], [5, 1, 2], [2, 0, 3]]  # 0 is unknown
    found = count_ngrams(rows, order=3, min_count=2, limit=9)
    words = {(1,): 3, (2,): 4, (3,): 3, (4,): 1, (5,): 1}
    assert found == words | {(1, 2): 3, (2, 3): 2, (1, 2, 3): 2}
    assert list(found) == sorted(found, key=lambda ngram: (len(ngram), ngram))
    assert count_ngrams(rows, order=3, min_count=2, limit=2) == words | {(1, 2): 3, (2, 3): 2}
    assert count_ngrams(rows, order=1, min_count=2, limit=9) == words


def test_word_order_counts_for_ngrams_alone(pixels):
    texts = ["a red", "red a"]
    for kind, same in (("bag_of_words", True), ("ngram", False)):
        model = shaken(make(kind))
        scores = model.scores(model.read_pixels(pixels), texts)
        assert np.allclose(scores[:, 0], scores[:, 1], atol=1e-4) is same


VIT = ViTConfig(hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=32,
                patch_size=16)
RESNET = ResNetConfig(embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic")


@pytest.mark.parametrize("kind", ["bag_of_words", "captioner"])
@pytest.mark.parametrize(("tower", "places"), [(VIT, 5), (RESNET, 16)], ids=["vit", "resnet"])
def test_any_image_tower_will_do(kind, tower, places, tmp_path):
    model = shaken(make(kind, image_tower="auto", image_tower_config=tower.to_dict(), image_size=32))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    features = model.read_pixels(pixels)
    assert features.shape == (2, places if kind == "captioner" else 1, model.config.embedding_width)
    model.save_pretrained(tmp_path)
    loaded = Predictor.from_pretrained(tmp_path)
    assert loaded.fingerprint() == model.fingerprint()
    np.testing.assert_allclose(loaded.scores(features, TEXTS), model.scores(features, TEXTS), atol=1e-4)


@pytest.mark.parametrize("frozen", [True, False])
def test_pretrained_batch_norms_keep_their_statistics_in_training(frozen):
    """As those of a `DualEncoder`: with them features would depend on the other pictures of the batch."""
    model = make("bag_of_words", image_tower="auto", image_tower_config=RESNET.to_dict(), image_size=32,
                 freeze_batch_norm=frozen).train()
    before = {name: value.clone() for name, value in model.named_buffers() if "running_mean" in name}
    model.features(torch.randn(4, 3, 32, 32))
    assert before
    assert all(torch.equal(value, before[name]) == frozen for name, value in model.named_buffers() if name in before)
