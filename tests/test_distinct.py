"""The same picture once, whichever page is asked for."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_universe.data.duplicates import MAX_BITS, image_digest, look_at
from vector_universe.data.images import decode_image
from vector_universe.index.search.distinct import MIN_COSINE, distinct

POSTERS = Path(__file__).parents[2] / "shared/data/movie-posters-3000/images"


def slow(hits) -> list[int]:
    """The reference: each hit against each one kept."""
    kept: list[int] = []
    for position, (digest, look, vector_D) in enumerate(hits):
        for other in kept:
            their_digest, their_look, their_vector_D = hits[other]
            if digest is not None and digest == their_digest:
                break
            if (look is not None and their_look is not None and (look ^ their_look).bit_count() <= MAX_BITS
                    and float(vector_D.astype(np.float64) @ their_vector_D.astype(np.float64)) >= MIN_COSINE):
                break
        else:
            kept.append(position)
    return kept


def at_angle(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


looks = st.none() | st.builds(lambda base, flips: base ^ sum(1 << bit for bit in flips),
                              st.sampled_from([0, 2**64 - 1]), st.sets(st.integers(0, 63), max_size=10))
shown = st.tuples(st.none() | st.sampled_from("abcdefgh"), looks,
                  st.integers(0, 12).map(lambda step: at_angle(7 * step)))


@settings(max_examples=200, deadline=None)
@given(st.lists(shown, max_size=60))
def test_it_is_every_hit_against_every_one_kept(hits) -> None:
    assert list(distinct(hits)) == slow(hits)


def test_an_equal_file_or_an_alike_picture_is_passed_over() -> None:
    one, near, far = at_angle(0), at_angle(10), at_angle(40)
    hits = [("a", 0, one), ("a", 2**40, far), ("b", 0b11, near), ("c", 0b11, far), ("d", 2**20 - 1, near),
            (None, None, one), (None, None, one)]
    assert list(distinct(hits)) == [0, 3, 4, 5, 6]  # unlike by vector; by hash; and nothing known is like nothing


def test_only_as_many_are_drawn_as_are_taken() -> None:
    drawn = 0

    def ranking():
        nonlocal drawn
        for number in range(1000):
            drawn += 1
            yield f"{number // 3}", None, at_angle(0)

    assert list(islice(distinct(ranking()), 5)) == [0, 3, 6, 9, 12]
    assert drawn == 13


def test_pages_together_are_the_whole() -> None:
    rng = np.random.default_rng(0)
    hits = [(int(rng.integers(60)), int(rng.integers(2**63)), at_angle(0)) for _ in range(200)]
    whole = list(distinct(hits))
    pages = [list(islice(distinct(hits), offset, offset + 7)) for offset in range(0, len(whole), 7)]
    assert [position for page in pages for position in page] == whole


@pytest.mark.skipif(not POSTERS.is_dir(), reason="needs ../shared/data")
def test_posters_given_twice_are_shown_once() -> None:
    files = sorted(POSTERS.iterdir())[:400]
    digests = [image_digest(file) for file in files]
    hits = [(digest, look_at(decode_image(file, 128)).hash, at_angle(0)) for digest, file in
            zip(digests, files, strict=True)]
    kept = list(distinct(hits))
    assert kept == slow(hits)
    assert len(kept) <= len(set(digests)) < len(files)
