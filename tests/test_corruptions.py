"""Corruptions: what each does, that it is the same again, and that a higher strength does more."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vector_universe.data import Example
from vector_universe.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt

ONE, OTHER = Example("one", b"", [], []), Example("other", b"", [], [])


def picture(side=96):
    """A scene with smooth parts, edges, fine stripes and colours."""
    image = Image.radial_gradient("L").resize((side, side)).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.rectangle((side // 8, side // 8, side // 2, side // 2), (200, 40, 30))
    draw.ellipse((side // 2, side // 2, side - 4, side - 4), (20, 120, 210))
    for place in range(0, side // 3, 3):
        draw.line((side // 2 + place, 0, side // 2 + place, side // 3), (230, 220, 40))
    return np.asarray(image)


def distance(one, other):
    return float(np.square(one.astype(np.float64) - other).mean())


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("side", [48, 96])
def test_a_higher_strength_does_more(name, side):
    pixels = picture(side)
    distances = []
    for strength in STRENGTHS:
        found = corrupt(pixels, ONE, name, strength)
        assert (found.shape, found.dtype) == (pixels.shape, np.uint8)
        distances.append(np.mean([distance(pixels, corrupt(pixels, Example(str(number), b"", [], []), name, strength))
                                  for number in range(8)]))
    assert distances[0] > 0
    assert all(one < next_one for one, next_one in pairwise(distances)), distances


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_it_is_the_same_again_and_leaves_the_picture_alone(name):
    pixels = picture()
    pixels.setflags(write=False)
    first = corrupt(pixels, ONE, name, 3, seed=1)
    assert np.array_equal(first, corrupt(pixels, ONE, name, 3, seed=1))
    assert np.array_equal(pixels, picture())


@pytest.mark.parametrize("name", ["gaussian noise", "shot noise", "impulse noise", "motion blur"])
def test_noise_is_drawn_by_seed_id_and_strength(name):
    pixels = picture()
    first = corrupt(pixels, ONE, name, 3)
    assert not np.array_equal(first, corrupt(pixels, OTHER, name, 3))
    assert not np.array_equal(first, corrupt(pixels, ONE, name, 3, seed=1))


def test_noise_has_the_moments_that_are_asked_for():
    grey = np.full((256, 256, 3), 128, np.uint8)
    gaussian = corrupt(grey, ONE, "gaussian noise", 1).astype(float)
    assert gaussian.std() == pytest.approx(0.06 * 255, rel=0.02)
    shot = corrupt(grey, ONE, "shot noise", 1).astype(float)
    assert shot.mean() == pytest.approx(128, abs=0.5)
    assert shot.std() == pytest.approx(255 * np.sqrt(128 / 255 / 80), rel=0.02)
    impulse = corrupt(grey, ONE, "impulse noise", 5)
    assert np.mean(impulse == 0) == pytest.approx(0.14, abs=0.005)
    assert np.mean(impulse == 255) == pytest.approx(0.14, abs=0.005)


def test_colours_fade_to_their_luminance_and_fog_to_their_mean():
    pixels = picture()
    grey = corrupt(pixels, ONE, "saturation", 5)
    assert np.array_equal(grey[..., 0], grey[..., 1])
    assert np.abs(grey[..., 0].astype(int) - np.asarray(Image.fromarray(pixels).convert("L"))).max() <= 1
    fog = corrupt(pixels, ONE, "contrast", 5)
    assert np.allclose(fog.mean(axis=(0, 1)), pixels.mean(axis=(0, 1)), atol=0.6)
    assert fog.std() < 0.12 * pixels.std()


@pytest.mark.parametrize("name", ["gaussian blur", "motion blur", "contrast", "saturation", "pixelate"])
@pytest.mark.parametrize("value", [0, 77, 255])
def test_an_even_grey_has_nothing_to_lose(name, value):
    grey = np.full((48, 48, 3), value, np.uint8)
    for strength in STRENGTHS:
        assert np.abs(corrupt(grey, ONE, name, strength).astype(int) - value).max() <= 1


def test_motion_blur_is_the_mean_along_its_line():
    point = np.zeros((64, 64, 3), np.uint8)
    point[32, 32] = 255
    blurred = corrupt(point, ONE, "motion blur", 5)[..., 0].astype(float)
    rows, columns = np.nonzero(blurred)
    lengths = np.hypot(rows - 32, columns - 32)
    assert lengths.max() == pytest.approx(0.18 * 64 / 2, abs=1)
    centred = np.stack([rows - 32, columns - 32], axis=1).astype(float)
    assert np.linalg.svd(centred, compute_uv=False)[1] < 0.2 * np.linalg.svd(centred, compute_uv=False)[0]


@pytest.mark.parametrize(("name", "strength"), [("fog", 1), ("jpeg", 0), ("jpeg", 6)])
def test_what_there_is_not_is_refused(name, strength):
    with pytest.raises(ValueError, match="there is no corruption"):
        corrupt(picture(), ONE, name, strength)
