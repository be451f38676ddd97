"""Sources with faults: what is refused in one line, and what is skipped with which reason."""

from __future__ import annotations

import gzip
import json
import re
import tarfile

import datasets
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from tests import formats
from tests.formats import add_member, picture
from vector_universe import UserError, load_dataset
from vector_universe.data import ImageError, LoadOptions, stream_examples
from vector_universe.data.images import open_image
from vector_universe.data.sources import hugging_face
from vector_universe.data.sources.places import DOWNLOAD, OUTSIDE

USUAL = LoadOptions()
UNKNOWN = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))  # letters of no writing

with pytest.raises(ImageError) as failed:
    open_image(b"no image")
NO_IMAGE = str(failed.value)


def refused(source, options=USUAL):
    """The line with which both doors refuse a source, without the path in front."""
    lines = []
    for door in (lambda: load_dataset(source, options), lambda: list(stream_examples(source, options))):
        with pytest.raises(UserError) as error:
            door()
        lines.append(str(error.value))
    assert lines[0] == lines[1]
    assert "\n" not in lines[0]
    return lines[0]


def skipped(source, options=USUAL):
    return [(row.file, row.row, row.reason) for row in load_dataset(source, options).skipped]


def write_rows(folder, rows, name="t.parquet"):
    folder.mkdir(exist_ok=True)
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), folder / name)
    else:
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


@pytest.mark.parametrize("url", ["https://example.org/a.tar", "s3://bucket/folder", "hf://datasets/a/b"])
def test_a_url_as_the_source(url):
    assert refused(url) == f"{url} is a URL: {DOWNLOAD}"
    assert "img2dataset" in DOWNLOAD


def test_urls_in_a_table(tmp_path):
    (tmp_path / "metadata.csv").write_text("image,title\nhttps://example.org/a.png,one\n")
    assert refused(tmp_path) == f"{tmp_path}/metadata.csv names URLs (https://example.org/a.png): {DOWNLOAD}"
    (tmp_path / "a.png").write_bytes(picture("red"))
    (tmp_path / "metadata.csv").write_text("image,title\na.png,one\nhttps://example.org/a.png,two\n")
    assert skipped(tmp_path) == [("https://example.org/a.png", 2, f"a URL: {DOWNLOAD}")]


@pytest.mark.parametrize("name", ["t.parquet", "t.jsonl"])
def test_missing_columns(tmp_path, name):
    table = write_rows(tmp_path, [{"scan": "a.png", "words": "one"}], name)
    line = refused(table)
    assert line.startswith(f"{table} has the columns scan, words, and none is known to name the images, "
                           "as file_name or image would: say which does by --image-column COLUMN")
    for options in (LoadOptions(image_column="img"), LoadOptions(text_columns=("img",)),
                    LoadOptions(label_columns=("img",)), LoadOptions(id_column="img")):
        assert refused(table, options) == f"{table} has no column 'img': its columns are scan, words"
    assert refused(table, LoadOptions(image_column="scan", text_columns=("words",))) == (
        f"{table} has no usable row (row 1, a.png: file not found): give it at least one image with a title or a label")


def test_a_column_that_no_shard_has(tmp_path):
    formats.write_tars(tmp_path / "tars")
    assert refused(tmp_path / "tars", LoadOptions(text_columns=("headline",))) == (
        f"{tmp_path}/tars/000.tar has no column 'headline': its columns are png, json, title, labels, split, artist, "
        "jpg")


def test_a_shard_with_other_columns_than_the_first(tmp_path):
    shards = formats.write_parquet_of_images(tmp_path / "shards")
    write_rows(shards, [{"other": 1}], "part-1.parquet")
    assert refused(shards).startswith(f"{shards}/part-1.parquet has the columns other, and none is known to name")


def test_parquet_that_is_none(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 but no more")
    assert re.fullmatch(rf"{tmp_path}/t\.parquet cannot be read as Parquet \(.*\): write it again",
                        refused(tmp_path / "t.parquet"))


def test_parquet_that_is_damaged_within(tmp_path):
    rows = [{"image": picture("red", side=8 + number), "text": "t" * 50_000 + str(number)} for number in range(400)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet", row_group_size=100, compression="zstd")
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    start = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(2).column(0).data_page_offset
    content[start:start + 600] = b"\xff" * 600
    (tmp_path / "t.parquet").write_bytes(content)
    data = load_dataset(tmp_path / "t.parquet")
    assert len(data) >= 192  # batches of 64 may span two row groups
    assert all(len(example.texts) == 1 for example in data)
    row, = data.skipped
    assert (row.file, row.row) == ("t.parquet", len(data) + 1)
    assert row.reason.startswith(f"the file is damaged after row {len(data)}: the other {400 - len(data)} rows")


def test_rows_without_an_image_or_with_a_broken_one(tmp_path):
    table = write_rows(tmp_path, [
        {"image": {"bytes": picture("red"), "path": "a.png"}, "text": "one"},
        {"image": None, "text": "two"}, {"image": {"bytes": b"", "path": None}, "text": "three"},
        {"image": {"bytes": b"no image", "path": "/abs/d.png"}, "text": "four"},
        {"image": {"bytes": picture("red"), "path": "a.png"}, "text": "five"},
        {"image": {"bytes": picture("red"), "path": "f.png"}, "text": None},
        {"image": {"bytes": None, "path": "../g.png"}, "text": "seven"}])
    assert skipped(table) == [
        ("2", 2, "no image"), ("3", 3, "no image"), ("d.png", 4, NO_IMAGE), ("a.png", 5, "duplicate id"),
        ("f.png", 6, "no text and no label"), ("../g.png", 7, OUTSIDE)]


def test_ids_that_occur_twice(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(picture("red"))
    rows = [{"image": "a.png", "text": "one", "no": 1}, {"image": "b.png", "text": "two", "no": 1},
            {"image": "b.png", "text": "three", "no": 2}, {"image": "a.png", "text": "four", "no": 1}]
    data = load_dataset(write_rows(tmp_path, rows, "t.jsonl"), LoadOptions(id_column="no"))
    assert [(e.id, e.texts) for e in data] == [("1", ["one", "four"]), ("2", ["three"])]
    assert [(row.file, row.row, row.reason) for row in data.skipped] == [("b.png", 2, "duplicate id")]


def test_json_lines_with_broken_ones(tmp_path):
    (tmp_path / "a.png").write_bytes(picture("red"))
    (tmp_path / "t.jsonl").write_text('{"image": "a.png", "text": "one \\ud800"}\n\n{"image": \n[1]\n'
                                      '{"text": "two"}\n{"image": {"bytes": "aGk="}, "text": "three"}\n'
                                      + "[" * 100_000 + "\n")
    data = load_dataset(tmp_path / "t.jsonl")
    assert [e.texts for e in data] == [["one ?"]]
    assert [(row.file, row.row, row.reason.partition(" (")[0]) for row in data.skipped] == [
        ("t.jsonl", 2, "not a line of JSON"), ("t.jsonl", 3, "not a JSON object"), ("", 4, "no file name"),
        ("", 5, "no file name"), ("t.jsonl", 6, "not a line of JSON")]


@pytest.mark.parametrize(("content", "line"), [
    (b"", 'has no row: each line must be an object such as {"file_name": …, "title": …}'),
    (b' [{"image": "a.png"}]', "is a JSON array: write one object a line, for instance by jq -c '.[]'"),
    (b'{"image": "a.png", "text": "' + UNKNOWN + b'"}', "is not UTF-8, and its letters do not tell what it is: save it "
     "as UTF-8 (in a spreadsheet: save as, CSV UTF-8)")])
def test_json_lines_that_are_refused(tmp_path, content, line):
    (tmp_path / "t.jsonl").write_bytes(content)
    assert refused(tmp_path / "t.jsonl") == f"{tmp_path}/t.jsonl {line}"


@pytest.mark.parametrize("before", [4, 5_000_000])
def test_a_broken_letter_costs_one_letter(tmp_path, before):
    (tmp_path / "a.png").write_bytes(picture("red"))
    (tmp_path / "metadata.csv").write_bytes(b"image,title\na.png," + "é".encode() * before + b"\xe9\xe9\n")
    data = load_dataset(tmp_path)
    assert [e.texts for e in data] == [["é" * before + "\ufffd\ufffd"]]
    assert [remark.kind for remark in data.remarks] == ["row_mended"]


def test_a_quote_that_never_ends(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(picture("red"))
    (tmp_path / "metadata.csv").write_text('image,title\na.png,"one\n' + "b.png,two\n" * 200_000)
    data = load_dataset(tmp_path)
    assert [(e.id, e.texts) for e in data] == [("a.png", ['"one']), ("b.png", ["two"])]
    assert [(remark.kind, remark.row) for remark in data.remarks] == [("row_mended", 1)]


def test_paths_that_leave_the_folder(tmp_path):
    data, other = tmp_path / "data", tmp_path / "other"
    for folder in (data / "images", other):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(picture("red"))
    (data / "images" / "link.png").symlink_to(other / "a.png")
    (data / "images" / "linked").symlink_to(other)
    outside = ["../../other/a.png", str(other / "a.png"), "link.png", "linked/a.png"]
    (data / "metadata.csv").write_text("image,title\n" + "".join(f"{name},t\n" for name in ("a.png", *outside)))
    assert skipped(data) == [(name, row, OUTSIDE) for row, name in enumerate(outside, 2)]
    assert "--allow-outside" in OUTSIDE
    allowed = load_dataset(data, LoadOptions(allow_outside=True))
    assert ([e.id for e in allowed], allowed.skipped) == (["a.png", *outside], ())


def test_links_in_class_folders(tmp_path):
    data = tmp_path / "data"
    (data / "cat").mkdir(parents=True)
    (data / "cat" / "a.png").write_bytes(picture("red"))
    (tmp_path / "b.png").write_bytes(picture("red"))
    (data / "cat" / "b.png").symlink_to(tmp_path / "b.png")
    (data / "cat" / "c.png").write_bytes(b"")
    assert skipped(data) == [("cat/b.png", 2, OUTSIDE), ("cat/c.png", 3, "empty file (0 bytes)")]


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            add_member(tar, name, content)
    return path


PAIR = [("a.png", picture("red")), ("a.txt", b"one")]


@pytest.mark.parametrize(("packed", "unpack"), [("x.tar.gz", "gzip -d x.tar.gz"), ("x.tar", "gzip -d x.tar")])
def test_packed_tars(tmp_path, packed, unpack):
    (tmp_path / packed).write_bytes(gzip.compress(write_tar(tmp_path / "y.tar", PAIR).read_bytes()))
    assert refused(tmp_path / packed) == (
        f"{tmp_path}/{packed} is compressed, and images in it cannot be read one by one: unpack it first ({unpack})")


def test_a_truncated_tar_keeps_what_is_whole(tmp_path):
    members = [*PAIR, ("b.png", picture("blue")), ("b.txt", b"two"), ("c.png", picture("green", side=300)),
               ("c.txt", b"three")]
    whole = write_tar(tmp_path / "x.tar", members).read_bytes()
    assert len(load_dataset(tmp_path / "x.tar")) == 3
    with tarfile.open(tmp_path / "x.tar") as tar:
        places = {member.name: member.offset_data for member in tar}
    for name, kept, cut in (("c.png", 2, ("x.tar/c.png", None, "truncated: the tar ends within it")),
                            ("b.txt", 1, ("x.tar/b.txt", None, "truncated: the tar ends within it"))):
        (tmp_path / "x.tar").write_bytes(whole[:places[name] + 1])
        data = load_dataset(tmp_path / "x.tar")
        assert [(row.file, row.row, row.reason) for row in data.skipped] == [cut]
        assert [e.id for e in data] == ["a.png", "b.png"][:kept]
    (tmp_path / "x.tar").write_bytes(whole[:places["b.png"] - 300])  # within a header
    assert skipped(tmp_path / "x.tar") == [
        ("x.tar", None, "truncated or damaged: nothing behind the last whole file can be read")]
    middle = places["b.png"] - 400
    (tmp_path / "x.tar").write_bytes(whole[:middle] + b"\xff" * 300 + whole[middle + 300:])
    assert skipped(tmp_path / "x.tar") == [
        ("x.tar", None, "truncated or damaged: nothing behind the last whole file can be read")]


def test_tars_that_are_none(tmp_path):
    for content, reason in ((b"text" * 1000, "not a tar file"), (b"", "not a tar file")):
        (tmp_path / "x.tar").write_bytes(content)
        assert refused(tmp_path / "x.tar") == (f"{tmp_path}/x.tar has no usable row (x.tar: {reason}): give it at "
                                               "least one image with a title or a label")


def test_samples_that_cannot_be_used(tmp_path):
    deep = tarfile.TarInfo("../../l.png")
    deep.type, deep.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.addfile(deep)
        for name, content in (*PAIR, ("b.txt", b"no image"), ("c.png", picture("red")), ("d.png", b"text"),
                              ("d.txt", b"four"), ("e.png", picture("red")), ("e.json", b"{"),
                              ("f.png", picture("red")), ("f.json", b"[1]"), ("g.png", picture("red")),
                              ("g.txt", UNKNOWN), *PAIR, ("h.png", picture("red")),
                              ("h.txt", b" " * (16 * 1024 * 1024 + 1))):
            add_member(tar, name, content)
    data = load_dataset(tmp_path / "x.tar")
    assert [e.id for e in data] == ["a.png"]
    assert [(row.file, row.row, row.reason.partition(" (")[0]) for row in data.skipped] == [
        ("b", 2, "no image"), ("c.png", 3, "no text and no label"), ("d.png", 4, NO_IMAGE),
        ("e.png", 5, "its .json is not JSON"), ("f.png", 6, "its .json is not a JSON object"),
        ("g.png", 7, "its .txt is not UTF-8, and its letters do not tell what it is: save it as UTF-8"),
        ("a.png", 8, "duplicate id"), ("h.png", 9, "its .txt is too large"),
        ("../../l.png", None, "a link in the tar, which is not followed")]


@pytest.mark.parametrize(("pattern", "line"), [
    ("no*.tar", "no file matches {folder}/no*.tar"),
    ("{000..002}.tar", "{folder}/002.tar does not exist, though {folder}/{{000..002}}.tar names it"),
    ("{0..9999999}.tar", "{{0..9999999}} names 10,000,000 files: the limit is 1,000,000"),
    ("{0..9999}{0..9999}.tar", "{folder}/{{0..9999}}{{0..9999}}.tar names 100,000,000 files: the limit is 1,000,000")])
def test_patterns_that_name_nothing(tmp_path, pattern, line):
    folder = formats.write_tars(tmp_path / "tars")
    assert refused(f"{folder}/{pattern}") == line.format(folder=folder)


def test_folders_that_say_too_much(tmp_path):
    formats.write_csv(tmp_path, "one.csv")
    formats.write_csv(tmp_path, "two.csv")
    assert refused(tmp_path) == (f"{tmp_path} has several tables (one.csv, two.csv): give one of them, or call it "
                                 "metadata.csv")
    (tmp_path / "three.tar").write_bytes(b"")
    assert refused(f"{tmp_path}/*[eo].[ct]*") == (f"{tmp_path} gives files of several kinds (csv, tar): name those of "
                                                  "one kind")


NOT_THERE = ("no/such is no file or folder here, and no data set on the Hugging Face Hub that you may read: check the "
             "name, or `hf auth login`")


@pytest.mark.parametrize(("error", "line"), [
    (datasets.exceptions.DatasetNotFoundError("why\nand more"), NOT_THERE),
    (ValueError("why\nand more"), "the data set no/such of the Hugging Face Hub cannot be loaded (why)")])
def test_data_sets_that_the_hub_does_not_give(monkeypatch, error, line):
    def fail(name):
        raise error
    monkeypatch.setattr(hugging_face, "look_at_hub", lambda name: "")
    monkeypatch.setattr(datasets, "load_dataset", fail)
    assert refused("no/such") == line


@pytest.mark.parametrize(("error", "line"), [
    (HfHubHTTPError("404", response=httpx.Response(404, request=httpx.Request("GET", "https://hub"))), NOT_THERE),
    (httpx.ConnectError("no name\nand more"), "no/such is no file or folder here, and the Hugging Face Hub cannot be "
     "reached (no name)")])
def test_a_hub_that_has_no_such_data_set_or_is_not_there(monkeypatch, error, line):
    def fail(api, name, timeout):
        raise error
    monkeypatch.setattr(HfApi, "dataset_info", fail)
    assert refused("no/such") == line


def test_a_saved_data_set_that_is_damaged(tmp_path):
    saved = formats.write_saved(tmp_path / "saved")
    next(saved.glob("*.arrow")).unlink()
    assert refused(saved).startswith(f"{saved} cannot be read as a saved Hugging Face data set (")
