"""How many texts may be in train and outside it: where few begins to be many, and a caption to be a class's name."""

from __future__ import annotations

import pytest

from vector_universe.data.doctor.copies import ACROSS, minor_kinds, text_cases
from vector_universe.data.doctor.scan import Picture, Seen


def repeated(outside: int, repeats: int) -> list[Seen]:
    """Texts outside train, each of another example; train has so many of them too."""
    texts = [f"title {number}" for number in range(outside)]
    return [Seen(place, f"id {place}", "train" if place < repeats else "test", (text,), (), Picture())
            for place, text in enumerate([*texts[:repeats], *texts])]


def kinds(seen: list[Seen]) -> list[str]:
    return [case.kind for case in text_cases(seen, range(len(seen)))]


@pytest.mark.parametrize(("outside", "few"), [(99, 0), (100, 1), (300, 3), (399, 3)])
def test_one_in_a_hundred_texts_is_few_and_one_more_is_not(outside, few):
    for repeats in range(1, few + 3):
        seen = repeated(outside, repeats)
        assert kinds(seen) == ["text_identical" + ACROSS] * repeats
        minor = minor_kinds(text_cases(seen, range(len(seen))), seen)
        assert minor == ({"text_identical" + ACROSS} if repeats <= few else set())


@pytest.mark.parametrize(("outside", "half"), [(2, 1), (7, 3), (20, 10)])
def test_more_than_half_of_the_texts_are_names_of_classes(outside, half):
    assert kinds(repeated(outside, half)) == ["text_identical" + ACROSS] * half
    assert kinds(repeated(outside, half + 1)) == ["text_identical"] * (half + 1)
