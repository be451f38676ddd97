"""What a query is, which ones are refused, and the vectors that one comes to."""

import math

import numpy as np
import pytest

from vector_universe import UserError
from vector_universe.data.images import ImageError
from vector_universe.index.search.filters import HasLabel
from vector_universe.index.search.matches import Hit, Matches
from vector_universe.index.search.query import Part, Query, embed_query

TEXTS = {"cat": [3, 0, 0, 0], "dog": [0, 2, 0, 0], "not a cat": [-1, 0, 0, 0]}
IMAGES = {b"cat.png": [0, 0, 1, 0]}


def unit(rows) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class Model:
    """Four dimensions; counts its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def embed_texts(self, texts):
        self.calls.append("texts")
        return unit([TEXTS[text] for text in texts])

    def embed_images(self, images):
        self.calls.append("images")
        if any(image not in IMAGES for image in images):
            raise ImageError("not an image")
        return unit([IMAGES[image] for image in images])

    def fuse_vectors(self, image_ND, title_ND):
        self.calls.append("fuse")
        return unit(image_ND * 3 + title_ND)


def item(id: str) -> np.ndarray:
    if id != "here":
        raise UserError(f"no item {id!r}")
    return np.array([0, 0, 0, 1], np.float16)


def embed(query: Query, kind="image", model=None):
    query.check()
    return embed_query(model or Model(), kind, 4, query, item)


@pytest.mark.parametrize(("query", "says"), [
    (Query(), "nothing to search for"),
    (Query.of("  \n"), "nothing to search for"),
    (Query.of("", without="dog"), "only what it is without"),
    (Query(without=(Part("dog"),), filters=(HasLabel("x"),)), "only what it is without"),
    (Query.of("cat", k=0), "at least 1"),
    (Query.of("cat", k=10_001), "page with offset"),
    (Query.of("cat", k=10_000_000), "page with offset"),
    (Query.of("cat", offset=-1), "offset"),
    (Query.of("cat", k=10, offset=99_991), "100,000"),
    (Query.of(item="here", hybrid=True), "give a text"),
    (Query.of("cat", against="colour"), "choose image, text, fused"),
    (Query.of("cat", effort="much"), "choose fast"),
    (Query((Part(),)), "none of them"),
    (Query((Part("cat", item="here"),)), "text and item"),
    (Query((Part("cat", weight=0),)), "weight 0"),
    (Query((Part("cat", weight=-1.0),)), "without"),
    (Query((Part("cat", weight=math.nan),)), "weight nan"),
    (Query((Part("cat"),), (Part("dog", weight=math.inf),)), "weight inf"),
    (Query((Part("cat", weight="1"),)), "weight '1'"),
])
def test_a_query_without_an_answer_is_refused(query: Query, says: str) -> None:
    with pytest.raises(UserError, match=says):
        query.check()


def test_filters_and_burnt_in_words_alone_are_a_listing() -> None:
    for query in (Query.of(filters=[HasLabel("Animal")]), Query.of(" ", burnt_in="react")):
        query.check()
        assert query.is_listing
    assert not Query.of("cat").is_listing


def test_the_largest_page_is_allowed() -> None:
    Query.of("cat", k=10_000, offset=90_000).check()


def test_only_one_text_alone_is_calibrated() -> None:
    assert Query.of("cat").is_text_alone
    assert Query((Part("cat", weight=2), Part(" ")), (Part(""),)).is_text_alone
    for query in (Query.of("cat", b"cat.png"), Query.of("cat", without="dog"), Query.of(item="here"),
                  Query((Part("cat"), Part("dog"))), Query.of(filters=[HasLabel("x")])):
        assert not query.is_text_alone


def test_parts_become_their_weighted_mean() -> None:
    query = Query((Part("cat", weight=3), Part(image=b"cat.png"), Part(item="here", weight=2), Part(" "),
                   Part(vector=[0, 5, 0, 0], weight=0.5)))
    np.testing.assert_allclose(embed(query).wanted_D, unit([3, 0.5, 1, 2]), rtol=1e-6)
    assert embed(query).wanted_D.dtype == np.float32
    assert query.words == "cat"
    assert query.items == {"here"}


def test_every_text_goes_through_the_model_once_and_together() -> None:
    model = Model()
    found = embed(Query((Part("cat"),), (Part("dog", weight=2), Part("not a cat"), Part("  "))), model=model)
    assert model.calls == ["texts"]
    assert [weight for _, weight in found.unwanted] == [2.0, 1.0]
    np.testing.assert_allclose([vector_D for vector_D, _ in found.unwanted], unit([TEXTS["dog"], TEXTS["not a cat"]]))


def test_items_and_vectors_need_no_model() -> None:
    query = Query((Part(item="here"),), (Part(vector=(0, 0, 2, 0)),))
    assert not query.needs_model
    assert Query.of("cat").needs_model
    assert Query.of(item="here", without="cat").needs_model
    found = embed_query(None, "image", 4, query, item)
    np.testing.assert_array_equal(found.wanted_D, [0, 0, 0, 1])


def test_huge_and_tiny_weights_neither_overflow_nor_vanish() -> None:
    for weight in (1e308, 1e-308):
        found = embed(Query((Part("cat", weight=weight), Part("dog", weight=weight))))
        np.testing.assert_allclose(found.wanted_D, unit([1, 1, 0, 0]), rtol=1e-6)


def test_among_fused_vectors_a_text_and_an_image_are_fused_as_items_are() -> None:
    fused = embed(Query.of("cat", b"cat.png"), "fused").wanted_D
    np.testing.assert_allclose(fused, unit([1, 0, 3, 0]), rtol=1e-6)
    np.testing.assert_allclose(embed(Query.of("cat", b"cat.png"), "image").wanted_D, unit([1, 0, 1, 0]), rtol=1e-6)
    uneven = Query((Part("cat", weight=2), Part(image=b"cat.png")))
    np.testing.assert_allclose(embed(uneven, "fused").wanted_D, unit([2, 0, 1, 0]), rtol=1e-6)


@pytest.mark.parametrize(("query", "says"), [
    (Query.of(image=b"broken"), "query image cannot be read"),
    (Query.of(item="elsewhere"), "no item 'elsewhere'"),
    (Query.of(vector=[1, 2]), "4 dimensions"),
    (Query.of(vector=[0, 0, 0, 0]), "zero, NaN or infinite"),
    (Query.of(vector=[1, math.nan, 0, 0]), "zero, NaN or infinite"),
    (Query((Part(vector=["a"] * 4),)), "list of numbers"),
    (Query((Part("cat"), Part("not a cat"))), "cancel"),
])
def test_what_cannot_be_embedded_is_said(query: Query, says: str) -> None:
    with pytest.raises(UserError, match=says):
        embed(query)


def test_a_query_is_plain_data() -> None:
    query = Query((Part("cat"),), (Part("dog"),), (HasLabel("Animal"),), k=3)
    assert query == Query.of("cat", without=["dog"], filters=[HasLabel("Animal")], k=3)
    assert hash(query) == hash(Query.of("cat", without="dog", filters=(HasLabel("Animal"),), k=3))


def test_matches_are_a_sequence_of_hits() -> None:
    hits = tuple(Hit(id, id.upper(), [], 0.5, metadata={"year": 2020}) for id in "abc")
    matches = Matches(hits, among=7, next_offset=3)
    assert len(matches) == 3
    assert [hit.id for hit in matches] == ["a", "b", "c"]
    assert matches[-1].id == "c"
    assert matches[:2] == hits[:2]
    assert hits[1] in matches
    assert bool(matches)
    assert not Matches((), among=0)
    assert matches[0].metadata == {"year": 2020}
