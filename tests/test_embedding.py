"""Embedding: bf16, where the hardware has it, keeps directions; decoding ahead keeps order, errors and a bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tests.pretrained import save_tiny
from vector_universe import DualEncoder, TrainConfig, load_dataset, train
from vector_universe.data.decode_ahead import decode_ahead
from vector_universe.data.framing import Framing
from vector_universe.data.images import ImageError
from vector_universe.models import load_run_model, precision
from vector_universe.models.image_encoder import normalise

TEXTS = ["a photo of a cat", "dog", "", "one two three four"]


def colours(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (40, 30), (number, 255 - number, 7 * number % 256)) for number in range(count)]


class CountingFraming(Framing):
    """Framing that counts what it has framed."""

    framed = 0

    def pixels(self, image):
        type(self).framed += 1
        return super().pixels(image)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> DualEncoder:
    folder = tmp_path_factory.mktemp("clip")
    save_tiny("clip", folder)
    return DualEncoder.from_pretrained(folder)


@pytest.fixture
def with_bf16(monkeypatch):
    """As on a processor that multiplies bf16; call it to change over."""
    return lambda: monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: True)


@pytest.fixture(autouse=True)
def without_bf16(monkeypatch):
    """As on a processor without, whatever this one has."""
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: False)


def test_bf16_keeps_directions_and_lengths(clip, with_bf16):
    images = colours(5)
    pixels = np.stack([clip.framing.pixels(image) for image in images])

    def embed_all() -> list[np.ndarray]:
        return [clip.embed_images(images), clip.embed_pixels(pixels, 2), clip.embed_texts(TEXTS)]

    exact = embed_all()
    with_bf16()
    for in_fp32, in_bf16 in zip(exact, embed_all(), strict=True):
        assert in_bf16.dtype == np.float32
        assert not np.array_equal(in_bf16, in_fp32)
        np.testing.assert_allclose(np.linalg.norm(in_bf16, axis=1), 1, atol=1e-5)
        assert (in_fp32 * in_bf16).sum(1).min() >= 0.999


def test_auto_is_bf16_where_the_processor_has_it(with_bf16):
    assert not precision.use_bf16("auto", "cpu")
    assert precision.use_bf16("bf16", "cpu")
    with_bf16()
    assert precision.use_bf16("auto", "cpu")
    assert not precision.use_bf16("fp32", "cpu")
    assert not precision.use_bf16("auto", "mps")


def test_a_model_of_another_type_keeps_it(clip, with_bf16):
    with_bf16()
    with precision.autocast(clip):
        assert torch.is_autocast_enabled("cpu")
    clip.double()
    try:
        with precision.autocast(clip):
            assert not torch.is_autocast_enabled("cpu")
    finally:
        clip.float()


@pytest.mark.parametrize("count", [0, 1, 4, 5, 11])
def test_pictures_keep_their_order(clip, count):
    images = colours(count)
    one_by_one = [clip.framing.pixels(image) for image in images]
    batches = list(decode_ahead(clip.framing, images, 4))
    assert [len(batch) for batch in batches] == [min(4, count - start) for start in range(0, count, 4)]
    np.testing.assert_array_equal([row for batch in batches for row in batch], one_by_one)
    rows = clip.embed_images(images, batch_size=4)
    assert rows.shape == (count, 24)
    if count:
        np.testing.assert_allclose(rows, clip.embed_pixels(np.stack(one_by_one)), atol=1e-6)


@pytest.mark.parametrize("place", [0, 5, 10])
def test_a_broken_picture_is_an_error_wherever_it_is(clip, place):
    images: list = colours(11)
    images[place] = b"no picture"
    with pytest.raises(ImageError, match="not an image"):
        clip.embed_images(images, batch_size=4)


def test_no_more_than_two_batches_are_decoded_ahead():
    CountingFraming.framed = 0
    batches = decode_ahead(CountingFraming(8), colours(40), 4)
    for handed_out in range(1, 6):
        next(batches)
        assert 4 * handed_out <= CountingFraming.framed <= 4 * (handed_out + 2)
    batches.close()
    assert CountingFraming.framed <= 28


def test_pixels_are_normalised_channel_by_channel():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), np.uint8)
    mean, std = (0.1, 0.5, 0.7), (0.2, 0.25, 0.5)
    found = normalise(torch.from_numpy(pixels), mean, std)
    assert found.is_contiguous()
    for channel in range(3):
        wanted = (pixels[..., channel] / 255 - mean[channel]) / std[channel]
        np.testing.assert_allclose(found[:, channel], wanted, atol=1e-6)


def test_exact_decoding_is_the_models_and_stays_so(clip, tmp_path):
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (700, 700, 3), np.uint8))
    before, fingerprint = clip.embed_images([noise]), clip.fingerprint()
    clip.config.image_exact = True
    try:
        exact = clip.embed_images([noise])
        assert clip.framing.exact
        assert clip.fingerprint() != fingerprint
        clip.save_pretrained(tmp_path)
        again = DualEncoder.from_pretrained(tmp_path)
    finally:
        clip.config.image_exact = False
    assert clip.fingerprint() == fingerprint
    assert not np.array_equal(exact, before)
    assert again.framing.exact
    np.testing.assert_allclose(again.embed_images([noise]), exact, atol=1e-6)


def test_a_run_can_ask_for_exact_decoding(small_folder, tmp_path):
    config = TrainConfig(embedding_width=64, epochs=1, batch_size=48, exact_decoding=True)
    train(load_dataset(small_folder), config, tmp_path / "run", quiet=True)
    assert load_run_model(tmp_path / "run").framing.exact
