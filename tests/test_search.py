"""Searching end to end, in memory and by an index, against float64 over the stored vectors, one item at a time."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from tests.universes import FakeModel, data_set, unit
from vector_universe import Universe, UserError
from vector_universe.cli import main
from vector_universe.data.duplicates import MAX_BITS
from vector_universe.data.example import Example
from vector_universe.index.ingest import finish
from vector_universe.index.label import label_universe
from vector_universe.index.search import approximate, neighbours
from vector_universe.index.search.distinct import MIN_COSINE
from vector_universe.index.search.filters import AnyOf, Compare, HasLabel, Not, OneOf
from vector_universe.index.search.query import Part, Query
from vector_universe.index.search.unwanted import FORGIVEN
from vector_universe.index.table.full_text import text_matches
from vector_universe.index.table.rows import sum_of, vector_array, vector_sums
from vector_universe.models.calibration import Calibration

COUNT, WIDTH, CLUSTERS = 1500, 32, 30
SMALL = 300  # above so many vectors an index is built and searched


class Planted(FakeModel):
    """A picture of one colour is a number, which has its vector near the centre of its cluster; a text is near a
    cluster by its number ("cluster 3"), a text of two clusters between both, and another text anywhere."""

    fusion = "a head"
    calibration = None
    logit_scale = torch.tensor(3.0)

    def embed_images(self, images, batch_size=256):
        opened = [image if isinstance(image, Image.Image) else _opened(image) for image in images]
        return np.stack([planted(_number(picture)) for picture in opened])

    def embed_texts(self, texts, batch_size=1024):
        found = []
        for text in texts:
            named = [int(word) for word in text.split() if word.isdigit()]
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
            noise_D = np.random.default_rng(seed).normal(size=WIDTH)
            found.append(sum((CENTRES[number % CLUSTERS] for number in named), np.zeros(WIDTH)) * 2 + 0.5 * noise_D)
        return unit(np.stack(found))

    def fuse_vectors(self, image_ND=None, title_ND=None, ocr_ND=None):
        given = ((3, image_ND), (2, title_ND), (1, ocr_ND))
        return unit(sum(weight * rows_ND for weight, rows_ND in given if rows_ND is not None))


CENTRES = np.random.default_rng(0).normal(size=(CLUSTERS, WIDTH))


def planted(number: int) -> np.ndarray:
    """The vector of a picture; each tenth is a copy of the one before, with a little noise."""
    draw = np.random.default_rng(number)
    if number % 10 == 9:
        return unit((planted(number - 1) + 0.01 * draw.normal(size=WIDTH))[None])[0]
    return unit((CENTRES[number % CLUSTERS] + 0.7 * draw.normal(size=WIDTH))[None])[0]


def picture(number: int) -> bytes:
    """A picture of one colour: all of them look the same but for their vectors."""
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), (number // 65536, number // 256 % 256, number % 256)).save(encoded, "PNG")
    return encoded.getvalue()


def _opened(image: object) -> Image.Image:
    return Planted.framing.decode(image)


def _number(shown: Image.Image) -> int:
    red, green, blue = shown.getpixel((0, 0))
    return red * 65536 + green * 256 + blue


def example(number: int) -> Example:
    title = [f"cluster {number % CLUSTERS} numbered n{number}"] if number % 5 else []
    metadata = {"year": 1990 + number % 30, "price": number / 7 if number % 11 else None, "kind": f"k'{number % 4}",
                "sold": number % 3 == 0}
    burnt_in = f"SALE {number % 7} off" if number % 6 == 0 else ""
    return Example(f"i{number}", picture(number), title, ["even" if number % 2 == 0 else "odd", f"tens {number // 10}"],
                   metadata=metadata, ocr=burnt_in)


def project(vectors_ND: np.ndarray) -> np.ndarray:
    """In place of a map, which takes seconds."""
    return vectors_ND[:, :2].astype(np.float32)


def small_partitions(patch: pytest.MonkeyPatch) -> None:
    """More than 300 vectors are searched by an index, of many small partitions."""
    for module in (neighbours, finish):
        patch.setattr(module, "EXACT_UP_TO", SMALL)
    patch.setattr(approximate, "_ROWS_PER_PARTITION", 50)
    patch.setattr(approximate, "_EXACT_MATCHES", 40)
    patch.setattr(finish, "project", project)
    patch.setattr(finish, "_QUERIES", 30)


def examples(count: int = COUNT) -> list[Example]:
    return [example(number) for number in range(count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A universe with vectors of pictures, titles and both, and an index of each."""
    path = tmp_path_factory.mktemp("search") / "u"
    with pytest.MonkeyPatch.context() as patch:
        small_partitions(patch)
        Universe.build(Planted(), data_set(examples()), path)
    return path


@pytest.fixture(scope="module")
def in_memory(folder: Path) -> Universe:
    return Universe.open(folder, Planted())


@pytest.fixture
def by_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Universe:
    small_partitions(monkeypatch)
    return Universe.open(folder, Planted())


@pytest.fixture(params=["in_memory", "by_index"])
def universe(request: pytest.FixtureRequest) -> Universe:
    return request.getfixturevalue(request.param)


# ---- the reference ----

class Truth:
    """All rows of a universe in Python, their vectors in float64."""

    def __init__(self, universe: Universe) -> None:
        self.rows = universe.table.scan(universe.table.schema.names).to_pylist()
        self.places = {row["id"]: place for place, row in enumerate(self.rows)}
        self.vectors = {column: {row["id"]: self._unit(row[column]) for row in self.rows if row[column] is not None}
                        for column in ("image", "text", "fused")}

    def _unit(self, stored: list[float]) -> np.ndarray:
        vector_D = np.array(stored, np.float64)
        return vector_D / math.sqrt(float(vector_D @ vector_D))

    def cosines(self, column: str, query_D: np.ndarray) -> dict[str, float]:
        """By id, of the items that have a vector."""
        return {id: float(vector_D @ query_D) for id, vector_D in self.vectors[column].items()}

    def vector(self, part: Part, column: str) -> np.ndarray:
        """One part of a query as a unit vector."""
        model = Planted()
        if part.text is not None:
            vector_D = model.embed_texts([part.text])[0]
        elif part.image is not None:
            vector_D = model.embed_images([part.image])[0]
        elif part.item is not None:
            vector_D = self.vectors[column][part.item]
        else:
            vector_D = np.array(part.vector)
        vector_D = np.asarray(vector_D, np.float64)
        return vector_D / np.linalg.norm(vector_D)

    def ranking(self, query: Query) -> list[tuple[str, float]]:
        """Every item that a query can find, best first, with its cosine to the wanted."""
        column = query.against or "fused"
        wanted_D = sum(part.weight * self.vector(part, column) for part in query.like)
        cosines = self.cosines(column, wanted_D / np.linalg.norm(wanted_D))
        scores = standard = standardised(cosines)
        for part in query.without:
            unwanted = standardised(self.cosines(column, self.vector(part, column)))
            scores = {id: score - part.weight * max(0.0, unwanted[id] - FORGIVEN * standard[id])
                      for id, score in scores.items()}
        kept = [id for id in cosines if self.passes(query, id)]
        ranked = [(id, cosines[id]) for id in sorted(kept, key=lambda id: (-scores[id], self.places[id]))]
        ranked = [(id, cosine) for id, cosine in ranked if id not in query.items]
        return self.distinct(ranked) if query.distinct else ranked

    def passes(self, query: Query, id: str) -> bool:
        row = self.rows[self.places[id]]
        said = row["ocr"].lower().split()
        return all(keeps(filter, row) for filter in query.filters) and (
            query.burnt_in is None or all(word in said for word in query.burnt_in.lower().split()))

    def distinct(self, ranked: list[tuple[str, float]], most: int = 100) -> list[tuple[str, float]]:
        """At most so many: each is compared with all before it."""
        kept: list[tuple[str, float]] = []
        looks, vectors = {row["id"]: row["look"] for row in self.rows}, self.vectors["image"]
        for id, cosine in ranked:
            if len(kept) < most and not any((looks[id] ^ looks[other]).bit_count() <= MAX_BITS
                                            and vectors[id] @ vectors[other] >= MIN_COSINE for other, _ in kept):
                kept.append((id, cosine))
        return kept


def standardised(cosines: dict[str, float]) -> dict[str, float]:
    values = np.array(list(cosines.values()))
    return {id: (cosine - values.mean()) / values.std() for id, cosine in cosines.items()}


def keeps(filter: object, row: dict) -> bool:
    match filter:
        case Compare(column, "!=", value):
            return row[column] is None or row[column] != value
        case Compare(column, operator, value):
            given = row[column]
            return given is not None and {"=": given == value, "<": given < value, "<=": given <= value,
                                          ">": given > value, ">=": given >= value}[operator]
        case OneOf(column, values):
            return row[column] in values
        case HasLabel(label):
            return label in row["labels"]
        case Not(inner):
            return not keeps(inner, row)
        case AnyOf(inner):
            return any(keeps(one, row) for one in inner)
    raise AssertionError(filter)


@pytest.fixture(scope="module")
def truth(in_memory: Universe) -> Truth:
    return Truth(in_memory)


def check(found: object, expected: list[tuple[str, float]]) -> None:
    assert [hit.id for hit in found] == [id for id, _ in expected]
    np.testing.assert_allclose([hit.score for hit in found], [score for _, score in expected], atol=1e-6)


# ---- every kind of query ----

TEXT = Part(text="cluster 3")
QUERIES = {
    "text": Query(like=(TEXT,)),
    "picture": Query.of(image=picture(40)),
    "picture outside": Query.of(image=picture(70_001)),
    "item": Query.of(item="i77"),
    "vector": Query.of(vector=3 * planted(5)),
    "weights": Query(like=(Part(text="cluster 3", weight=2), Part(image=picture(40), weight=0.5),
                           Part(item="i77", weight=0.7), Part(vector=tuple(planted(5).tolist())))),
    "without": Query.of("cluster 3 4", without="cluster 4"),
    "without two": Query(like=(Part(text="cluster 3 4 5"),),
                         without=(Part(text="cluster 4"), Part(item="i5", weight=0.5))),
    "text column": Query(like=(TEXT,), filters=(Compare("year", ">=", 2000),), against="text"),
    "image column": Query.of(item="i77", against="image"),
    "label": Query(like=(TEXT,), filters=(HasLabel("odd"),)),
    "rare label": Query(like=(TEXT,), filters=(HasLabel("tens 7"),)),
    "not": Query(like=(TEXT,), filters=(Not(HasLabel("odd")), Not(Compare("price", "<", 100.0)))),
    "ints": Query(like=(TEXT,), filters=(Compare("year", ">", 1995), Compare("year", "<=", 2003))),
    "far from the filter": Query(like=(TEXT,), filters=(OneOf("year", (2005, 2007)),)),  # whole clusters, not its own
    "floats": Query(like=(TEXT,), filters=(Compare("price", ">=", 150.5), Compare("price", "!=", 200.0))),
    "texts": Query(like=(TEXT,), filters=(AnyOf((Compare("kind", "=", "k'1"), OneOf("kind", ("k'2", "'; --")))),)),
    "bools": Query(like=(TEXT,), filters=(Compare("sold", "=", False),)),
    "burnt in": Query(like=(TEXT,), burnt_in="sale 3"),
    "burnt in and filters": Query(like=(TEXT,), filters=(Compare("sold", "=", True),), burnt_in="SALE"),
    "distinct": Query.of(item="i78", distinct=True),
    "distinct of some": Query(like=(TEXT,), filters=(HasLabel("odd"),), distinct=True, without=(Part(item="i9"),)),
}


def of(name: str, **changes: object) -> Query:
    return replace(QUERIES[name], **changes)


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize(("k", "offset"), [(20, 10)])
def test_finds_what_the_reference_finds(universe, truth, name, k, offset):
    found = universe.search(of(name, k=k, offset=offset, effort="exact"))
    expected = truth.ranking(QUERIES[name])
    check(found, expected[offset:offset + k])
    assert found.recall is None
    assert found.next_offset == (offset + k if len(expected) > offset + k else None)
    column = QUERIES[name].against or "fused"
    assert found.among == sum(row[column] is not None and truth.passes(QUERIES[name], row["id"]) for row in truth.rows)


@pytest.mark.parametrize("name", QUERIES)
def test_an_index_answers_as_memory_does(in_memory, folder, monkeypatch, name):
    right = in_memory.search(of(name, k=50))
    small_partitions(monkeypatch)
    found = Universe.open(folder, Planted()).search(of(name, k=50, effort="exact"))
    assert [hit.id for hit in found] == [hit.id for hit in right]
    np.testing.assert_allclose([hit.score for hit in found], [hit.score for hit in right], rtol=0, atol=1e-9)


def test_the_ordinary_effort_finds_nearly_all_with_the_same_scores(in_memory, folder, monkeypatch):
    right = {name: in_memory.search(of(name, k=20)) for name in QUERIES}
    small_partitions(monkeypatch)
    universe, shares = Universe.open(folder, Planted()), []
    for name, expected in right.items():
        found, scores = universe.search(of(name, k=20)), {hit.id: hit.score for hit in expected}
        assert len(found) == len(expected)  # no filter starves
        assert found.recall is not None
        assert found.recall > 0.9
        both = [hit for hit in found if hit.id in scores]
        assert all(abs(hit.score - scores[hit.id]) < 1e-9 for hit in both)
        shares.append(len(both) / len(expected))
    assert np.mean(shares) >= 0.95


HYBRID = Query.of("cluster 3 n93", hybrid=True)


@pytest.mark.parametrize("effort", ["balanced", "exact"])
def test_hybrid_puts_two_rankings_together(universe, truth, effort):
    by_vector = [id for id, _ in truth.ranking(Query.of("cluster 3 n93"))][:200]
    names = {row["_rowid"]: row["id"] for row in universe.table.scan(["id"], row_ids=True).to_pylist()}
    by_words = [names[row] for row in text_matches(universe.table.lance, "cluster 3 n93", 200)]
    scores = {id: sum(1 / (60 + ranking.index(id) + 1) for ranking in (by_vector, by_words) if id in ranking)
              for id in [*by_vector, *by_words]}
    found = universe.search(replace(HYBRID, k=15, effort=effort))
    assert "i93" in [hit.id for hit in found]
    if effort == "exact" or universe._nearest("fused").in_memory:
        np.testing.assert_allclose([scores[hit.id] for hit in found], sorted(scores.values(), reverse=True)[:15])
    cosines = dict(truth.ranking(Query.of("cluster 3 n93")))
    assert all(hit.score == pytest.approx(cosines[hit.id], abs=1e-6) for hit in found)


def test_hybrid_keeps_to_the_filters(universe, truth):
    found = universe.search(replace(HYBRID, filters=(HasLabel("even"),), burnt_in="sale", k=300))
    assert {hit.id for hit in found} == {row["id"] for row in truth.rows if row["ocr"] and "even" in row["labels"]}


def test_hybrid_finds_words_among_few_items_and_none_without_a_vector(universe, truth):
    plain = Query.of("cluster", burnt_in="sale 1", k=10, effort="exact")
    by_vector = [id for id, _ in truth.ranking(plain)]
    names = {row["_rowid"]: row["id"] for row in universe.table.scan(["id"], row_ids=True).to_pylist()}
    by_words = [names[row] for row in text_matches(universe.table.lance, "cluster", COUNT)]
    by_words = [id for id in by_words if id in by_vector]  # few, and far down
    scores = [sum(1 / (60 + ranking.index(id) + 1) for ranking in (by_vector, by_words) if id in ranking)
              for id in by_vector]
    found = [hit.id for hit in universe.search(replace(plain, hybrid=True))]
    np.testing.assert_allclose([scores[by_vector.index(id)] for id in found], sorted(scores, reverse=True)[:10])
    found = universe.search(Query.of("tens 3", hybrid=True, against="text", k=1300))
    assert {hit.id for hit in found} == {row["id"] for row in truth.rows if row["text"] is not None}


@pytest.mark.parametrize("query", [*QUERIES.values(), HYBRID, Query(filters=(HasLabel("odd"),)),
                                   Query(burnt_in="sale")])
def test_pages_join(universe, query):
    query = replace(query, effort="fast")
    long = universe.search(replace(query, k=63))
    pages = [universe.search(replace(query, k=21, offset=offset)) for offset in range(0, 63, 21)]
    assert [hit for page in pages for hit in page] == list(long)
    assert len({hit.id for hit in long}) == len(long)
    assert [page.next_offset for page in pages] == [
        offset + 21 if offset + 21 < len(long) or (long.next_offset and offset + 21 == 63) else None
        for offset in range(0, 63, 21)]


def test_paging_comes_to_an_end(universe, truth):
    query, offset, found = of("texts", k=200, effort="fast"), 0, []
    while offset is not None:
        page = universe.search(replace(query, offset=offset))
        found, offset = found + [hit.id for hit in page], page.next_offset
    assert sorted(found) == sorted(id for id, _ in truth.ranking(query))
    beyond = universe.search(replace(query, offset=5000))
    assert (len(beyond), beyond.next_offset, beyond.among) == (0, None, len(found))


def test_listings_are_in_the_order_of_writing_and_without_scores(universe, truth):
    found = universe.search(Query(filters=(HasLabel("tens 7"),)))
    assert [(hit.id, hit.score) for hit in found] == [(f"i{number}", None) for number in range(70, 79)]
    assert (found.among, found.next_offset) == (10, 9)
    empty = universe.search(Query(like=(TEXT,), filters=(Compare("year", ">", 5000),)))
    assert (len(empty), empty.among, empty.next_offset, empty.doubt) == (0, 0, None, None)


def test_the_unwanted_falls_in_rank(universe):
    """Items of cluster 3, half of which were moved towards cluster 8: "without" brings these down, and none up."""
    plain = [hit.id for hit in universe.search(Query.of("cluster 3 8", k=100))]
    without = [hit.id for hit in universe.search(Query.of("cluster 3 8", without="cluster 8", k=100))]
    unwanted = {f"i{number}" for number in range(8, COUNT, CLUSTERS)}
    wanted = {f"i{number}" for number in range(3, COUNT, CLUSTERS)}
    assert len(unwanted & set(plain[:50])) > 10
    assert not unwanted & set(without[:40])
    assert len(wanted & set(without[:40])) >= 38


# ---- what is said about an answer ----

def test_probabilities_and_doubt_are_of_one_text_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(finish, "project", project)
    model = Planted()
    model.calibration = Calibration(20.0, -8.0, 60, 0.5, 10, "data", model.fingerprint())
    universe = Universe.build(model, data_set(examples(60)), tmp_path / "u", vectors="image")
    found = universe.search(Query.of("cluster 3", filters=(HasLabel("odd"),)))
    assert [hit.probability for hit in found] == pytest.approx(
        [1 / (1 + math.exp(8 - 20 * hit.score + math.log(30 / 60))) for hit in found])
    assert found.doubt is None
    doubted = universe.search("something else altogether")
    assert doubted.doubt.startswith("nothing here matches well")
    assert universe.search(Query.of("something else altogether", offset=9)).doubt is None
    for query in (Query.of("cluster 3", without="cluster 4"), Query.of("cluster 3", image=picture(3)),
                  Query.of(image=picture(3)), Query.of("cluster 3", against="text")):
        found = universe.search(query)
        assert (found.doubt, {hit.probability for hit in found}) == (None, {None})


# ---- after the index was built ----

@pytest.fixture
def changed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to write to, searched by its index."""
    shutil.copytree(folder, tmp_path / "u")
    small_partitions(monkeypatch)
    return tmp_path / "u"


def check_searches(path: Path) -> None:
    """Nothing is unindexed, and the recall that is stated is reached."""
    universe = Universe.open(path, Planted())
    lance = universe.table.lance
    assert {column for index in lance.list_indices() for column in index.columns} == {"image", "text", "fused", "words"}
    for index in lance.list_indices():
        stats = lance.index_stats(index.name)
        assert (stats.num_unindexed_rows, stats.num_indexed_rows) == (0, len(universe)), index.name
    truth, shares = Truth(universe), []
    for number in range(0, len(universe), 50):
        query = Query.of(vector=planted(number) + planted(number + 7), k=20)
        found = universe.search(query)
        check_scores = dict(truth.ranking(query))
        assert all(hit.score == pytest.approx(check_scores[hit.id], abs=1e-6) for hit in found)
        shares.append(len({hit.id for hit in found} & {id for id, _ in truth.ranking(query)[:20]}) / 20)
    assert found.recall is not None
    assert np.mean(shares) >= found.recall - 0.03


def test_new_items_are_found_and_removed_ones_are_not(changed):
    Universe.build(Planted(), data_set([example(number) for number in range(100, COUNT + 60)]), changed)
    universe = Universe.open(changed, Planted())
    assert len(universe) == COUNT - 40
    for number in range(COUNT, COUNT + 60):
        query = Query.of(image=picture(number), against="image", k=2)
        assert f"i{number}" in [hit.id for hit in universe.search(query)]
    for number in range(0, 100, 7):
        assert f"i{number}" not in [hit.id for hit in universe.search(Query.of(image=picture(number), k=50))]
    check_searches(changed)


def test_rows_that_are_not_indexed_yet_are_found_too(changed):
    table = Universe.open(changed, Planted()).table
    table.merge_columns(["i4", "i99"], {"topic": [7, 7]})  # rewritten rows leave the index until it is optimised
    universe = Universe.open(changed, Planted())
    assert universe.table.lance.index_stats("image_idx").num_unindexed_rows == 2
    found = universe.search(Query.of(image=picture(4), against="image", effort="fast", k=1))
    assert [hit.id for hit in found] == ["i4"]


def test_a_labelled_universe_is_indexed_as_before(changed, monkeypatch):
    monkeypatch.setattr("vector_universe.models.load_run_model", lambda folder: Planted())
    label_universe(changed, ["cluster 3", "cluster 4"])
    check_searches(changed)
    universe = Universe.open(changed, Planted())
    found = universe.search(Query.of("cluster 3", filters=(Compare("predicted_label", "=", "cluster 3"),)))
    assert {hit.predicted_label for hit in found} == {"cluster 3"}
    assert json.loads((changed / "g0001" / "notes" / "recall-fused.json").read_text())["items"] == COUNT


def test_a_new_map_leaves_the_index_as_it_was(changed):
    from vector_universe.index.build import Given, IndexOptions, bring_up_to_date

    bring_up_to_date(Planted(), Given(data_set(examples())), changed, IndexOptions(redraw_map=True))
    check_searches(changed)


def test_a_universe_that_has_grown_is_indexed_anew(tmp_path, monkeypatch):
    small_partitions(monkeypatch)
    path = tmp_path / "u"
    for count, partitions in ((250, None), (400, 8), (470, 8), (600, 12)):  # of 50 rows; a fifth more than 400 is 500
        Universe.build(Planted(), data_set(examples(count)), path, vectors="image")
        recall = Universe.open(path, Planted()).search("cluster 3").recall
        assert (recall is None) == (partitions is None)
        note = path / "g0001" / "notes" / "recall-image.json"
        assert not note.exists() if partitions is None else json.loads(note.read_text())["items"] == {
            8: 400, 12: 600}[partitions]


# ---- damage ----

@pytest.mark.parametrize("effort", ["fast", "balanced"])
def test_flipped_vectors_are_noticed(changed, effort):
    """A vector that is not what its sum says is never an answer."""
    table = Universe.open(changed, Planted()).table
    rows_ND = planted(4)[None].astype(np.float16)
    wrong = {"id": ["i4"], "image": vector_array(rows_ND + np.float16(0.01)),
             sum_of("image"): pa.array(vector_sums(rows_ND))}
    schema = pa.schema([table.schema.field(name) for name in wrong])
    table.merge(pa.table(wrong, schema=schema))
    universe = Universe.open(changed, Planted())
    with pytest.raises(UserError, match=r"damaged: vectors of the column 'image' .*--overwrite"):
        universe.search(Query.of(image=picture(4), against="image", effort=effort))
    assert universe.search(Query.of(image=picture(4), against="text"))


# ---- bad input ----

BAD = {
    "a missing column": (["cluster 3", "--where", "colour", "=", "red"], "'colour' is not there: choose among"),
    "a vector column": (["cluster 3", "--where", "image", "=", "red"], "'image' cannot be filtered by"),
    "labels compared": (["cluster 3", "--where", "labels", "=", "odd"], "HasLabel"),
    "a text for a number": (["cluster 3", "--where", "year", "=", "x' OR 1=1"], "holds whole numbers"),
    "NaN to compare with": (["cluster 3", "--where", "price", "<", "nan"], "finite"),
    "nothing": ([], "nothing to search for"),
    "blanks": ([" "], "nothing to search for"),
    "only without": (["--without", "cluster 3"], "say what to look for"),
    "no match wanted": (["cluster 3", "-k", "0"], "at least 1"),
    "ten million": (["cluster 3", "-k", "10000000"], "at most 10,000"),
    "negative offset": (["cluster 3", "--offset", "-1"], "0 or more"),
    "far offset": (["cluster 3", "--offset", "10000000"], "100,000"),
    "no such item": (["--like", "i1' OR '1'='1"], "no item"),
    "no picture": (["--image", "nowhere.png"], "cannot be read"),
    "weights": (["cluster 3", "--weights", "1", "2"], "one each"),
    "weight": (["cluster 3", "--weights", "nan"], "above 0"),
    "hybrid": (["--like", "i3", "--hybrid"], "give a text"),
}


@pytest.fixture
def own_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vector_universe.models.load_run_model", lambda folder: Planted())


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name, folder, own_model, capfd):
    arguments, words = BAD[name]
    assert exit_code(["search", str(folder), *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert re.search(words, err), err


def test_an_unknown_effort_names_those_there_are(folder, own_model, capfd):
    assert exit_code(["search", str(folder), "x", "--effort", "quick"]) == 2
    assert "balanced" in capfd.readouterr().err


def test_hostile_values_are_only_values(folder, own_model, capfd):
    for value in ("k'1", "x' OR '1'='1", "'; DROP TABLE items; --", '"', "%", "\\", "k_1", "한글\n"):
        assert exit_code(["search", str(folder), "cluster 3", "--where", "kind", "=", value, "--json"]) == 0
        out, _ = capfd.readouterr()
        assert bool(json.loads(out)) == (value == "k'1"), value
        assert exit_code(["search", str(folder), "cluster 3", "--label", value]) == 0
        assert "nothing passes the filters" in capfd.readouterr().err


def test_no_warnings_of_the_database_reach_the_user(folder, own_model, capfd, monkeypatch):
    small_partitions(monkeypatch)
    for arguments in (["cluster 3"], ["cluster 3", "--hybrid"], ["cluster 3", "--label", "odd", "--distinct"]):
        assert exit_code(["search", str(folder), *arguments]) == 0
        assert "WARN" not in capfd.readouterr().err


def exit_code(arguments: list[str]) -> int:
    try:
        main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize(("vector", "words"), [
    (np.full(WIDTH, np.nan), "NaN"), (np.zeros(WIDTH), "zero"), (np.ones(5), "32 dimensions"),
    (np.r_[np.inf, np.ones(WIDTH - 1)], "infinite")])
def test_bad_vectors(universe, vector, words):
    with pytest.raises(UserError, match=words):
        universe.search_vector(vector)


def test_parts_that_cancel_out(universe):
    query = Query(like=(Part(vector=tuple(planted(3).tolist())), Part(vector=tuple((-planted(3)).tolist()))))
    with pytest.raises(UserError, match="cancel each other out"):
        universe.search(query)


def test_an_item_without_a_title_has_no_text_vector(universe):
    with pytest.raises(UserError, match="'i5' has no text vector"):
        universe.search(Query.of(item="i5", against="text"))
    with pytest.raises(UserError, match="balanced, thorough, exact"):
        universe.search(Query.of("x", effort="quick"))
