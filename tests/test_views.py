"""Views: random choices that belong to an example and a number alone, and pictures that stay in range."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from vector_universe import DualEncoder
from vector_universe.data import Framing
from vector_universe.data.frame_store import decode_frame
from vector_universe.models import DualEncoderConfig
from vector_universe.training.views import ImageViews, number_of_view, text_view

SIZE = 32
PAD, CROP = Framing(SIZE), Framing(SIZE, "crop", mean=(0.48, 0.46, 0.41), std=(0.27, 0.26, 0.28))
KINDS = ["none", "gentle", "square_crop", "resized_crop"]
ALL_ON = {"flip": True, "colour": 0.4, "blur": True}


def noise(height, width, seed=0):
    random = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return np.asarray(Image.fromarray(random).filter(ImageFilter.GaussianBlur(1)))


def frames(count, framing):
    """Squares, or for a crop of all shapes that a store gives."""
    widths = [SIZE] * count if framing is PAD else [SIZE + 7 * (place % 5) for place in range(count)]
    return [noise(*((SIZE, width) if place % 2 else (width, SIZE)), place) for place, width in enumerate(widths)]


def ramp(height=SIZE, width=2 * SIZE):
    """Red says how far to the right a pixel is, green how far down."""
    red = np.broadcast_to(np.arange(width) * 255 // (width - 1), (height, width))
    green = np.broadcast_to((np.arange(height) * 255 // (height - 1))[:, None], (height, width))
    return np.stack([red, green, np.full_like(red, 128)], -1).astype(np.uint8)


def bytes_of(views, framing):
    """Undo the normalisation: float (B, S, S, 3), 0 to 255."""
    return (views.permute(0, 2, 3, 1) * torch.tensor(framing.std) + torch.tensor(framing.mean)) * 255


@pytest.mark.parametrize(("kind", "framing"), product(KINDS, [PAD, CROP]))
@settings(max_examples=15)
@given(st.permutations(range(9)), st.integers(1, 9), st.integers(0, 10**9), st.integers(0, 10**6))
def test_a_view_is_the_same_in_every_batch(kind, framing, order, count, seed, view):
    views, pictures, rows = ImageViews(kind, **ALL_ON), frames(9, framing), [7 * place + 2**33 for place in range(9)]
    whole = views(pictures, rows, view, seed, framing)
    chosen = order[:count]
    part = views([pictures[i] for i in chosen], [rows[i] for i in chosen], view, seed, framing)
    assert torch.equal(part, whole[chosen])
    alone = views([pictures[order[0]]], [rows[order[0]]], view, seed, framing)
    assert torch.equal(alone[0], whole[order[0]])


@pytest.mark.parametrize(("kind", "framing"), product(KINDS, [PAD, CROP]))
def test_views_have_the_models_shape_and_range(kind, framing):
    for settings_ in ({}, ALL_ON):
        pixels = ImageViews(kind, **settings_)(frames(6, framing), range(6), 3, 0, framing)
        assert (pixels.shape, pixels.dtype) == ((6, 3, SIZE, SIZE), torch.float32)
        if kind != "gentle":  # which changes brightness after the normalisation
            assert bytes_of(pixels, framing).min() >= -0.01
            assert bytes_of(pixels, framing).max() <= 255.01


@pytest.mark.parametrize("kind", ["gentle", "square_crop", "resized_crop"])
def test_views_differ_by_seed_row_and_number(kind):
    views, picture = ImageViews(kind), [ramp()] * 12
    first = views(picture, range(12), 0, 0, CROP)
    assert len({view.numpy().tobytes() for view in first}) >= 8
    for other in (views(picture, range(12), 1, 0, CROP), views(picture, range(12), 0, 1, CROP)):
        assert sum(not torch.equal(one, two) for one, two in zip(first, other, strict=True)) >= 10
    assert torch.equal(views(picture, range(12), 0, 0, CROP), first)


def test_rows_may_be_numpy_or_torch():
    views, pictures = ImageViews("resized_crop"), frames(4, CROP)
    wanted = views(pictures, [3, 1, 2, 9], 0, 0, CROP)
    for rows in (np.array([3, 1, 2, 9]), torch.tensor([3, 1, 2, 9])):
        assert torch.equal(views(pictures, rows, 0, 0, CROP), wanted)


def test_these_are_the_views_of_every_machine():
    """A run is resumed, and its cache read, elsewhere: these numbers must never change."""
    texts = ["one two three four", "five six seven eight"]
    assert [text_view(texts, row, view, 5, 0.5) for row, view in ((0, 0), (0, 1), (7, 0))] == [
        (texts[1], "five six eight"), (texts[0], "one two three"), (texts[1], "seven")]
    mean = ImageViews("resized_crop", flip=True)([ramp()] * 3, range(3), 4, 5, CROP).mean((2, 3))
    wanted = torch.tensor([[0.449, 0.147, 0.328], [0.390, 0.147, 0.328], [0.801, -0.225, 0.328]])
    assert torch.allclose(mean, wanted, atol=0.02)


@pytest.mark.parametrize("framing", [PAD, Framing(SIZE, "stretch"), CROP, Framing(SIZE, "crop", 40)])
def test_no_views_are_the_pixels_that_the_model_embeds(framing, tmp_path):
    sources = []
    for place, shape in enumerate([(90, 60), (64, 64), (40, 200), (33, 34)]):
        sources.append(tmp_path / f"{place}.png")
        Image.fromarray(noise(*shape)).save(sources[-1])
    model = DualEncoder.from_scratch(["a text"], DualEncoderConfig(
        embedding_width=8, image_mean=framing.mean, image_std=framing.std))
    wanted = model.normalise_pixels(torch.from_numpy(np.stack([framing.pixels(source) for source in sources])))
    found = ImageViews("none")([decode_frame(source, framing) for source in sources], range(4), 0, 0, framing)
    assert torch.equal(found, wanted)


def test_gentle_views_keep_the_picture_near_its_place():
    views = ImageViews("gentle")([ramp(width=SIZE)] * 200, range(200), 0, 0, PAD)
    middle = views[:, 0, :, SIZE // 2 - 1:SIZE // 2 + 1].mean((1, 2))
    assert middle.abs().max() < 0.1 * 2 * 1.15 + 0.15 + 0.1  # half a side is 2 after the normalisation
    assert middle.std() > 0.05
    slope = views[:, 0, :, 20].mean(1) - views[:, 0, :, 12].mean(1)
    assert slope.min() / (8 * 4 / (SIZE - 1)) > 0.8 * 0.85 * 0.95
    assert slope.max() / (8 * 4 / (SIZE - 1)) < 1.1 * 1.15 * 1.05


def test_gentle_views_fill_with_the_edge():
    views = ImageViews("gentle")([np.full((SIZE, SIZE, 3), 200, np.uint8)] * 50, range(50), 0, 0, PAD)
    assert views.flatten(1).std(1).max() < 1e-5


def test_square_crops_are_parts_of_the_frame_and_reach_both_ends():
    frame = noise(SIZE, 2 * SIZE)
    views = bytes_of(ImageViews("square_crop")([frame] * 300, range(300), 0, 0, CROP), CROP).round().to(torch.uint8)
    places = Counter(next(x for x in range(SIZE + 1) if np.array_equal(view, frame[:, x:x + SIZE])) for view in views)
    assert set(places) == set(range(SIZE + 1))
    assert max(places.values()) < 30


def test_a_frame_without_room_is_shown_in_large_part():
    frame = ramp(width=SIZE)
    views = bytes_of(ImageViews("square_crop")([frame] * 200, range(200), 0, 0, PAD), PAD)
    wide = (views[:, :, -2, 0] - views[:, :, 1, 0]).mean(1) / 255 * (SIZE - 1) / (SIZE - 3)
    high = (views[:, -2, :, 1] - views[:, 1, :, 1]).mean(1) / 255 * (SIZE - 1) / (SIZE - 3)
    assert torch.allclose(wide, high, atol=0.03)
    assert 0.85 < wide.min() < 0.92
    assert 0.97 < wide.max() <= 1.02


def test_resized_crops_have_the_areas_and_proportions_asked_for():
    views = bytes_of(ImageViews("resized_crop")([ramp(SIZE, SIZE)] * 600, range(600), 0, 0, CROP), CROP)
    wide = (views[:, :, -2, 0] - views[:, :, 1, 0]).mean(1) / 255 * (SIZE - 1) / (SIZE - 3)
    high = (views[:, -2, :, 1] - views[:, 1, :, 1]).mean(1) / 255 * (SIZE - 1) / (SIZE - 3)
    area, ratio = wide * high, wide / high
    assert 0.3 < area.min() < 0.4
    assert 0.9 < area.max() < 1.05
    assert 0.68 < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 1.45
    assert 0.55 < area.mean() < 0.7
    assert views[:, :, 0, 0].min() < 10
    assert views[:, :, -1, 0].max() > 245


@pytest.mark.parametrize("kind", KINDS)
def test_letters_are_mirrored_only_when_asked(kind):
    image = Image.new("RGB", (SIZE, SIZE), "white")
    ImageDraw.Draw(image).rectangle((4, 4, 11, 27), "black")  # the stem of an L, left of the middle
    frame, lefts = np.asarray(image), {}
    for flip in (False, True):
        views = ImageViews(kind, flip=flip)([frame] * 100, range(100), 0, 0, PAD)
        lefts[flip] = (views[..., :SIZE // 2].mean((1, 2, 3)) < views[..., SIZE // 2:].mean((1, 2, 3))).float().mean()
    assert lefts[False] > 0.97
    assert 0.35 < lefts[True] < 0.65


def test_one_choice_leaves_the_others_as_they_were():
    pictures = [ramp()] * 40
    plain, flipped = (ImageViews("resized_crop", flip=flip)(pictures, range(40), 0, 0, CROP) for flip in (False, True))
    mirrored = [torch.equal(one, two.flip(-1)) for one, two in zip(plain, flipped, strict=True)]
    assert 10 < sum(mirrored) < 30
    assert all(same or torch.equal(one, two) for same, one, two in zip(mirrored, plain, flipped, strict=True))


def test_colours_change_within_their_range():
    colour, frame = 0.2, np.full((SIZE, SIZE, 3), (120, 100, 80), np.uint8)
    found = bytes_of(ImageViews("none", colour=colour)([frame] * 300, range(300), 0, 0, PAD), PAD)[:, 0, 0]
    grey = (found * torch.tensor([77, 150, 29]) / 256).sum(1)
    brightness = grey / float(np.dot((120, 100, 80), (77, 150, 29)) / 256)  # contrast and saturation keep the mean grey
    assert 0.8 - 1e-4 <= brightness.min() < 0.82
    assert 1.18 < brightness.max() <= 1.2 + 1e-4
    strength = (found[:, 0] - found[:, 2]) / (40 * brightness)  # contrast × saturation
    assert 0.8 ** 2 - 1e-4 <= strength.min() < 0.75
    assert 1.25 < strength.max() <= 1.2 ** 2 + 1e-4


def test_contrast_keeps_the_mean_grey():
    frame = noise(SIZE, SIZE) // 4 + 96  # nothing gets clipped
    found = bytes_of(ImageViews("none", colour=0.2)([frame] * 100, range(100), 0, 0, PAD), PAD)
    weights = torch.tensor([77, 150, 29]) / 256
    brightness = (found @ weights).mean((1, 2)) / (torch.from_numpy(frame).float() @ weights).mean()
    assert 0.8 <= brightness.min() < 0.84
    assert 1.16 < brightness.max() <= 1.2


def test_about_every_other_view_is_blurred():
    frame = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    large = np.asarray(Image.fromarray(frame).resize((224, 224), Image.Resampling.NEAREST))
    plain, blurred = (ImageViews("none", blur=blur)([large] * 60, range(60), 0, 0, Framing(224))
                      for blur in (False, True))
    changed = [not torch.equal(one, two) for one, two in zip(plain, blurred, strict=True)]
    assert 15 < sum(changed) < 40  # the smallest sigmas change nothing
    assert blurred.flatten(1).std(1).max() <= plain[0].std() + 1e-4
    assert blurred.flatten(1).std(1).min() < 0.95 * plain[0].std()


@given(st.integers(1, 9), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 5))
def test_every_caption_is_seen_once_before_any_is_seen_again(count, seed, row, turn):
    texts = [f"caption {number}" for number in range(count)]
    seen = [text_view(texts, row, turn * count + place, seed, 0.0) for place in range(count)]
    assert sorted(caption for caption, _ in seen) == texts
    assert all(caption == read for caption, read in seen)


def test_captions_come_in_another_order_for_other_rows_and_turns():
    texts = list("abcde")
    orders = {"".join(text_view(texts, row, turn * 5 + place, 0, 0.0)[0] for place in range(5))
              for row in range(20) for turn in range(5)}
    assert len(orders) > 60  # of 120
    firsts = Counter(text_view(texts, row, 0, 0, 0.0)[0] for row in range(1000))
    assert min(firsts.values()) > 150


def test_equal_captions_are_two_captions():
    assert Counter(text_view(["a", "a", "b"], 0, view, 0, 0.0)[0] for view in range(3)) == {"a": 2, "b": 1}


@given(st.lists(st.sampled_from(["red", "green", "blue"]), min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 99))
def test_dropping_words_keeps_order_and_at_least_one(words, dropout, view):
    caption, read = text_view([" ".join(words)], 3, view, 0, dropout)
    assert caption == " ".join(words)
    assert read.split()
    rest = iter(words)
    assert all(word in rest for word in read.split())
    assert text_view([caption], 3, view, 0, dropout) == (caption, read)


def test_words_are_dropped_as_often_as_asked():
    caption = " ".join("abcdefghij")
    kept = [text_view([caption], row, 0, 0, 0.3)[1].split() for row in range(500)]
    assert sum(map(len, kept)) / 5000 == pytest.approx(0.7, abs=0.03)
    assert min(Counter(word for words in kept for word in words).values()) > 300
    assert text_view(["a  text as  it is"], 0, 0, 0, 0.0)[1] == "a  text as  it is"
    assert text_view([""], 0, 0, 0, 0.5) == ("", "")


def test_the_number_of_a_view():
    fresh = [number_of_view(epoch, copy, 2, None) for epoch in range(3) for copy in range(2)]
    assert fresh == [0, 1, 2, 3, 4, 5]
    again = [number_of_view(epoch, copy, 2, 3) for epoch in range(6) for copy in range(2)]
    assert again == [0, 1, 2, 3, 4, 5] * 2
    assert [number_of_view(epoch, 0, 1, 1) for epoch in range(3)] == [0, 0, 0]
