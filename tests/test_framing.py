"""Pictures are prepared as the processors of transformers prepare them, from the numbers in their JSON."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from tests.pretrained import save_tiny
from vector_universe import DualEncoder, UserError
from vector_universe.data import Framing
from vector_universe.data.resize import RESAMPLING, resize
from vector_universe.models.preprocessing import framing_by_kind, framing_from_processor

SHAPES = [(640, 360), (401, 533), (90, 90), (1500, 2000), (100, 700), (225, 224)]
PROCESSORS = [CLIPImageProcessorPil(), SiglipImageProcessorPil(), ViTImageProcessorPil(),
              ConvNextImageProcessorPil(size={"shortest_edge": 224}), ConvNextImageProcessorPil(),
              CLIPImageProcessorPil(size={"shortest_edge": 256}, resample=2)]


def picture(width, height):
    """Smooth noise with an edge: about as hard to resample as a photo."""
    random = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(random).filter(ImageFilter.GaussianBlur(2))
    image.paste((250, 30, 10), (width // 3, height // 3, width // 2, height // 2))
    return image


@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda processor: type(processor).__name__)
def test_pixels_are_those_of_the_processor(processor):
    framing = framing_from_processor(processor.to_dict())
    for shape in SHAPES:
        image = picture(*shape)
        theirs = processor(image, do_normalize=False)["pixel_values"][0].transpose(1, 2, 0) * 255
        ours = framing.pixels(image)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).mean() < 0.6, shape  # of 255
    assert framing.mean == pytest.approx(processor.image_mean)
    assert framing.std == pytest.approx(processor.image_std)


@settings(max_examples=60)
@given(st.integers(5, 300), st.integers(5, 300), st.integers(1, 120), st.integers(1, 120),
       st.sampled_from(list(RESAMPLING)))
def test_pictures_are_resampled_as_by_pillow(width, height, new_width, new_height, resampling):
    image = picture(width, height)
    wanted = np.asarray(image.resize((new_width, new_height), RESAMPLING[resampling])).astype(int)
    found = resize(image, new_width, new_height, resampling)
    assert found.dtype == np.uint8
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 2  # both round between the passes
    assert np.abs(found - wanted).mean() <= 0.5  # of few pixels; of many about 0.002


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_a_jpeg_decoded_at_a_fraction_looks_the_same(fit):
    encoded = io.BytesIO()
    picture(2000, 1500).filter(ImageFilter.GaussianBlur(4)).save(encoded, "JPEG", quality=95)
    framing = Framing(96, fit)
    exact = replace(framing, exact=True).pixels(encoded.getvalue())
    assert np.abs(framing.pixels(encoded.getvalue()).astype(float) - exact).mean() < 1


@pytest.mark.parametrize("file", ["preprocessor_config.json", "processor_config.json", None])
def test_a_model_brings_its_framing(tmp_path, file):
    save_tiny("clip", tmp_path)
    settings = CLIPImageProcessorPil(size={"shortest_edge": 40}, crop_size=32, image_mean=[0.1, 0.2, 0.3]).to_dict()
    if file:
        whole = settings if file == "preprocessor_config.json" else {"image_processor": settings}
        (tmp_path / file).write_text(json.dumps(whole))
    framing = DualEncoder.from_pretrained(tmp_path).framing
    if file:
        assert (framing.size, framing.fit, framing.shortest_edge, framing.mean) == (32, "crop", 40, (0.1, 0.2, 0.3))
    else:
        assert framing == framing_by_kind("clip", 32)


def test_old_processors_give_numbers_alone():
    assert framing_from_processor({"size": 224, "do_center_crop": True, "crop_size": 224}).shortest_edge == 224
    assert framing_from_processor({"size": 224, "default_to_square": True}).fit == "stretch"
    assert framing_from_processor({"size": {"height": 8, "width": 8}, "do_normalize": False}).std == (1, 1, 1)
    with pytest.raises(UserError, match="the model must see squares"):
        framing_from_processor({"size": {"height": 8, "width": 9}})
