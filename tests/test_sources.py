"""Every source gives the same examples for the same content."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import formats
from tests.formats import ITEMS, add_member, loaded, picture
from vector_universe import UserError, load_dataset
from vector_universe.data import Example, FileSlice, LoadOptions, SkippedRow, arrow_spool, stream_examples
from vector_universe.data.sources import hugging_face
from vector_universe.data.sources.columns import Row
from vector_universe.data.sources.grouping import grouped_rows
from vector_universe.data.sources.seen import SeenIds
from vector_universe.data.splits import split_of

EXPECTED = [Example(item.name, item.image, [" ".join(item.title.split())] if item.title else [], list(item.labels),
                    item.split or split_of(item.name), metadata={"artist": item.artist}) for item in ITEMS]

WRITERS = {
    "csv": formats.write_csv,
    "csv by itself": lambda folder: formats.write_csv(folder, "pairs.csv") / "pairs.csv",
    "csv with a byte order mark": lambda folder: formats.write_csv(folder, encoding="utf-8-sig"),
    "csv with crlf": lambda folder: formats.write_csv(folder, end="\r\n"),
    "tsv": lambda folder: formats.write_csv(folder, "pairs.tsv", delimiter="\t") / "pairs.tsv",
    "jsonl": formats.write_jsonl,
    "jsonl in a folder": lambda folder: formats.write_jsonl(folder).parent,
    "parquet of names": formats.write_parquet_of_names,
    "parquet of images": formats.write_parquet_of_images,
    "parquet by a pattern": lambda folder: f"{formats.write_parquet_of_images(folder)}/*.parquet",
    "saved by datasets": formats.write_saved,
    "tars in a folder": formats.write_tars,
    "tars by a pattern": lambda folder: f"{formats.write_tars(folder)}/*.tar",
    "tars by a range": lambda folder: f"{formats.write_tars(folder)}/{{000..001}}.tar",
}


@pytest.mark.parametrize("format", WRITERS)
def test_the_same_content_gives_the_same_examples(format, tmp_path):
    source = WRITERS[format](tmp_path / "data")
    data = load_dataset(source)
    assert loaded(data) == EXPECTED
    assert data.skipped == ()
    assert loaded(stream_examples(source)) == EXPECTED


def test_a_binary_column_with_ids_in_another(tmp_path):
    source = formats.write_parquet_of_bytes(tmp_path / "data")
    assert loaded(load_dataset(source, LoadOptions(id_column="name"))) == EXPECTED
    assert [example.id for example in load_dataset(source)] == ["1", "2", "3", "4"]


def test_what_img2dataset_writes(tmp_path):
    rows = [{"key": "0001", "jpg": picture("red", "JPEG"), "caption": "one", "url": "https://x", "status": "success"},
            {"key": "0002", "jpg": None, "caption": "two", "url": "https://y", "status": "failed_to_download"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "00000.parquet")
    (tmp_path / "00000_stats.json").write_text("{}")
    data = load_dataset(tmp_path)
    assert [(e.id, e.texts, e.metadata["url"]) for e in data] == [("0001", ["one"], "https://x")]
    assert [(row.file, row.row, row.reason) for row in data.skipped] == [("0002", 2, "no image")]


def test_images_of_tars_are_slices_of_them(tmp_path):
    data = load_dataset(formats.write_tars(tmp_path / "data"))
    assert all(isinstance(example.image, FileSlice) for example in data)
    assert {Path(example.image.path).name for example in data} == {"000.tar", "001.tar"}


def test_named_columns(tmp_path):
    rows = [{"where": "a.png", "head": "one", "body": ["two", "three"], "kind": "x;y", "tags": ["z", "x"], "no": 7}]
    for name in ("t.jsonl", "t.parquet"):
        if name == "t.jsonl":
            (tmp_path / name).write_text(json.dumps(rows[0]))
        else:
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
        (tmp_path / "a.png").write_bytes(picture("red"))
        options = LoadOptions(image_column="where", text_columns=("head", "body"), label_columns=("kind", "tags"),
                              id_column="no")
        example, = load_dataset(tmp_path / name, options)
        assert (example.id, example.texts, example.labels) == ("7", ["one", "two", "three"], ["x", "y", "z"])
        assert example.metadata == {}


def test_text_and_class_members(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        add_member(tar, "./deep/a.JPG", picture("red", "JPEG"))
        add_member(tar, "./deep/a.txt", b"one\n")
        add_member(tar, "./deep/a.cls", b"3")
        add_member(tar, "./deep/a.pickle", b"never opened")
        add_member(tar, "../../b.seg.png", b"not the image")
        add_member(tar, "../../b.png", picture("blue"))
        add_member(tar, "../../b.json", b'{"caption": "two", "tags": ["p"]}')
    data = load_dataset(tmp_path / "x.tar")
    assert [(e.id, e.texts, e.labels, e.metadata) for e in data] == [
        ("deep/a.JPG", ["one"], ["3"], {}), ("../../b.png", ["two"], [], {"tags": ["p"]})]
    assert [(remark.kind, remark.what) for remark in data.remarks] == [
        ("not_read", "1 member ending in .pickle"), ("not_read", "1 member ending in .seg.png")]


def test_class_folders(tmp_path):
    for name in ("cat/a.jpg", "cat/deep/b.png", "dog/c.png"):
        for top in ("", "train", "val"):
            path = tmp_path / ("split" if top else "plain") / top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture("red"))
    (tmp_path / "plain" / "cat" / "notes.txt").write_text("no picture")
    plain, split = load_dataset(tmp_path / "plain"), load_dataset(tmp_path / "split")
    assert [(e.id, e.texts, e.labels, e.split) for e in plain] == [
        (id, [], [label], split_of(id)) for id, label in (("cat/a.jpg", "cat"), ("cat/deep/b.png", "cat"),
                                                          ("dog/c.png", "dog"))]
    assert [(e.id, e.labels, e.split) for e in split][::5] == [
        ("train/cat/a.jpg", ["cat"], "train"), ("val/dog/c.png", ["dog"], "validation")]
    assert plain.skipped == split.skipped == ()
    assert [(remark.kind, remark.file) for remark in plain.remarks] == [("not_read", ".txt")]


@pytest.mark.parametrize("layout", ["train/metadata.csv", "train.csv"])
def test_a_table_for_each_split(tmp_path, layout):
    for split, colour in (("train", "red"), ("test", "blue")):
        table = tmp_path / layout.replace("train", split)
        table.parent.mkdir(exist_ok=True)
        (table.parent / f"{colour}.png").write_bytes(picture(colour))
        table.write_text(f"file_name,title\n{colour}.png,one\n")
    assert [(e.id, e.image, e.split) for e in loaded(load_dataset(tmp_path))] == [
        ("test/blue.png", picture("blue"), "test"), ("train/red.png", picture("red"), "train")]


def test_questions_and_answers(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "17.png").write_bytes(picture("red"))
    (tmp_path / "vqa.csv").write_text('image_id,question,answer\n17,Which colour?,red\n17,"Round, or not?",not\n')
    example, = load_dataset(tmp_path)
    assert (example.id, example.texts) == ("17", ["Which colour? red", "Round, or not? not"])
    assert example.metadata == {"question": ["Which colour?", "Round, or not?"], "answer": ["red", "not"]}
    (tmp_path / "vqa.csv").unlink()
    (tmp_path / "vqa.jsonl").write_text('{"image": "17.png", "question": "Which?", "answers": ["red", "red", "dark"]}')
    example, = load_dataset(tmp_path)
    assert example.texts == ["Which? red", "Which? dark"]
    assert example.metadata == {"question": ["Which?"], "answer": [["red", "red", "dark"]]}


def test_splits_and_classes_of_hugging_face(tmp_path):
    import datasets
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog, wild"])})
    images = [{"bytes": picture(colour), "path": None} for colour in ("red", "blue")]
    part = datasets.Dataset.from_dict({"image": images, "label": [1, 0]}, features)
    datasets.DatasetDict({"train": part, "test": part}).save_to_disk(tmp_path / "saved")
    data = load_dataset(tmp_path / "saved")
    assert [(e.id, e.labels, e.split) for e in data] == [
        ("train/1", ["dog, wild"], "train"), ("train/2", ["cat"], "train"),
        ("test/3", ["dog, wild"], "test"), ("test/4", ["cat"], "test")]
    (tmp_path / "shards").mkdir()
    for name in ("train", "test"):
        part.to_parquet(tmp_path / "shards" / f"{name}-00000-of-00001.parquet")
    data = load_dataset(tmp_path / "shards")
    assert [(e.id, e.labels, e.split) for e in data] == [
        ("test/1", ["dog, wild"], "test"), ("test/2", ["cat"], "test"),
        ("train/3", ["dog, wild"], "train"), ("train/4", ["cat"], "train")]


def test_a_data_set_of_the_hub(tmp_path, monkeypatch):
    import datasets
    part = datasets.Dataset.from_dict({"image": [{"bytes": picture("red"), "path": None}], "caption": ["one"]})
    asked = []
    monkeypatch.setattr(hugging_face, "look_at_hub", lambda name: "")
    monkeypatch.setattr(datasets, "load_dataset", lambda name: asked.append(name) or datasets.DatasetDict(train=part))
    assert [(e.id, e.texts) for e in load_dataset("somebody/pictures")] == [("1", ["one"])]
    assert asked == ["somebody/pictures"]


row_lists = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 99)), max_size=30)


@given(row_lists, st.integers(1, 8))
def test_rows_are_grouped_wherever_they_stand(pairs, rows_at_once):
    """Against a dictionary that holds all; groups that stand together and scattered ones alike."""
    def rows():
        for number, (id, value) in enumerate(pairs, 1):
            if id == "f":
                yield SkippedRow("f", number, "broken")
            else:
                yield Row(number, id, id, id, [str(value)], [], "", {"n": value})
    expected: dict[str, list[Row] | SkippedRow] = {}
    for row in rows():
        if isinstance(row, SkippedRow):
            expected[f"skipped {row.row}"] = row
        else:
            expected.setdefault(row.id, []).append(row)
    keys = (f"row {row.row}" if isinstance(row, SkippedRow) else f"id {row.id}" for row in rows())
    assert list(grouped_rows(keys, rows(), rows_at_once)) == list(expected.values())


@given(st.lists(st.text(max_size=3)))
def test_seen_ids_are_a_set(ids):
    seen, reference = SeenIds(recent=4), set()
    for id in ids:
        assert seen.add(id) == (id not in reference)
        reference.add(id)


def test_a_large_table_lies_in_a_file_of_the_cache_and_is_made_once(tmp_path, monkeypatch):
    import datasets
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(arrow_spool, "IN_MEMORY", 100)
    monkeypatch.setattr(arrow_spool, "BATCH_ROWS", 2)
    cached = tmp_path / "cache" / "vector_universe"
    assert loaded(load_dataset(formats.write_csv(tmp_path / "csv"))) == EXPECTED
    assert list(cached.iterdir()) == []  # gone with the table: its images may change
    shards = formats.write_parquet_of_images(tmp_path / "parquet")
    assert loaded(load_dataset(shards)) == EXPECTED
    stored = {path: path.stat().st_mtime_ns for path in cached.iterdir()}
    assert sorted(path.suffix for path in stored) == [".arrow", ".json"]
    assert loaded(load_dataset(shards)) == EXPECTED
    assert {path: path.stat().st_mtime_ns for path in cached.iterdir()} == stored
    pq.write_table(pa.Table.from_pylist(formats.image_rows()[:1]), shards / "part-0.parquet")
    assert loaded(load_dataset(shards)) == [EXPECTED[0], *EXPECTED[2:]]


def test_too_little_room_for_the_cache(tmp_path, monkeypatch):
    from vector_universe.data import collect
    monkeypatch.setattr(collect.shutil, "disk_usage", lambda path: SimpleNamespace(free=1024**3))
    shards = formats.write_parquet_of_images(tmp_path / "parquet")
    with pytest.raises(UserError, match=r"needs 0\.0 GB of cache in .*vu data import .* --format webdataset") as error:
        load_dataset(shards)
    assert "\n" not in str(error.value)
    assert len(loaded(stream_examples(shards))) == 4
