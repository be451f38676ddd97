"""Folders of CLIP_benchmark: numbers become class names, folders splits, lines captions."""

from __future__ import annotations

import re
import tarfile

import pytest

from tests.formats import add_member, picture
from vector_universe import UserError, load_dataset
from vector_universe.data import stream_examples
from vector_universe.data.sources.clip_benchmark import class_names

NAMES = ["airplane", "tench, Tinca tinca", *(f"class {number}" for number in range(2, 13))]


def write(folder, splits, names=NAMES, kind=None, count=None):
    """`splits`: for each its shards, each a list of (key, members by ending)."""
    for split, shards in splits.items():
        (folder / split).mkdir(parents=True)
        for number, samples in enumerate(shards):
            with tarfile.open(folder / split / f"{number}.tar", "w") as tar:
                for key, members in samples:
                    for ending, content in members.items():
                        add_member(tar, f"{key}.{ending}", content)
        (folder / split / "nshards.txt").write_text(f"{len(shards) if count is None else count}\n")
    if names is not None:
        (folder / "classnames.txt").write_text("\n".join(names) + "\n")
    if kind:
        (folder / "dataset_type.txt").write_text(kind + "\n")
    return folder


def sample(number, label, ending="webp"):
    return f"s{number:07}", {ending: picture("red", {"jpg": "JPEG"}.get(ending, ending)), "cls": str(label).encode()}


def test_numbers_become_names_and_folders_splits(tmp_path):
    folder = write(tmp_path / "wds_set", {"train": [[sample(0, 1), sample(1, 12, "png")]],
                                          "test": [[sample(0, 0, "jpg"), sample(1, "10\n")]]})
    data = load_dataset(folder)
    assert [(e.id, e.labels, e.split, e.texts, e.metadata) for e in data] == [
        ("test/s0000000.jpg", ["airplane"], "test", [], {}), ("test/s0000001.webp", ["class 10"], "test", [], {}),
        ("train/s0000000.webp", ["tench, Tinca tinca"], "train", [], {}),
        ("train/s0000001.png", ["class 12"], "train", [], {})]
    assert [e.labels for e in stream_examples(folder)] == [e.labels for e in data]
    assert (data.name, data.skipped) == ("wds_set", ())
    assert class_names(folder) == NAMES


def test_a_single_split_is_what_its_folder_says(tmp_path):
    data = load_dataset(write(tmp_path / "set", {"test": [[sample(n, 0) for n in range(20)]]}))
    assert {e.split for e in data} == {"test"}


def test_shards_come_in_the_order_of_their_numbers(tmp_path):
    shards = [[sample(number, number % 3)] for number in range(12)]
    data = load_dataset(write(tmp_path / "set", {"test": shards}))
    assert [e.id for e in data] == [f"test/s{number:07}.webp" for number in range(12)]


def test_without_class_names_numbers_stay(tmp_path):
    data = load_dataset(write(tmp_path / "set", {"test": [[sample(0, 7), sample(1, 12)]]}, names=None))
    assert [e.labels for e in data] == [["7"], ["12"]]


def test_what_names_no_class_is_left_out_with_the_reason(tmp_path):
    samples = [sample(0, 13), sample(1, -1), sample(2, "cat"), sample(3, 12), sample(4, "1.0")]
    data = load_dataset(write(tmp_path / "set", {"test": [samples]}))
    assert [e.labels for e in data] == [["class 12"]]
    assert [(row.file, row.row, row.reason) for row in data.skipped] == [
        ("s0000000.webp", 1, "its .cls is 13, but classnames.txt has 13 classes, from 0"),
        ("s0000001.webp", 2, "its .cls is '-1', not the number of a class"),
        ("s0000002.webp", 3, "its .cls is 'cat', not the number of a class"),
        ("s0000004.webp", 5, "its .cls is '1.0', not the number of a class")]


def test_captions_of_a_retrieval_set_are_lines(tmp_path):
    members = {"jpg": picture("red", "JPEG"), "txt": b"a dog runs\nthe  dog, running\n\n"}
    folder = write(tmp_path / "set", {"test": [[("s0000000", members)]]}, names=None, kind="retrieval")
    example, = load_dataset(folder)
    assert (example.texts, example.labels) == (["a dog runs", "the dog, running"], [])


def test_labels_in_arrays_are_refused(tmp_path):
    folder = write(tmp_path / "set", {"test": [[sample(0, 0)]]}, kind="multilabel")
    with pytest.raises(UserError, match=re.escape(f"{folder} has several labels an image in .npy files")):
        load_dataset(folder)


@pytest.mark.parametrize(("count", "says"), [("3", "3"), ("", "nothing"), ("many", "many")])
def test_missing_shards_are_told_of(count, says, tmp_path):
    folder = write(tmp_path / "set", {"test": [[sample(0, 0)]]}, count=count)
    with pytest.raises(UserError, match=rf"test has 1 tar files, but its nshards\.txt says {says}: download"):
        load_dataset(folder)


def test_class_names_decide_what_is_kept_in_the_cache(tmp_path):
    from vector_universe.data.collect import _key
    from vector_universe.data.options import LoadOptions
    from vector_universe.data.sources import open_source
    folder = write(tmp_path / "set", {"test": [[sample(0, 0)]]})
    before = _key(open_source(folder, LoadOptions()), LoadOptions())
    (folder / "classnames.txt").write_text("another name\n")
    assert before != _key(open_source(folder, LoadOptions()), LoadOptions())
