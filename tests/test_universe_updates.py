"""A universe is brought up to date: only what changed is embedded, sources stay apart, damage is named.
"""

from __future__ import annotations

import json
import shutil
import threading
import time

import pyarrow as pa
import pytest

from tests.universe_folders import CountedModel, Folder, answers, content, counts, examples, index
from tests.universes import png
from vector_universe import DualEncoder, Universe
from vector_universe.data import ImageTextDataset
from vector_universe.errors import UserError
from vector_universe.index import build as building
from vector_universe.index.ingest.watch import watch
from vector_universe.index.label import label_universe
from vector_universe.models import DualEncoderConfig
from vector_universe.models.post_processing import PostProcessing


@pytest.fixture
def data(tmp_path) -> Folder:
    return Folder(tmp_path / "data")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "u"


# ---- what is embedded ----


def test_only_what_changed_is_embedded(data, out):
    model = CountedModel()
    assert counts(index(data, out, model)) == (12, 0, 0, 0, 12)
    before = content(out)
    assert counts(index(data, out, model)) == (0, 0, 0, 12, 0)
    assert content(out) == before

    data.add(20)
    data.add(21)
    data.repaint("003.png", 103)
    data.rows["004.png"]["title"] = "retold"
    data.remove("005.png")
    data.write()
    assert counts(index(data, out, model)) == (2, 2, 1, 9, 3)
    assert model.embedded == 15
    after = content(out)
    assert after.keys() == before.keys() - {"005.png"} | {"020.png", "021.png"}
    assert all(after[f"{number:03}.png"] == before[f"{number:03}.png"] for number in (0, 1, 2, 6, 7, 8, 9, 10, 11))
    assert after["003.png"]["image"] != before["003.png"]["image"]
    assert after["003.png"]["thumbnail"] != before["003.png"]["thumbnail"]
    assert None not in (after["003.png"]["x"], after["020.png"]["x"], after["020.png"]["topic"])
    assert Universe.open(out, model).search(image=png(103), k=1)[0].id == "003.png"


def test_a_retold_item_keeps_its_place_and_picture_and_gets_a_new_title_vector(data, out):
    index(data, out)
    before = content(out)["004.png"]
    data.rows["004.png"] |= {"title": "entirely new", "labels": "fresh"}
    data.write()
    assert counts(index(data, out)) == (0, 1, 0, 11, 0)
    after = content(out)["004.png"]
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"title", "texts", "labels", "said_digest", "words", "text"}
    assert Universe.open(out, CountedModel()).search("entirely new", k=12)


def test_an_update_equals_a_universe_made_at_once(data, out, tmp_path):
    index(data, out)
    data.repaint("002.png", 77)
    data.rows["001.png"]["title"] = "retold"
    data.remove("000.png")
    data.add(40)
    data.write()
    index(data, out)
    index(data, tmp_path / "fresh")
    assert content(out, derived=False) == content(tmp_path / "fresh", derived=False)
    assert answers(out) == answers(tmp_path / "fresh")


def test_an_unreadable_changed_picture_keeps_the_old_item_and_is_listed(data, out):
    index(data, out)
    before = content(out)
    (data.path / "images/003.png").write_bytes(png(3)[:80])
    change = index(data, out)
    assert [row.file for row in change.skipped] == ["003.png"]
    assert counts(change) == (0, 0, 0, 11, 0)
    assert content(out) == before
    assert [row.file for row in Universe.open(out).sources["data"].skipped] == ["003.png"]
    data.repaint("003.png", 55)
    assert counts(index(data, out)) == (0, 1, 0, 11, 1)
    assert Universe.open(out).sources["data"].skipped == ()


def test_mass_removal_is_refused_until_it_is_meant(tmp_path, out):
    data = Folder(tmp_path / "data", range(15))
    index(data, out)
    before = answers(out)
    for number in range(4, 15):
        data.remove(f"{number:03}.png")
    data.write()
    with pytest.raises(UserError, match=r"11 of the 15 items of the source 'data' .*--allow-mass-removal") as refused:
        index(data, out)
    assert "\n" not in str(refused.value)
    assert answers(out) == before
    assert counts(index(data, out, allow_mass_removal=True)) == (0, 0, 11, 4, 0)
    assert len(Universe.open(out)) == 4


def test_nothing_readable_leaves_no_generation(out):
    broken = ImageTextDataset.from_examples([examples([0])[0].__class__("bad", b"x", [], [])], name="n", source="s")
    with pytest.raises(UserError, match=r"nothing to index: none of the 1 images .*the first: bad"):
        index(broken, out)
    with pytest.raises(UserError, match="not complete"):
        Universe.open(out)
    assert not list(out.glob("g*"))


# ---- several sources ----


def test_two_sources_live_side_by_side(data, out, tmp_path):
    other = Folder(tmp_path / "other", range(20, 24))
    index(data, out)
    assert counts(index(other, out)) == (4, 0, 0, 0, 4)
    other.remove("020.png")
    other.write()
    assert counts(index(other, out)) == (0, 0, 1, 3, 0)
    universe = Universe.open(out)
    assert len(universe) == 15
    assert list(universe.sources) == ["data", "other"]
    assert universe.sources["other"].location == str(other.path)
    assert universe.name == "data, other"


def test_an_id_of_another_source_is_refused_or_prefixed(data, out, tmp_path):
    other = Folder(tmp_path / "other", range(3))
    index(data, out)
    before = content(out)
    with pytest.raises(UserError, match=r"the id '000.png' is already taken by .* 'data': give --id-prefix, such as "
                                        r"--id-prefix other/"):
        index(other, out)
    assert content(out) == before
    assert list(Universe.open(out).sources) == ["data"]
    assert counts(index(other, out, id_prefix="other/")) == (3, 0, 0, 0, 3)
    assert len(content(out)) == 15
    other.rows["001.png"]["title"] = "retold"
    other.write()
    assert counts(index(other, out, id_prefix="other/")) == (0, 1, 0, 2, 0)
    assert content(out)["other/001.png"]["title"] == "retold"


def test_the_credit_of_every_source_is_shown(out):
    for name, credit, numbers in (("a", "by Ann", range(3)), ("b", "by Bob", range(3, 6)),
                                  ("c", "by Ann", range(6, 9))):
        index(ImageTextDataset.from_examples(examples(numbers), name=name, source=name, attribution=credit), out)
    assert Universe.open(out).attribution == "by Ann; by Bob"


# ---- metadata ----


def test_metadata_columns_have_types_and_grow(data, out, tmp_path):
    for number, row in enumerate(data.rows.values()):
        row |= {"year": 1990 + number, "rating": number / 2, "code": "007", "studio": f"s{number}"}
    data.write()
    index(data, out)
    table = Universe.open(out).table
    assert table.metadata == {"year": pa.int64(), "rating": pa.float64(), "code": pa.string(), "studio": pa.string()}
    other = Folder(tmp_path / "other", range(20, 24), year="unknown", director="Varda")
    other.rows["021.png"]["year"] = "2001"
    other.write()
    index(other, out)
    rows = content(out)
    assert (rows["002.png"]["year"], rows["002.png"]["rating"], rows["002.png"]["director"]) == (1992, 1.0, None)
    # text in a column of numbers is no number: it stands as missing
    assert (rows["020.png"]["year"], rows["021.png"]["year"], rows["020.png"]["director"]) == (None, 2001, "Varda")
    assert rows["020.png"]["studio"] is None


# ---- another model ----


def test_another_model_needs_migrate(data, out):
    index(data, out)
    with pytest.raises(UserError, match=r"is a universe of another model .*--migrate, or give --out"):
        index(data, out, CountedModel("three"))
    assert len(Universe.open(out, CountedModel())) == 12


def test_migrate_embeds_all_sources_beside_the_old_and_switches_at_the_end(data, out, tmp_path, monkeypatch):
    other = Folder(tmp_path / "other", range(20, 23), year=2000)
    index(data, out)
    index(other, out, id_prefix="o/")
    before, seen = answers(out), []
    finish = building.finish

    def looking(*arguments, **settings):
        seen.append(answers(out))
        finish(*arguments, **settings)
        seen.append(answers(out))

    new, reading = CountedModel("three"), Universe.open(out, CountedModel())
    with monkeypatch.context() as patch:
        patch.setattr(building, "finish", looking)
        index(data, out, new, migrate=True)
    assert seen == [before, before]
    assert new.embedded == 15
    assert Universe.open(out).generation.name == "g0002"
    with pytest.raises(UserError, match="not by"):
        Universe.open(out, CountedModel())
    assert len(reading.search("picture 3", k=20)) == 15  # who has the old one open goes on
    index(data, tmp_path / "fresh", new)
    index(other, tmp_path / "fresh", new, id_prefix="o/")
    assert content(out, new, derived=False) == content(tmp_path / "fresh", new, derived=False)
    assert answers(out, new) == answers(tmp_path / "fresh", new)
    index(data, out, new)
    assert not (out / "g0001").exists()  # nobody reads it any more, by the next run


def test_a_migration_goes_on_where_it_stopped(data, out, tmp_path, monkeypatch):
    other = Folder(tmp_path / "other", range(20, 24))
    index(data, out)
    index(other, out)
    before = answers(out)

    class Failing(CountedModel):
        def embed_images(self, images, batch_size=256):
            if self.embedded + len(images) > 12:
                raise RuntimeError("out of luck")
            return super().embed_images(images)

    with pytest.raises(RuntimeError, match="out of luck"):
        index(data, out, Failing("three"), migrate=True)
    assert answers(out) == before
    new = CountedModel("three")
    index(data, out, new, migrate=True)
    assert new.embedded == 4
    assert len(content(out, new)) == 16
    assert sorted(path.name for path in out.glob("g*")) == ["g0001", "g0002"]


def test_a_migration_labels_with_the_new_model(data, out, monkeypatch):
    import vector_universe.models
    monkeypatch.setattr(vector_universe.models, "load_run_model", lambda folder: CountedModel())
    index(data, out)
    label_universe(out, ["picture 1", "picture 2", "picture 3"])
    old = content(out)
    assert all(row["predicted_label"] for row in old.values())
    data.add(20)
    data.write()
    index(data, out)
    assert content(out)["020.png"]["predicted_label"]
    new = CountedModel("three")
    index(data, out, new, migrate=True)
    label_new = content(out, new)
    assert all(row["predicted_label"] in ("picture 1", "picture 2", "picture 3") for row in label_new.values())


def test_a_missing_source_stops_a_migration_and_harms_nothing(data, out, tmp_path):
    other = Folder(tmp_path / "other", range(20, 24))
    index(data, out)
    index(other, out)
    before = answers(out)
    shutil.rmtree(other.path)
    with pytest.raises(UserError, match=str(other.path)):
        index(data, out, CountedModel("three"), migrate=True)
    assert answers(out) == before


def test_overwrite_and_migrate_exclude_each_other(data, out):
    with pytest.raises(UserError, match="do not go together"):
        index(data, out, overwrite=True, migrate=True)


# ---- damage ----


def _zero(path):
    content = path.read_bytes()
    third = len(content) // 3
    path.write_bytes(content[:third] + bytes(third) + content[2 * third:])


DAMAGE = {
    "pointer": lambda out: (out / "universe.json").write_text("{"),
    "pointer to nowhere": lambda out: (out / "universe.json").write_text('{"format": 3, "generation": "g0009"}'),
    "facts": lambda out: (out / "g0001/generation.json").write_text("[]"),
    "facts gone": lambda out: (out / "g0001/generation.json").unlink(),
    "config": lambda out: (out / "g0001/model/config.json").write_text("{}"),
    "tokenizer gone": lambda out: (out / "g0001/model/tokenizer.json").unlink(),
    "table gone": lambda out: shutil.rmtree(out / "g0001/items.lance"),
    "data gone": lambda out: [path.unlink() for path in (out / "g0001/items.lance/data").iterdir()],
    "data zeroed": lambda out: [_zero(path) for path in (out / "g0001/items.lance/data").iterdir()],
    "manifests gone": lambda out: shutil.rmtree(out / "g0001/items.lance/_versions"),
    "manifest cut": lambda out: [path.write_bytes(path.read_bytes()[:20])
                                 for path in (out / "g0001/items.lance/_versions").glob("*.manifest")],
    "topics": lambda out: (out / "g0001/notes/topics.json").write_text("no"),
    "source": lambda out: [path.write_text("{}") for path in (out / "g0001/notes/sources").iterdir()],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_overwrite_mends(kind, data, out):
    index(data, out)
    before = answers(out)
    DAMAGE[kind](out)
    with pytest.raises(UserError) as refused:  # noqa: PT012
        universe = Universe.open(out, CountedModel())
        universe.describe()
        assert universe.topics
        assert answers(out) != before
    assert "\n" not in str(refused.value)
    assert "--overwrite" in str(refused.value) or "does not exist" in str(refused.value)
    index(data, out, overwrite=True)
    assert answers(out) == before
    assert Universe.open(out).topics is not None


def test_overwrite_of_a_sound_universe_embeds_nothing(data, out):
    index(data, out)
    assert counts(index(data, out, overwrite=True)) == (0, 0, 0, 12, 0)
    model = CountedModel("three")
    assert counts(index(data, out, model, overwrite=True)) == (12, 0, 0, 0, 12)
    assert [path.name for path in out.glob("g*")] == ["g0002"]


@pytest.mark.parametrize(("number", "advice"), [(2, "vu index … --overwrite"), (4, "pip install --upgrade")])
def test_universes_of_other_formats_are_named(number, advice, data, out):
    (out / "items.lance").mkdir(parents=True)
    (out / "vector_universe.json").write_text('{"kind": "universe", "version": "0.0"}')
    (out / "universe.json").write_text(json.dumps({"format": number, "name": "old"}))
    for attempt in (lambda: Universe.open(out), lambda: index(data, out)):
        with pytest.raises(UserError, match=rf"format {number}, this version reads 3.*{advice}"):
            attempt()
    index(data, out, overwrite=True)
    assert len(Universe.open(out)) == 12
    assert not (out / "items.lance").exists()


def test_what_is_no_universe_is_not_touched(data, out, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        Universe.open(out)
    out.mkdir()
    (out / "photo.jpg").write_bytes(b"dear")
    for attempt in (lambda: Universe.open(out), lambda: index(data, out, overwrite=True)):
        with pytest.raises(UserError, match=r"not a universe|something else"):
            attempt()
    assert [path.name for path in out.iterdir()] == ["photo.jpg"]


# ---- the model's copy ----


@pytest.fixture(scope="module")
def encoder() -> DualEncoder:
    import torch
    torch.manual_seed(0)
    texts = ["picture one two three", "odd even"]
    return DualEncoder.from_scratch(texts, DualEncoderConfig(image_width=32, embedding_width=16)).eval()


@pytest.fixture(scope="module")
def encoded(encoder, tmp_path_factory):
    place = tmp_path_factory.mktemp("encoded")
    index(Folder(place / "data"), place / "u", encoder)
    return place


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "calibration.json"])
def test_a_changed_copy_of_the_model_is_refused_by_name(name, encoded, tmp_path):
    shutil.copytree(encoded / "u", tmp_path / "u")
    Universe.open(tmp_path / "u")
    file = tmp_path / "u/g0001/model" / name
    file.write_text((file.read_text() if file.exists() else "{}") + "\n")
    with pytest.raises(UserError, match=rf"damaged: its model's {name} .*--overwrite"):
        Universe.open(tmp_path / "u")


def test_another_model_is_refused_with_what_differs(encoded, encoder, tmp_path):
    def copy() -> DualEncoder:
        encoder.save_pretrained(tmp_path / "model")
        return DualEncoder.from_pretrained(tmp_path / "model").eval()

    assert Universe.open(encoded / "u", copy())
    other = copy()
    other.config.image_mean = [0.1, 0.2, 0.3]
    with pytest.raises(UserError, match=r"not by .*another preprocessing.*--migrate"):
        Universe.open(encoded / "u", other)
    whitened = copy()
    whitened.set_post_processing(PostProcessing("centre", 16))
    with pytest.raises(UserError, match=r"not by .*another whitening.*--migrate"):
        Universe.open(encoded / "u", whitened)


def test_its_own_copy_of_the_model_answers_queries(encoded, encoder):
    own, given = (Universe.open(encoded / "u", model).search("odd") for model in (None, encoder))
    assert [hit.id for hit in own] == [hit.id for hit in given]
    assert [hit.score for hit in own] == pytest.approx([hit.score for hit in given], abs=1e-6)


# ---- following a folder ----


def test_watch_brings_the_universe_up_to_date(data, out):
    index(data, out)
    stop = threading.Event()
    follower = threading.Thread(target=watch, args=(data.path, lambda: index(data, out), 0.05, stop.is_set))
    follower.start()
    try:
        time.sleep(0.1)
        data.add(30)
        data.write()
        _until(lambda: len(Universe.open(out)) == 13)
        data.remove("001.png")
        data.write()
        _until(lambda: len(Universe.open(out)) == 12)
    finally:
        stop.set()
        follower.join(timeout=20)
    assert not follower.is_alive()


def test_watch_calls_once_a_change(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1")
    calls, looks = [], iter(range(40))

    def stop() -> bool:
        look = next(looks)
        if look == 5:
            (tmp_path / "b.png").write_bytes(b"2")
        if look == 12:
            (tmp_path / ".hidden").write_bytes(b"3")
        if look == 20:
            (tmp_path / "a.png").unlink()
        return look >= 30

    watch(tmp_path, lambda: calls.append(1), pause=0.005, stop=stop)
    assert len(calls) == 2


def _until(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_words_held_in_memory_are_those_on_disk(tmp_path):
    data = Folder(tmp_path / "data", range(12), year=2000)
    index(data, tmp_path / "u")
    data.remove("003.png")
    data.rows["004.png"]["title"] = "retold"
    data.write()
    index(data, tmp_path / "u")
    universe, held = (Universe.open(tmp_path / "u", CountedModel()) for _ in range(2))
    held.hold_words()
    for query in ("retold", "picture 7"):
        assert held.search(query, k=20) == universe.search(query, k=20), query
    data.rows["005.png"]["title"] = "told again"
    data.write()
    index(data, tmp_path / "u")
    assert held.item("005.png").title != "told again"  # it is a snapshot
    held.table.refresh()
    assert held.item("005.png").title == "told again"
