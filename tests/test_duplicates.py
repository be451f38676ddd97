"""Copies are found, by bytes and by looks; other pictures are not taken for copies."""

from __future__ import annotations

import io
import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance

from vector_universe.data import load_dataset
from vector_universe.data.duplicates import Look, alike, alike_groups, duplicate_groups, equal_groups, look_at
from vector_universe.data.groups import Groups

DATA = Path("../shared/data")


def picture(seed: int, size=(320, 180)) -> Image.Image:
    """Random shapes on a random background."""
    drawn = random.Random(seed)
    image = Image.new("RGB", size, tuple(drawn.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = drawn.randrange(size[0]), drawn.randrange(size[1])
        box = (x, y, x + drawn.randrange(20, 160), y + drawn.randrange(20, 120))
        drawn.choice((draw.ellipse, draw.rectangle))(box, tuple(drawn.randrange(256) for _ in range(3)))
    return image


def encoded(image: Image.Image, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


CHANGES = {
    "JPEG of quality 40": lambda image: encoded(image, "JPEG", quality=40),
    "half the size": lambda image: encoded(image.resize((160, 90), Image.Resampling.BICUBIC)),
    "WebP, half the size": lambda image: encoded(image.resize((160, 90)), "WEBP", quality=60),
    "brighter": lambda image: encoded(ImageEnhance.Brightness(image).enhance(1.1)),
    "more contrast": lambda image: encoded(ImageEnhance.Contrast(image).enhance(1.15)),
    "stretched": lambda image: encoded(image.resize((360, 180))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_others_are_not(change):
    originals = [encoded(picture(seed)) for seed in range(30)]
    copies = [CHANGES[change](picture(seed)) for seed in range(0, 30, 3)]
    groups = duplicate_groups(originals + copies)
    assert groups[:30] == list(range(30))
    assert sum(group == 3 * place for place, group in enumerate(groups[30:])) >= 9  # of 10
    assert duplicate_groups(originals + copies, near=False) == list(range(40))


def test_equal_bytes_are_copies_and_what_cannot_be_read_is_alone():
    one, other, broken = encoded(picture(1)), encoded(picture(2)), b"nothing"
    images = [one, broken, other, one, broken, Path("nowhere.png")]
    assert duplicate_groups(images, near=False) == [0, 1, 2, 0, 1, 5]  # by bytes, nobody looks at them
    assert duplicate_groups(images) == [0, 1, 2, 0, 4, 5]


def test_thumbnails_of_one_template_are_no_copies():
    """The same frame and banner around another subject."""
    def thumbnail(seed):
        image = picture(7)
        image.paste(picture(seed, (120, 120)), (100, 30))
        return encoded(image)

    assert duplicate_groups([thumbnail(seed) for seed in range(20, 30)]) == list(range(10))


def test_pictures_of_one_colour_are_copies_only_in_that_colour():
    greys = [encoded(Image.new("RGB", (64, 64), (level,) * 3)) for level in (10, 11, 60, 200)]
    colours = [encoded(Image.new("RGB", (64, 64), colour)) for colour in ("red", "blue", "lime")]
    assert duplicate_groups(greys + colours) == [0, 0, 2, 3, 4, 5, 6]


def test_pages_of_different_words_are_no_copies():
    def page(words):
        image = Image.new("RGB", (300, 300), "white")
        ImageDraw.Draw(image).text((30, 60), words, fill="black", font_size=60)
        return encoded(image)

    assert duplicate_groups([page("one"), page("dog\ncat"), page("HELLO")]) == [0, 1, 2]


looks = st.builds(lambda seed, noise: _noisy(seed, noise), st.integers(0, 3), st.integers(0, 12))


def _noisy(seed: int, noise: int) -> Look:
    drawn = np.random.default_rng(seed).integers(0, 256, (48, 48, 3))
    moved = np.clip(drawn + np.random.default_rng(noise).integers(-noise, noise + 1, drawn.shape), 0, 255)
    return look_at(Image.fromarray(moved.astype(np.uint8)))


@given(st.lists(st.tuples(st.one_of(st.none(), looks), st.one_of(st.none(), st.integers(0, 5))), max_size=12))
def test_groups_are_those_of_comparing_every_pair(rows):
    groups = Groups(len(rows))
    for (place, one), (at, other) in combinations(enumerate(rows), 2):
        if (one[0] and other[0] and alike(one[0], other[0])) or (one[1] is not None and one[1] == other[1]):
            groups.join(place, at)
    assert alike_groups([look for look, _ in rows], [key for _, key in rows]) == groups.numbers()


@given(st.lists(st.one_of(st.none(), st.integers(0, 4))))
def test_equal_groups_are_those_of_comparing_every_pair(keys):
    assert equal_groups(keys) == [next((place for place in range(row) if keys[place] == key and key is not None), row)
                                  for row, key in enumerate(keys)]


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11))))
def test_joined_places_have_the_number_of_the_smallest(size, joins):
    groups, parts = Groups(size), [{place} for place in range(size)]
    for one, other in joins:
        if one < size and other < size:
            groups.join(one, other)
            both = parts[one] | parts[other]
            for place in both:
                parts[place] = both
    assert groups.numbers() == [min(part) for part in parts]


@pytest.mark.skipif(not (DATA / "movie-posters-3000").is_dir(), reason="the posters are not here")
def test_the_posters_hold_ten_pictures_twice():
    posters = [example.image for example in load_dataset(DATA / "movie-posters-3000")]
    content: dict[bytes, int] = {}
    expected = [content.setdefault(Path(path).read_bytes(), row) for row, path in enumerate(posters)]
    assert len(posters) - len(set(expected)) == 10
    assert duplicate_groups(posters, near=False) == expected
