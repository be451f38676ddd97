"""Universes of fused vectors: what stands for an item, what a query is, and that the folder says which it is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.universes import FakeModel, data_set, examples_of, png, unit
from vector_universe import Universe, UserError
from vector_universe.cli import main
from vector_universe.data.example import Example
from vector_universe.index import Query
from vector_universe.models import load_run_model
from vector_universe.models.fusion_inputs import fuse_by_mean


class Fusing(FakeModel):
    """Weighs image 3, title 2, burnt-in text 1: a head that is not the mean."""

    fusion = "a head"

    def fuse_vectors(self, image_ND=None, title_ND=None, ocr_ND=None):
        given = ((3, image_ND), (2, title_ND), (1, ocr_ND))
        return unit(sum(weight * rows_ND for weight, rows_ND in given if rows_ND is not None))


class Headless(FakeModel):
    def fuse_vectors(self, image_ND=None, title_ND=None, ocr_ND=None):
        given = {"image": image_ND, "title": title_ND, "ocr": ocr_ND}
        return fuse_by_mean({name: rows_ND for name, rows_ND in given.items() if rows_ND is not None})


@pytest.fixture(scope="module")
def examples():
    kinds = [(["a title", "a second text"], ""), (["a title"], "burnt in"), ([], "burnt in"), ([], ""), ([" "], " \n")]
    return [Example(f"item-{n}", png(n), texts, ["a label"], ocr=ocr) for n, (texts, ocr) in enumerate(kinds)]


@pytest.fixture(scope="module")
def universe(examples, tmp_path_factory):
    return Universe.build(Fusing(), data_set(examples), tmp_path_factory.mktemp("u") / "u")


def vectors_of(universe):
    return universe._nearest(universe.generation.vectors).vectors_of(universe.table.row_ids(None))


def test_items_are_fused_of_what_they_have(universe, examples):
    model = Fusing()
    images = model.embed_images([example.image for example in examples])
    title, burnt_in = model.embed_texts(["a title", "burnt in"])
    expected = [3 * images[0] + 2 * title, 3 * images[1] + 2 * title + burnt_in, 3 * images[2] + burnt_in, images[3],
                images[4]]
    np.testing.assert_allclose(vectors_of(universe), unit(np.stack(expected)), atol=1e-3)
    assert universe.generation.vectors == "fused"
    assert "vectors of images fused with their texts" in universe.describe()
    assert json.loads((universe.place.path / "g0001" / "generation.json").read_text())["vectors"] == "fused"


def test_a_query_by_both_is_fused_and_one_by_either_is_as_it_was(universe, examples):
    model = Fusing()
    text, image = model.embed_texts(["tree"])[0], model.embed_images([examples[3].image])[0]
    np.testing.assert_allclose(universe.query_vector(Query.of("tree", examples[3].image)),
                               unit((2 * text + 3 * image)[None])[0], atol=1e-3)
    np.testing.assert_allclose(universe.query_vector(Query.of("tree")), text, atol=1e-3)
    np.testing.assert_allclose(universe.query_vector(Query.of(image=examples[3].image)), image, atol=1e-3)


def test_images_alone_can_be_asked_for_and_are_what_a_model_without_head_gives(examples, tmp_path):
    alone = Universe.build(Fusing(), data_set(examples), tmp_path / "alone", vectors="image")
    plain = Universe.build(FakeModel(), data_set(examples), tmp_path / "plain")
    np.testing.assert_array_equal(vectors_of(alone), vectors_of(plain))
    assert alone.generation.vectors == plain.generation.vectors == "image"
    assert "vectors of the images" in alone.describe()
    np.testing.assert_allclose(alone.query_vector(Query.of("tree", examples[3].image)),
                               plain.query_vector(Query.of("tree", examples[3].image)))


def test_without_a_head_fused_is_the_mean(examples, tmp_path):
    model = Headless()
    universe = Universe.build(model, data_set(examples), tmp_path / "u", vectors="fused")
    mean = model.embed_images([examples[0].image])[0] + model.embed_texts(["a title"])[0]
    np.testing.assert_allclose(vectors_of(universe)[0], unit(mean[None])[0], atol=1e-3)


def test_a_universe_of_other_vectors_needs_overwrite(tmp_path):
    data = data_set(examples_of(4))
    Universe.build(Fusing(), data, tmp_path / "u")
    with pytest.raises(UserError, match=r"is a universe of vectors of images fused with their texts: .*--migrate"):
        Universe.build(Fusing(), data, tmp_path / "u", vectors="image")
    assert Universe.build(Fusing(), data, tmp_path / "u").generation.vectors == "fused"
    assert Universe.build(Fusing(), data, tmp_path / "u", vectors="image", overwrite=True).generation.vectors == "image"
    with pytest.raises(UserError, match="vectors is 'both': choose auto, image or fused"):
        Universe.build(Fusing(), data, tmp_path / "u", vectors="both")


def test_without_any_text_fused_vectors_are_those_of_the_images(tmp_path):
    data = data_set([Example(f"item-{n}", png(n), [], ["a label"]) for n in range(3)])
    fused = Universe.build(Fusing(), data, tmp_path / "u")
    np.testing.assert_allclose(vectors_of(fused), Fusing().embed_images([png(n) for n in range(3)]), atol=1e-3)


def test_a_universe_of_unknown_vectors_is_damaged(tmp_path):
    universe = Universe.build(Fusing(), data_set(examples_of(4)), tmp_path / "u")
    path = universe.place.path / "g0001" / "generation.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"vectors": "both"}))
    with pytest.raises(UserError, match="damaged universe"):
        Universe.open(tmp_path / "u")


def test_a_head_that_gives_no_vectors_indexes_nothing(tmp_path):
    class Broken(Fusing):
        def fuse_vectors(self, *arrays):
            return super().fuse_vectors(*arrays) * np.nan

    with pytest.raises(UserError, match=r"returns NaN \(fused vectors\)"):
        Universe.build(Broken(), data_set(examples_of(4)), tmp_path / "u")
    with pytest.raises(UserError, match="not complete"):
        Universe.open(tmp_path / "u")


def test_a_real_model_from_the_command_line(small_run, small_folder, tmp_path, capsys):
    model = load_run_model(small_run)
    model.add_fusion("bilinear")
    model.save_pretrained(tmp_path / "model")
    main(["index", str(tmp_path / "model"), "--data", str(small_folder), "--out", str(tmp_path / "u")])
    assert "fused" in capsys.readouterr().err
    fused = Universe.open(tmp_path / "u")
    assert fused.model.fusion is not None
    hits = fused.search("large red circle", k=3)
    assert hits[0].title == "large red circle"  # its own title is part of its vector
    assert fused.search("large red circle", small_folder / "images" / "07.png", k=1)
    with pytest.raises(SystemExit):
        main(["index", str(tmp_path / "model"), "--data", str(small_folder), "--out", str(tmp_path / "u"),
              "--vectors", "image"])
    main(["index", str(tmp_path / "model"), "--data", str(small_folder), "--out", str(tmp_path / "u"),
          "--vectors", "image", "--overwrite", "--exact-decoding"])
    plain = Universe.open(tmp_path / "u")
    assert plain.generation.vectors == "image"
    assert (fused.model.framing.exact, plain.model.framing.exact) == (False, True)
