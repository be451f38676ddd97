"""The Universe: what it finds, what it refuses, and what survives a build that is stopped."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.universes import WIDTH, FakeModel, data_set, examples_of, png, stored, unit
from vector_universe.data.example import Example
from vector_universe.data.framing import Framing
from vector_universe.data.images import decode_image
from vector_universe.errors import UserError
from vector_universe.index import Hit, Universe
from vector_universe.index.ingest import embed
from vector_universe.index.map.projection import project
from vector_universe.index.picture import grid_picture
from vector_universe.index.search.exact import top_k


@pytest.fixture(scope="module")
def examples():
    odd_ids = ["it's", "a'; DROP TABLE items; --", "a/b/../c.png", '"quoted" % _', "한글 🎈"]
    return examples_of() + [Example(id, png(100 + number), [], ["odd id"]) for number, id in enumerate(odd_ids)]


@pytest.fixture(scope="module")
def universe(examples, tmp_path_factory):
    return Universe.build(FakeModel(), data_set(examples), tmp_path_factory.mktemp("universes") / "u")


def _reference(examples, query, k):
    """Brute force in float64, one dot product at a time."""
    vectors = stored(FakeModel().embed_images([example.image for example in examples])).astype(np.float64)
    query = np.asarray(query, np.float64) / np.linalg.norm(np.asarray(query, np.float64))
    scores = np.array([float(np.dot(vector, query)) for vector in vectors])
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]
    return [examples[row].id for row in order], scores[order]


# ---- searching ----

@pytest.mark.parametrize("k", [1, 9, 44, 45, 500])
def test_text_search_equals_brute_force(universe, examples, k):
    query = FakeModel().embed_texts(["a red balloon"])[0]
    ids, scores = _reference(examples, query, k)
    hits = universe.search("a red balloon", k=k)
    assert [hit.id for hit in hits] == ids
    np.testing.assert_allclose([hit.score for hit in hits], scores, atol=1e-6)


def test_search_by_image_finds_it_first(universe, examples, tmp_path):
    path = tmp_path / "query.png"
    path.write_bytes(examples[7].image)
    for image in (examples[7].image, path, str(path), Image.open(path)):
        hits = universe.search(image=image, k=3)
        assert hits[0].id == "item-7"
        assert hits[0].score == pytest.approx(1, abs=1e-6)
        assert hits[0].labels == ["odd"]


def test_search_by_both_uses_the_mean(universe, examples):
    model = FakeModel()
    both = model.embed_texts(["tree"])[0] + model.embed_images([examples[3].image])[0]
    ids, _ = _reference(examples, both, 9)
    assert [hit.id for hit in universe.search("tree", image=examples[3].image)] == ids


@pytest.mark.parametrize("text", [None, "", "  \t\n"])
def test_empty_query_is_refused(universe, text):
    with pytest.raises(UserError, match="nothing to search for"):
        universe.search(text)


def test_blank_text_beside_an_image_is_ignored(universe, examples):
    assert universe.search(" ", image=examples[5].image) == universe.search(image=examples[5].image)


def test_bad_queries_are_refused(universe):
    with pytest.raises(UserError, match="at least 1"):
        universe.search("x", k=0)
    with pytest.raises(UserError, match="cannot be read: not an image"):
        universe.search(image=b"hello")
    with pytest.raises(UserError, match="NaN"):
        universe.search_vector(np.full(WIDTH, np.nan))
    with pytest.raises(UserError, match="zero"):
        universe.search_vector(np.zeros(WIDTH))
    with pytest.raises(UserError, match="48 dimensions"):
        universe.search_vector(np.ones(3))


def test_ties_are_broken_by_row(tmp_path):
    vectors = np.tile(unit(np.random.default_rng(0).normal(size=(1, 67))), (101, 1))
    rows, scores = top_k(vectors, vectors[0], 7)
    assert rows.tolist() == list(range(7))
    assert len(set(scores)) == 1


def test_neighbours_exclude_the_item_even_among_twins(examples, tmp_path):
    twins = [Example(f"twin-{number}", examples[0].image, ["twin"], []) for number in range(5)]
    universe = Universe.build(FakeModel(), data_set(twins + examples[1:3]), tmp_path / "u")
    for twin in twins:
        ids = [hit.id for hit in universe.neighbours(twin.id, 4)]
        assert ids == [other.id for other in twins if other.id != twin.id]
    assert len(universe.neighbours("twin-0", 100)) == 6


def test_neighbours_of_an_unknown_item(universe):
    with pytest.raises(UserError, match="no item 'nope'"):
        universe.neighbours("nope")


def test_hostile_ids_are_only_names(universe, examples):
    for example in examples[40:]:
        assert example.id in [hit.id for hit in universe.search(image=example.image, k=1)]
        assert universe.neighbours(example.id, 2)
        assert universe.thumbnail(example.id)[:4] == b"RIFF"
    with pytest.raises(UserError, match="no item"):
        universe.thumbnail("item-1' OR '1'='1")
    assert len(universe) == 45


def test_thumbnails_belong_to_their_items(universe, examples):
    for example in examples:
        seen = np.asarray(Image.open(io.BytesIO(universe.thumbnail(example.id))).convert("RGB"), float)
        assert np.abs(seen - np.asarray(decode_image(example.image), float)).mean() < 60  # random pictures: about 85


def test_thumbnail_size_and_white_background(tmp_path):
    clear = io.BytesIO()
    Image.new("RGBA", (400, 200), (255, 0, 0, 0)).save(clear, "PNG")
    universe = Universe.build(FakeModel(), data_set([Example("clear", clear.getvalue(), [], [])]), tmp_path / "u")
    picture = Image.open(io.BytesIO(universe.thumbnail("clear")))
    assert picture.size == (128, 64)
    assert min(picture.convert("RGB").getpixel((60, 30))) > 250


# ---- the map and the facts ----

def test_map_points_and_labels(universe, examples):
    points = universe.map_points()
    assert points.ids == [example.id for example in examples]
    assert points.x.shape == points.y.shape == (45,)
    assert max(np.abs(points.x).max(), np.abs(points.y).max()) <= 1
    assert list(universe.label_counts().items()) == [("even", 20), ("odd", 20), ("odd id", 5)]
    assert "Test set: 45 items of 48 dimensions" in universe.describe()
    assert set(universe.examples) <= {example.title for example in examples}


@pytest.mark.parametrize("count", [1, 2, 5, 15, 16, 50])
def test_projection_is_bounded_finite_and_repeatable(count):
    vectors = unit(np.random.default_rng(count).normal(size=(count, 32)))
    first, second = project(vectors), project(vectors.copy())
    assert first.shape == (count, 2)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first, axis=0)) == count


def test_projection_of_identical_and_repeated_points():
    same = np.tile(unit(np.ones((1, 8))), (50, 1))
    np.testing.assert_array_equal(project(same), np.zeros((50, 2)))
    repeated = np.concatenate([same, unit(np.random.default_rng(0).normal(size=(30, 8)))])
    positions = project(repeated)
    assert np.isfinite(positions).all()
    assert np.abs(positions).max() <= 1


def test_projection_keeps_clusters_apart():
    random = np.random.default_rng(0)
    centres = random.normal(size=(3, 32))
    vectors = unit(np.concatenate([centre + 0.2 * random.normal(size=(40, 32)) for centre in centres]))
    positions = project(vectors).reshape(3, 40, 2)
    spread = np.linalg.norm(positions - positions.mean(axis=1, keepdims=True), axis=2).mean()
    middles = positions.mean(axis=1)
    assert min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 2 * spread


# ---- building ----

def test_broken_images_are_left_out_and_listed(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(png(1, (64, 64))[:2000])
    examples = examples_of(3)
    mixed = [examples[0], Example("bad", str(broken), ["bad"], []), examples[1],
             Example("empty", b"", [], []), examples[2]]
    universe = Universe.build(FakeModel(), data_set(mixed), tmp_path / "u")
    assert universe.map_points().ids == ["item-0", "item-1", "item-2"]
    assert len(universe.change.skipped) == 2
    with (tmp_path / "u" / "g0001" / "skipped.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["bad", "empty"]
    assert rows[0]["reason"] == "truncated"
    assert "empty file" in rows[1]["reason"]


def test_each_picture_is_decoded_once_and_keeps_its_place(tmp_path, monkeypatch):
    decoded = []

    class Counting(Framing):
        def decode(self, image):
            if not isinstance(image, Image.Image):  # those are decoded already
                decoded.append(image)
            return super().decode(image)

    monkeypatch.setattr(FakeModel, "framing", Counting(64))
    monkeypatch.setattr(embed, "_CHUNK", 4)
    examples = examples_of(19)
    for place in (0, 7, 8, 20):
        examples.insert(place, Example(f"bad-{place}", png(place)[:60], [], []))
    universe = Universe.build(FakeModel(), data_set(examples), tmp_path / "u")
    assert len(decoded) == len(examples)
    good = [example for example in examples if not example.id.startswith("bad")]
    assert universe.map_points().ids == [example.id for example in good]
    assert [row.id for row in (universe.search(image=example.image, k=1)[0] for example in good)] == [
        example.id for example in good]
    with (tmp_path / "u" / "g0001" / "skipped.csv").open(encoding="utf-8") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["bad-0", "bad-7", "bad-8", "bad-20"]


def test_nothing_readable_is_refused(tmp_path):
    with pytest.raises(UserError, match="nothing to index"):
        Universe.build(FakeModel(), data_set([Example("bad", b"x", [], [])]), tmp_path / "u")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["u", "vector_universe.json"]
    with pytest.raises(UserError, match="not complete"):
        Universe.open(tmp_path / "u")


def test_repeated_ids_are_refused(tmp_path):
    with pytest.raises(UserError, match="share the id 'item-0'"):
        Universe.build(FakeModel(), data_set(examples_of(2)).select([0, 1, 0]), tmp_path / "u")


def test_same_model_and_data_are_reused(tmp_path):
    calls = []

    class Counting(FakeModel):
        def embed_images(self, images, batch_size=256):
            calls.append(len(images))
            return super().embed_images(images)

    out = tmp_path / "u"
    first = Universe.build(Counting(), data_set(examples_of(4)), out)
    before = (out / "universe.json").stat().st_mtime_ns
    second = Universe.build(Counting(), data_set(examples_of(4)), out, overwrite=True)
    assert calls == [4]
    assert (out / "universe.json").stat().st_mtime_ns == before
    assert first.search("x") == second.search("x")


def test_another_model_is_a_migration(tmp_path):
    out = tmp_path / "u"
    Universe.build(FakeModel(), data_set(examples_of(4)), out)
    with pytest.raises(UserError, match=r"another model .*--migrate"):
        Universe.build(FakeModel("two"), data_set(examples_of(4)), out)
    assert len(Universe.build(FakeModel("two"), data_set(examples_of(5)), out, migrate=True)) == 5
    assert Universe.open(out, FakeModel("two")).generation.name == "g0002"
    assert len(Universe.build(FakeModel("three"), data_set(examples_of(6)), out, overwrite=True)) == 6
    assert sorted(path.name for path in out.iterdir()) == ["g0003", "universe.json", "vector_universe.json"]


def test_another_models_queries_are_refused(tmp_path, monkeypatch):
    out = tmp_path / "u"
    Universe.build(FakeModel(), data_set(examples_of(4)), out)
    with pytest.raises(UserError, match=r"made by the model .* not by .* --migrate"):
        Universe.open(out, FakeModel("two"))
    universe = Universe.open(out)
    models = pytest.importorskip("vector_universe.models")
    monkeypatch.setattr(models, "load_run_model", lambda folder: FakeModel("two"))
    with pytest.raises(UserError, match="not by"):
        universe.search("x")
    monkeypatch.setattr(models, "load_run_model", lambda folder: FakeModel())
    assert universe.search("x") == Universe.open(out, FakeModel()).search("x")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_folder_is_never_touched(tmp_path, overwrite):
    out = tmp_path / "holiday"
    out.mkdir()
    (out / "photo.jpg").write_bytes(b"dear")
    (tmp_path / "file").write_text("text")
    for target in (out, tmp_path / "file"):
        with pytest.raises(UserError):
            Universe.build(FakeModel(), data_set(examples_of(2)), target, overwrite=overwrite)
        with pytest.raises(UserError):
            Universe.open(target)
    assert (out / "photo.jpg").read_bytes() == b"dear"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "holiday", "photo.jpg"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_a_stopped_build_leaves_the_old_universe(tmp_path, stop):
    class Stopping(FakeModel):
        def embed_images(self, images, batch_size=256):
            raise stop

    out = tmp_path / "u"
    with pytest.raises(stop):
        Universe.build(Stopping("two"), data_set(examples_of(4)), out)
    with pytest.raises(UserError, match="not complete"):
        Universe.open(out)
    old = Universe.build(FakeModel(), data_set(examples_of(4)), out)
    with pytest.raises(stop):
        Universe.build(Stopping("two"), data_set(examples_of(4)), out, overwrite=True)
    assert Universe.open(out, FakeModel()).search("x") == old.search("x")
    assert [path.name for path in tmp_path.iterdir()] == ["u"]


@pytest.mark.parametrize("damage", ["universe.json", "items.lance", "format"])
def test_a_damaged_universe_says_so_and_can_be_overwritten(tmp_path, damage):
    import shutil

    out = tmp_path / "u"
    Universe.build(FakeModel(), data_set(examples_of(4)), out)
    if damage == "universe.json":
        (out / damage).write_text("{")
    elif damage == "items.lance":
        shutil.rmtree(out / "g0001" / damage)
    else:
        facts = json.loads((out / "universe.json").read_text())
        (out / "universe.json").write_text(json.dumps({**facts, "format": 99}))
    way_out = "pip install --upgrade" if damage == "format" else "--overwrite"
    with pytest.raises(UserError, match=way_out):
        Universe.open(out)
    with pytest.raises(UserError, match=way_out):
        Universe.build(FakeModel(), data_set(examples_of(4)), out)
    assert len(Universe.build(FakeModel(), data_set(examples_of(4)), out, overwrite=True)) == 4


def test_the_table_declares_its_key(universe):
    schema = universe.table.schema
    assert schema.field("id").metadata[b"lance-schema:unenforced-primary-key"] == b"true"
    assert str(schema.field("image").type) == f"fixed_size_list<item: halffloat>[{WIDTH}]"


def test_import_is_light():
    code = ("import sys, vector_universe.index; "
            "print(sorted({'torch', 'lancedb', 'umap', 'faiss', 'pyarrow'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- the picture ----

@pytest.mark.parametrize("count", [0, 1, 2, 9, 10])
def test_grid_picture(count, tmp_path):
    korean = "세종대왕 동상과 광화문 광장에 관한 아주 긴 제목입니다"
    titles = ["short", "a very long title " * 20, korean, "x" * 400, ""]
    hits = [Hit(f"id-{number}", titles[number % 5], [], 0.9 - number / 100) for number in range(count)]
    pictures = [png(number, (30 + 40 * number, 60)) for number in range(count)]
    path = tmp_path / "matches.png"
    grid_picture(hits, pictures, "a query that goes on " * 30, path)
    picture = Image.open(path)
    assert picture.format == "PNG"
    columns = {0: 1, 1: 1, 2: 2, 9: 3, 10: 4}[count]
    assert picture.width == 80 + 184 * columns + 24 * (columns - 1)
