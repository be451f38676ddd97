"""The Universe: what it finds, what it refuses, and what survives a build that is stopped."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vector_universe.data.example import Example
from vector_universe.data.framing import Framing
from vector_universe.data.images import decode_image
from vector_universe.errors import UserError
from vector_universe.index import Hit, Universe, build
from vector_universe.index.exact import top_k
from vector_universe.index.picture import grid_picture
from vector_universe.index.projection import project
from vector_universe.index.staging import staged_folder

WIDTH = 48


class FakeModel:
    """Images by the colours of a 4×4 grid, texts by a hash; quick, and exact about broken images."""

    fusion = calibration = None
    framing = Framing(64)

    def __init__(self, name="one"):
        self.name = name

    def embed_images(self, images, batch_size=256):
        pictures = [image if isinstance(image, Image.Image) else decode_image(image) for image in images]
        grids = [np.asarray(picture.convert("RGB").resize((4, 4)), np.float32).ravel() / 255 - 0.4
                 for picture in pictures]
        return _unit(np.stack(grids) + np.linspace(0, 0.1, WIDTH, dtype=np.float32))

    def embed_texts(self, texts, batch_size=1024):
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") for text in texts]
        return _unit(np.stack([np.random.default_rng(seed).normal(size=WIDTH) for seed in seeds]))

    def fingerprint(self):
        return hashlib.sha256(self.name.encode()).hexdigest()

    def save_pretrained(self, folder):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "fake.json").write_text(json.dumps({"name": self.name}))


class FakeDataset:
    """A list of examples with the names that a data set carries."""

    name = "Test set"
    attribution = "drawn here"
    skipped = ()

    def __init__(self, examples, fingerprint="data-1"):
        self.examples = examples
        self.fingerprint = fingerprint

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, number):
        return self.examples[number]


def _unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _png(seed, size=(24, 16), mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels, mode).save(encoded, "PNG")
    return encoded.getvalue()


def _examples(count=40):
    return [Example(f"item-{number}", _png(number), [f"picture {number}"], ["even" if number % 2 == 0 else "odd"])
            for number in range(count)]


@pytest.fixture(scope="module")
def examples():
    odd_ids = ["it's", "a'; DROP TABLE items; --", "a/b/../c.png", '"quoted" % _', "한글 🎈"]
    return _examples() + [Example(id, _png(100 + number), [], ["odd id"]) for number, id in enumerate(odd_ids)]


@pytest.fixture(scope="module")
def universe(examples, tmp_path_factory):
    return Universe.build(FakeModel(), FakeDataset(examples), tmp_path_factory.mktemp("universes") / "u")


def _reference(examples, query, k):
    """Brute force in float64, one dot product at a time."""
    vectors = FakeModel().embed_images([example.image for example in examples]).astype(np.float64)
    query = np.asarray(query, np.float64) / np.linalg.norm(np.asarray(query, np.float64))
    scores = np.array([float(np.dot(vector, query)) for vector in vectors])
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]
    return [examples[row].id for row in order], scores[order]


# ---- searching ----

@pytest.mark.parametrize("k", [1, 9, 44, 45, 500])
def test_text_search_equals_brute_force(universe, examples, k):
    query = FakeModel().embed_texts(["a red balloon"])[0]
    ids, scores = _reference(examples, query, k)
    hits = universe.search(text="a red balloon", k=k)
    assert [hit.id for hit in hits] == ids
    np.testing.assert_allclose([hit.score for hit in hits], scores, atol=1e-6)


def test_search_by_image_finds_it_first(universe, examples, tmp_path):
    path = tmp_path / "query.png"
    path.write_bytes(examples[7].image)
    for image in (examples[7].image, path, str(path), Image.open(path)):
        hits = universe.search(image=image, k=3)
        assert hits[0].id == "item-7"
        assert hits[0].score == pytest.approx(1, abs=1e-6)
        assert hits[0].index == 7
        assert hits[0].labels == ["odd"]


def test_search_by_both_uses_the_mean(universe, examples):
    model = FakeModel()
    both = model.embed_texts(["tree"])[0] + model.embed_images([examples[3].image])[0]
    ids, _ = _reference(examples, both, 9)
    assert [hit.id for hit in universe.search(text="tree", image=examples[3].image)] == ids


@pytest.mark.parametrize("text", [None, "", "  \t\n"])
def test_empty_query_is_refused(universe, text):
    with pytest.raises(UserError, match="nothing to search for"):
        universe.search(text=text)


def test_blank_text_beside_an_image_is_ignored(universe, examples):
    assert universe.search(text=" ", image=examples[5].image) == universe.search(image=examples[5].image)


def test_bad_queries_are_refused(universe):
    with pytest.raises(UserError, match="at least 1"):
        universe.search(text="x", k=0)
    with pytest.raises(UserError, match="cannot be read: not an image"):
        universe.search(image=b"hello")
    with pytest.raises(UserError, match="NaN"):
        universe.search_vector(np.full(WIDTH, np.nan))
    with pytest.raises(UserError, match="zero"):
        universe.search_vector(np.zeros(WIDTH))
    with pytest.raises(UserError, match="48 dimensions"):
        universe.search_vector(np.ones(3))


def test_ties_are_broken_by_row(tmp_path):
    vectors = np.tile(_unit(np.random.default_rng(0).normal(size=(1, 67))), (101, 1))
    rows, scores = top_k(vectors, vectors[0], 7)
    assert rows == list(range(7))
    assert len(set(scores)) == 1


def test_neighbours_exclude_the_item_even_among_twins(examples, tmp_path):
    twins = [Example(f"twin-{number}", examples[0].image, ["twin"], []) for number in range(5)]
    universe = Universe.build(FakeModel(), FakeDataset(twins + examples[1:3]), tmp_path / "u")
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
    universe = Universe.build(FakeModel(), FakeDataset([Example("clear", clear.getvalue(), [], [])]), tmp_path / "u")
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
    assert set(universe.facts.examples) <= {example.title for example in examples}


def test_an_indexed_vector_is_placed_on_itself(universe, examples):
    points = universe.map_points()
    x, y = universe.place(FakeModel().embed_images([examples[4].image])[0])
    assert (x, y) == pytest.approx((points.x[4], points.y[4]), abs=1e-3)
    x, y = universe.place(FakeModel().embed_texts(["something else"])[0])
    assert -1 <= x <= 1
    assert -1 <= y <= 1


@pytest.mark.parametrize("count", [1, 2, 5, 15, 16, 50])
def test_projection_is_bounded_finite_and_repeatable(count):
    vectors = _unit(np.random.default_rng(count).normal(size=(count, 32)))
    first, second = project(vectors), project(vectors.copy())
    assert first.shape == (count, 2)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first, axis=0)) == count


def test_projection_of_identical_and_repeated_points():
    same = np.tile(_unit(np.ones((1, 8))), (50, 1))
    np.testing.assert_array_equal(project(same), np.zeros((50, 2)))
    repeated = np.concatenate([same, _unit(np.random.default_rng(0).normal(size=(30, 8)))])
    positions = project(repeated)
    assert np.isfinite(positions).all()
    assert np.abs(positions).max() <= 1


def test_projection_keeps_clusters_apart():
    random = np.random.default_rng(0)
    centres = random.normal(size=(3, 32))
    vectors = _unit(np.concatenate([centre + 0.2 * random.normal(size=(40, 32)) for centre in centres]))
    positions = project(vectors).reshape(3, 40, 2)
    spread = np.linalg.norm(positions - positions.mean(axis=1, keepdims=True), axis=2).mean()
    middles = positions.mean(axis=1)
    assert min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 2 * spread


# ---- building ----

def test_broken_images_are_left_out_and_listed(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(_png(1, (64, 64))[:2000])
    examples = _examples(3)
    mixed = [examples[0], Example("bad", str(broken), ["bad"], []), examples[1],
             Example("empty", b"", [], []), examples[2]]
    universe = Universe.build(FakeModel(), FakeDataset(mixed), tmp_path / "u")
    assert universe.map_points().ids == ["item-0", "item-1", "item-2"]
    assert universe.facts.skipped == 2
    with (tmp_path / "u" / "skipped.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["bad", "empty"]
    assert rows[0]["reason"] == "truncated"
    assert "empty file" in rows[1]["reason"]


def test_each_picture_is_decoded_once_and_keeps_its_place(tmp_path, monkeypatch):
    decoded = []

    class Counting(Framing):
        def decode(self, image):
            decoded.append(image)
            return super().decode(image)

    monkeypatch.setattr(FakeModel, "framing", Counting(64))
    monkeypatch.setattr(build, "_CHUNK", 4)
    examples = _examples(19)
    for place in (0, 7, 8, 20):
        examples.insert(place, Example(f"bad-{place}", _png(place)[:60], [], []))
    universe = Universe.build(FakeModel(), FakeDataset(examples), tmp_path / "u")
    assert len(decoded) == len(examples)
    good = [example for example in examples if not example.id.startswith("bad")]
    assert universe.map_points().ids == [example.id for example in good]
    assert [row.id for row in (universe.search(image=example.image, k=1)[0] for example in good)] == [
        example.id for example in good]
    with (tmp_path / "u" / "skipped.csv").open(encoding="utf-8") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["bad-0", "bad-7", "bad-8", "bad-20"]


@pytest.mark.parametrize("examples", [[], [Example("bad", b"x", [], [])]])
def test_nothing_readable_is_refused(examples, tmp_path):
    with pytest.raises(UserError, match="nothing to index"):
        Universe.build(FakeModel(), FakeDataset(examples), tmp_path / "u")
    assert list(tmp_path.iterdir()) == []


def test_repeated_ids_are_refused(tmp_path):
    with pytest.raises(UserError, match="share the id 'item-0'"):
        Universe.build(FakeModel(), FakeDataset([*_examples(2), *_examples(1)]), tmp_path / "u")


def test_same_model_and_data_are_reused(tmp_path):
    calls = []

    class Counting(FakeModel):
        def embed_images(self, images, batch_size=256):
            calls.append(len(images))
            return super().embed_images(images)

    out = tmp_path / "u"
    first = Universe.build(Counting(), FakeDataset(_examples(4)), out)
    before = (out / "universe.json").stat().st_mtime_ns
    second = Universe.build(Counting(), FakeDataset(_examples(4)), out, overwrite=True)
    assert calls == [4]
    assert (out / "universe.json").stat().st_mtime_ns == before
    assert first.search("x") == second.search("x")


def test_another_model_or_data_needs_overwrite(tmp_path):
    out = tmp_path / "u"
    Universe.build(FakeModel(), FakeDataset(_examples(4)), out)
    with pytest.raises(UserError, match=r"another model .*--overwrite"):
        Universe.build(FakeModel("two"), FakeDataset(_examples(4)), out)
    with pytest.raises(UserError, match=r"another data set .*--overwrite"):
        Universe.build(FakeModel(), FakeDataset(_examples(5), "data-2"), out)
    assert len(Universe.open(out)) == 4
    assert len(Universe.build(FakeModel("two"), FakeDataset(_examples(5), "data-2"), out, overwrite=True)) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["u"]


def test_another_models_queries_are_refused(tmp_path, monkeypatch):
    out = tmp_path / "u"
    Universe.build(FakeModel(), FakeDataset(_examples(4)), out)
    with pytest.raises(UserError, match=r"made by the model .* not by .* build it again"):
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
            Universe.build(FakeModel(), FakeDataset(_examples(2)), target, overwrite=overwrite)
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
        Universe.build(Stopping("two"), FakeDataset(_examples(4)), out)
    assert list(tmp_path.iterdir()) == []
    old = Universe.build(FakeModel(), FakeDataset(_examples(4)), out)
    with pytest.raises(stop):
        Universe.build(Stopping("two"), FakeDataset(_examples(4)), out, overwrite=True)
    assert Universe.open(out, FakeModel()).search("x") == old.search("x")
    assert [path.name for path in tmp_path.iterdir()] == ["u"]


@pytest.mark.parametrize("mended_by", ["open", "build"])
def test_leftovers_of_a_killed_build_are_mended(tmp_path, mended_by):
    out = tmp_path / "u"
    Universe.build(FakeModel(), FakeDataset(_examples(4)), out)
    # A process that dies in mid-swap: the old folder is set aside, the new one not yet in its place.
    script = (
        "import os, pathlib, sys\n"
        "from vector_universe.index import staging\n"
        "out = pathlib.Path(sys.argv[1])\n"
        "with staging.staged_folder(out, 'universe') as folder:\n"
        "    out.rename(staging._sibling(out, 'replaced'))\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(out)], check=False).returncode == 9
    assert not out.exists()
    assert len(list(tmp_path.iterdir())) == 2
    if mended_by == "open":
        assert len(Universe.open(out)) == 4
    else:
        with pytest.raises(UserError, match="another model"):  # it is back, and still the old one
            Universe.build(FakeModel("two"), FakeDataset(_examples(4)), out)
    assert [path.name for path in tmp_path.iterdir()] == ["u"]


def test_a_build_at_work_is_left_alone(tmp_path):
    out = tmp_path / "u"
    with staged_folder(out, "universe") as folder:
        other = Path(str(folder).replace(f"-{os.getpid()}", f"-{os.getppid()}"))
        other.mkdir()
    Universe.build(FakeModel(), FakeDataset(_examples(2)), tmp_path / "v")
    assert other.exists()


@pytest.mark.parametrize("damage", ["universe.json", "items.lance", "format"])
def test_a_damaged_universe_says_so_and_can_be_overwritten(tmp_path, damage):
    import shutil

    out = tmp_path / "u"
    Universe.build(FakeModel(), FakeDataset(_examples(4)), out)
    if damage == "universe.json":
        (out / damage).write_text("{")
    elif damage == "items.lance":
        shutil.rmtree(out / damage)
    else:
        facts = json.loads((out / "universe.json").read_text())
        (out / "universe.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(UserError, match="--overwrite"):
        Universe.open(out)
    with pytest.raises(UserError, match="--overwrite"):
        Universe.build(FakeModel(), FakeDataset(_examples(4)), out)
    assert len(Universe.build(FakeModel(), FakeDataset(_examples(4)), out, overwrite=True)) == 4


def test_the_table_declares_its_key(universe):
    import lancedb

    schema = lancedb.connect(universe.path).open_table("items").schema
    assert schema.field("id").metadata[b"lance-schema:unenforced-primary-key"] == b"true"
    assert schema.names == ["id", "title", "texts", "labels", "split", "thumbnail", "ocr", "vector", "x", "y"]


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
    hits = [Hit(number, f"id-{number}", titles[number % 5], [], 0.9 - number / 100) for number in range(count)]
    pictures = [_png(number, (30 + 40 * number, 60)) for number in range(count)]
    path = tmp_path / "matches.png"
    grid_picture(hits, pictures, "a query that goes on " * 30, path)
    picture = Image.open(path)
    assert picture.format == "PNG"
    columns = {0: 1, 1: 1, 2: 2, 9: 3, 10: 4}[count]
    assert picture.width == 80 + 184 * columns + 24 * (columns - 1)
