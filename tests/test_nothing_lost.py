"""Inputs as people have them: each row is used as it was meant, or listed with its reason."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats import add_member, picture
from vector_universe import UserError, load_dataset
from vector_universe.data import LoadOptions
from vector_universe.data.doctor import check_data
from vector_universe.data.sources.names import is_clutter, plain_name, visible_name
from vector_universe.data.sources.values import as_labels, as_text, as_texts
from vector_universe.data.splits import split_named, split_of

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "black", "cyan")
RED = picture("red")


def lay(folder: Path, files: dict[str, bytes | str], images: str = "") -> Path:
    """Write files below a folder, and a picture of its own for each name in `images`."""
    for number, name in enumerate(images.split("\n") if "\n" in images else images.split()):
        files = {name: picture(COLOURS[number % len(COLOURS)], "JPEG", 8 + number), **files}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def examples(data):
    return {example.id: (example.texts, example.labels) for example in data}


def texts(data):
    return {example.id: example.texts for example in data}


def skipped(data):
    return [(row.file, row.row, row.reason.partition(":")[0].partition(" (")[0]) for row in data.skipped]


def remarked(data):
    return [(remark.kind, remark.row) for remark in data.remarks]


# Splits


@pytest.mark.parametrize(("name", "split"), [
    ("test", "test"), ("Testing", "test"), ("eval", "test"), ("EVALUATION", "test"), ("test-A", "test"),
    ("testA", "test"), ("test2017", "test"), ("holdout", "test"), ("hold-out", "test"), ("held_out", "test"),
    ("test-dev", "test"), ("dev", "validation"), ("val", "validation"), ("valid", "validation"),
    ("Validation", "validation"), ("val2017", "validation"), ("val_unseen", "validation"), ("train", "train"),
    ("Training", "train"), ("train2017", "train"), (" train ", "train"), ("train-clean-100", "train"),
    ("trainval", None), ("train_val", None), ("trainer", None), ("testament", None), ("value", None),
    ("developer", None), ("gold", None), ("fold1", None), ("", None)])
def test_what_a_split_is_called(name, split):
    assert split_named(name) == split


def test_evaluation_rows_are_never_trained_on(tmp_path):
    names = [f"{number:02}.jpg" for number in range(12)]
    table = "file_name,title,split\n" + "".join(f"{name},t {name},{'eval' if int(name[:2]) > 5 else 'train'}\n"
                                                for name in names)
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, " ".join(names)))
    assert [example.split for example in data] == ["train"] * 6 + ["test"] * 6


def test_a_split_that_is_not_understood_is_reported_by_name_and_count(tmp_path):
    table = "file_name,title,Split\na.jpg,one,train\nb.jpg,two,gold\nc.jpg,three,gold\nd.jpg,four,silver\ne.jpg,five,\n"
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, "a.jpg b.jpg c.jpg d.jpg e.jpg"))
    assert {example.id: example.split for example in data} == {"a.jpg": "train", "e.jpg": split_of("e.jpg")}
    assert [(row.file, row.row) for row in data.skipped] == [("b.jpg", 2), ("c.jpg", 3), ("d.jpg", 4)]
    finding = next(found for found in check_data(data, quiet=True).findings if found.kind == "split_unknown")
    assert finding.severity == "error"
    assert finding.sentence == "3 rows have a split that is not understood: “gold” 2, “silver” 1"


def test_a_table_of_unknown_splits_alone_is_refused(tmp_path):
    lay(tmp_path, {"metadata.csv": "file_name,title,split\na.jpg,one,A\n"}, "a.jpg")
    with pytest.raises(UserError, match="its split “A” is not understood: call it train, validation or test"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("beside", ["annotations/x.txt", "__MACOSX/._a.jpg", "docs/readme.md", ".cache/a.jpg"])
def test_split_folders_stay_splits_beside_a_folder_that_is_none(tmp_path, beside):
    data = load_dataset(lay(tmp_path, {beside: "nothing"}, "train/red/a.jpg train/green/b.jpg test/red/c.jpg"))
    assert {e.id: (e.labels, e.split) for e in data} == {
        "train/red/a.jpg": (["red"], "train"), "train/green/b.jpg": (["green"], "train"),
        "test/red/c.jpg": (["red"], "test")}
    assert data.skipped == ()


def test_a_folder_of_pictures_beside_splits_is_listed(tmp_path):
    data = load_dataset(lay(tmp_path, {}, "train/red/a.jpg val2017/red/b.jpg extra/red/c.jpg"))
    assert {e.id: e.split for e in data} == {"train/red/a.jpg": "train", "val2017/red/b.jpg": "validation"}
    assert [(row.file, row.reason) for row in data.skipped] == [
        ("extra/red/c.jpg", "its folder extra is no split, but folders beside it are train, validation or test")]


def test_a_data_set_in_a_folder_of_its_own(tmp_path):
    data = load_dataset(lay(tmp_path, {}, "cats/train/red/a.jpg cats/test/red/b.jpg"))
    assert {e.id: (e.labels, e.split) for e in data} == {"cats/train/red/a.jpg": (["red"], "train"),
                                                         "cats/test/red/b.jpg": (["red"], "test")}


def test_a_class_that_is_called_like_a_split_stays_a_class(tmp_path):
    data = load_dataset(lay(tmp_path, {}, "train/a.jpg bus/b.jpg car/c.jpg"))
    assert {e.id: e.labels for e in data} == {"train/a.jpg": ["train"], "bus/b.jpg": ["bus"], "car/c.jpg": ["car"]}


def test_splits_that_the_names_of_files_tell(tmp_path):
    table = "file_name,title\n" + "".join(f"{top}/{name}.jpg,{name}\n" for top in ("train", "val2017") for name in "ab")
    data = load_dataset(lay(tmp_path, {"metadata.csv": table},
                            "train/a.jpg train/b.jpg images/val2017/a.jpg images/val2017/b.jpg"))
    assert [e.split for e in data] == ["train", "train", "validation", "validation"]
    assert ("read_as", None) in remarked(data)
    one = load_dataset(lay(tmp_path / "one", {"metadata.csv": "file_name,title\ntrain/a.jpg,x\n"}, "train/a.jpg"))
    assert ([e.split for e in one], one.remarks) == ([split_of("train/a.jpg")], ())


# Damaged tables


def test_rows_with_more_cells_than_the_header_are_listed(tmp_path):
    table = ("file_name,title,labels\na.jpg,Top 7 circles, ranked, 2017,shape\nc.jpg,Cats, dogs and more,animal\n"
             "d.jpg,plain title,shape\nb.jpg,trailing,shape,,\n")
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, "a.jpg b.jpg c.jpg d.jpg"))
    assert examples(data) == {"d.jpg": (["plain title"], ["shape"]), "b.jpg": (["trailing"], ["shape"])}
    assert skipped(data) == [("metadata.csv", 1, "has 5 cells, but the header 3"),
                             ("metadata.csv", 2, "has 4 cells, but the header 3")]
    assert check_data(data, quiet=True).exit_code == 1


@pytest.mark.parametrize(("name", "separator"), [("metadata.tsv", "\t"), ("metadata.csv", ","), ("metadata.csv", ";")])
def test_a_quote_that_is_not_closed_swallows_no_row(tmp_path, name, separator):
    rows = [("file_name", "title"), ("a.jpg", "red circle"), ("c.jpg", '"to be continued'), ("d.jpg", 'a 5" screen'),
            ("e.jpg", '"yellow" circle'), ("f.jpg", '"closed"'), ("g.jpg", '"two\nlines"')]
    table = "".join(separator.join(row) + "\n" for row in rows)
    data = load_dataset(lay(tmp_path, {name: table}, "a.jpg c.jpg d.jpg e.jpg f.jpg g.jpg"))
    assert texts(data) == {"a.jpg": ["red circle"], "c.jpg": ['"to be continued'], "d.jpg": ['a 5" screen'],
                           "e.jpg": ['"yellow" circle'], "f.jpg": ["closed"], "g.jpg": ["two lines"]}
    assert ("row_mended", 2) in remarked(data)
    assert data.skipped == ()


def test_a_quote_that_another_row_would_close_swallows_none(tmp_path):
    table = 'file_name,title,year\na.jpg,"open,1\nb.jpg,blue,2\nc.jpg,close",3\nd.jpg,last,4\n'
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, "a.jpg b.jpg c.jpg d.jpg"))
    assert texts(data) == {"a.jpg": ['"open'], "b.jpg": ["blue"], "c.jpg": ['close"'], "d.jpg": ["last"]}


def test_rows_of_names_without_an_ending_are_not_swallowed(tmp_path):
    table = 'image_id,title\na,"one\nb,two\nc,three"\n'
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, "a.jpg b.jpg c.jpg"))
    assert texts(data) == {"a": ['"one'], "b": ["two"], "c": ['three"']}


def test_texts_of_several_lines_stay_whole(tmp_path):
    table = ('file_name,description,title\na.jpg,"first line\nb.jpg is another picture, see it\nhttps://x.org/b.jpg,1,2\n"'
             ',one\nb.jpg,short,two\n')
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, "a.jpg b.jpg"))
    assert texts(data) == {"a.jpg": ["one"], "b.jpg": ["two"]}
    assert data[0].metadata["description"].startswith("first line b.jpg is another picture")
    assert (data.remarks, data.skipped) == ((), ())


def test_a_row_parted_otherwise_is_listed_and_a_short_one_remarked(tmp_path):
    table = "file_name,title,labels\na.jpg,one,x\nb.jpg;two;y\nc.jpg,three\n"
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, "a.jpg b.jpg c.jpg"))
    assert examples(data) == {"a.jpg": (["one"], ["x"]), "c.jpg": (["three"], [])}
    assert [(row.row, row.reason) for row in data.skipped] == [
        (2, "has 1 cell, but the header 3: it seems to be parted by semicolons")]
    assert remarked(data) == [("row_mended", 3), ("not_read", None)]


def test_pictures_that_no_row_names_are_counted(tmp_path):
    data = load_dataset(lay(tmp_path, {"train.csv": "file_name,title\na.jpg,one\n", "images/x.txt": "text",
                                       "test.csv": "file_name,title\nb.jpg,two\n"},
                            "images/a.jpg images/b.jpg images/c.jpg images/d.png other/e.jpg"))
    assert [(remark.kind, remark.file, remark.what) for remark in data.remarks] == [
        ("not_read", "images", "2 pictures in this folder are named by no row (the first: c.jpg)")]


@pytest.mark.parametrize("table", [
    "sep=;\nfile_name;title\na.jpg;one, two\n", "file_name;title\na.jpg;one, two\n",
    "filepath\ttitle\na.jpg\tone, two\n",
    "\ufeffFile Name,Video Title\na.jpg,\"one, two\"\n", "FILENAME|Title\na.jpg|one, two\n",
    "\n\nfile-name;CAPTION;\na.jpg;one, two;\n", " Image ,  Title \r\na.jpg,\"one, two\"\r\n",
    "image_path,product_title,price\na.jpg,\"one, two\",3\n"])
@pytest.mark.parametrize("name", ["metadata.csv", "list.csv"])
def test_separator_and_header_are_found(tmp_path, table, name):
    data = load_dataset(lay(tmp_path, {name: table}, "a.jpg"))
    assert texts(data) == {"a.jpg": ["one, two"]}


def test_columns_that_are_called_alike_are_all_kept(tmp_path):
    data = load_dataset(lay(tmp_path, {"metadata.csv": "file_name,title,note,note,,\na.jpg,one,x,y,z,\n"}, "a.jpg"))
    assert data[0].metadata == {"note": "x", "note (2)": "y", "": "z"}
    assert "several columns called note" in data.remarks[0].what


@pytest.mark.parametrize(("table", "line"), [
    ("foto,title\na.jpg,one\n", "--image-column"), ("file_name,words\na.jpg,one\n", "--text-columns"),
    ("a.jpg,red circle\nb.jpg,blue circle\n", "no names of columns: its first line is data"),
    ("foto;title\na.jpg;one\n", "has the columns foto, title")])
def test_an_error_names_the_way_out(tmp_path, table, line):
    lay(tmp_path, {"metadata.csv": table}, "a.jpg")
    with pytest.raises(UserError, match=line):
        load_dataset(tmp_path)
    if "foto" in table:
        assert len(load_dataset(tmp_path, LoadOptions(image_column="foto"))) == 1


@pytest.mark.parametrize(("content", "line"), [
    (b"PK\x03\x04rest", "call it .xlsx"), (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
    (b"\x1f\x8b\x08", "gzip -d"), (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull")])
def test_a_table_that_is_something_else_is_called_what_it_is(tmp_path, content, line):
    with pytest.raises(UserError, match=line):
        load_dataset(lay(tmp_path, {"metadata.csv": content}))


@pytest.mark.parametrize("name", ["metadata.csv.gz", "pictures.zip", "pictures.rar", "pictures.7z"])
def test_an_archive_is_to_be_unpacked(tmp_path, name):
    lay(tmp_path, {name: b"PK\x03\x04"})
    for source in (tmp_path, tmp_path / name):
        with pytest.raises(UserError, match="unpack it, and give the folder"):
            load_dataset(source)


def test_a_damaged_parquet_says_how_many_rows_are_lost(tmp_path):
    rows = [{"image": {"bytes": picture("red", side=8 + number % 9), "path": f"{number}.png"}, "title": f"t{number}"}
            for number in range(300)]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=100, compression="none", use_dictionary=False)
    whole = bytearray(path.read_bytes())
    half = whole.find(b"150.png") - 4000
    whole[half:half + 3000] = b"\xff" * 3000
    path.write_bytes(whole)
    data = load_dataset(path)
    lost = [row.reason for row in data.skipped if "the file is damaged after row" in row.reason]
    assert [f"the other {300 - len(data)} rows cannot be read" in reason for reason in lost] == [True]


# Encodings


@pytest.mark.parametrize(("encoding", "title"), [
    ("utf-16", "귀여운 고양이"), ("utf-16-le", "귀여운 고양이"), ("cp949", "귀여운 고양이"), ("euc-kr", "서울의 하루"),
    ("cp932", "かわいい猫"), ("cp1252", "Crème brûlée à la maison"), ("utf-8-sig", "고양이")])
@pytest.mark.parametrize("name", ["metadata.csv", "metadata.tsv", "list.jsonl", "a.txt"])
def test_encodings_are_recognised_and_said(tmp_path, encoding, title, name):
    if name == "a.txt" and encoding == "utf-16-le":
        title += " cat"  # letters of one byte tell it; in a table there are always some
    rows = {"metadata.csv": f"file_name,title\na.jpg,{title}\n", "metadata.tsv": f"file_name\ttitle\na.jpg\t{title}\n",
            "list.jsonl": json.dumps({"file_name": "a.jpg", "title": title}, ensure_ascii=False) + "\n", "a.txt": title}
    data = load_dataset(lay(tmp_path, {name: rows[name].encode(encoding)}, "a.jpg"))
    assert texts(data) == {"a.jpg": [title]}
    assert [remark.kind for remark in data.remarks] == (
        [] if name == "a.txt" or encoding == "utf-8-sig" else ["read_as"])


def test_one_broken_letter_costs_one_letter(tmp_path):
    table = "file_name,title\na.jpg,빨간 원\nc.jpg,고양이\nd.jpg,파란 동그라미\n".encode()
    table = table.replace("이\n".encode(), b"\xec\x9d\n")
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, "a.jpg c.jpg d.jpg"))
    assert texts(data) == {"a.jpg": ["빨간 원"], "c.jpg": ["고양\ufffd"], "d.jpg": ["파란 동그라미"]}
    assert [case.file for found in check_data(data, quiet=True).findings if found.kind == "text_mojibake"
            for case in found.cases] == ["c.jpg"]


# Names

NFD = unicodedata.normalize("NFD", "고양이.jpg")


@pytest.mark.parametrize(("on_disk", "in_table"), [
    ("Shot at 9.41.00\u202fAM.png", "Shot at 9.41.00\u202fAM.png"), ("Shot 9.41\u202fAM.png", "Shot 9.41 AM.png"),
    ("Shot 9.41 AM.png", "Shot 9.41\u00a0AM.png"), (NFD, "고양이.jpg"), ("고양이.jpg", NFD), ("IMG_1.JPG", "IMG_1.jpg"),
    ("img_1.jpg", "IMG_1.JPG"), ("images/02.jpg", "images\\02.jpg"), ("sub/02.jpg", "sub\\02.jpg"),
    ("my cat.jpg", "my%20cat.jpg"), ("a&b.jpg", "a&amp;b.jpg"), ("03.jpg", "03"), ("03", "03.jpg"),
    ("IMG 22.05.jpg", "IMG 22.05"), ("a.jpg", " a.jpg "), ("Sub/A.jpg", "sub/a.JPG"), ("a.jpg", "./a.jpg"),
    ("a.jpg", "a\u200b.jpg"), ("100%.jpg", "100%.jpg"), ("a+b.jpg", "a+b.jpg"), ("a%20b.jpg", "a%20b.jpg")])
@pytest.mark.parametrize("images", ["images/", ""])
def test_a_name_is_found_as_it_stands_or_nearly(tmp_path, on_disk, in_table, images):
    table = io.StringIO()
    csv.writer(table).writerows([("file_name", "title"), (in_table, "one")])
    data = load_dataset(lay(tmp_path, {"metadata.csv": table.getvalue(), images + on_disk: RED}))
    assert [(Path(e.image).relative_to(tmp_path.resolve()).as_posix(), e.texts) for e in data] == [
        (images + on_disk, ["one"])]


def test_a_name_as_it_stands_wins_over_what_is_like_it(tmp_path):
    data = load_dataset(lay(tmp_path, {"metadata.csv": "file_name,title\na.JPG,one\na.jpg,two\n"}, "a.jpg a.JPG"))
    assert {Path(e.image).name: e.texts for e in data} == {"a.JPG": ["one"], "a.jpg": ["two"]}


def test_a_name_that_may_be_two_files_is_refused_with_both(tmp_path):
    data = load_dataset(lay(tmp_path, {"metadata.csv": "file_name,title\nA.JPG,one\nb.jpg,two\n"},
                            "a.jpg a.Jpg b.jpg"))
    assert list(texts(data)) == ["b.jpg"]
    assert [row.reason for row in data.skipped] == [
        "file not found as it is written, and several are like it: a.Jpg and a.jpg"]


def test_a_missing_name_shows_what_cannot_be_seen_and_what_is_near(tmp_path):
    table = "file_name,title\na.jpg,one\nholiday\u202f2019_beach.jpg,two\nnothing like it.jpg,three\n"
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, "images/a.jpg\nimages/holiday 2018_beach.jpg"))
    assert [row.reason for row in data.skipped] == [
        "file not found (holiday\\u202f2019_beach.jpg); the nearest there is holiday 2018_beach.jpg", "file not found"]


@pytest.mark.parametrize("name", ["..\\..\\secret.jpg", "%2e%2e/%2e%2e/secret.jpg", "&#46;&#46;/secret.jpg"])
def test_no_reading_of_a_name_leaves_the_folder(tmp_path, name):
    data = load_dataset(lay(tmp_path / "in" / "side", {"metadata.csv": f"file_name,title\na.jpg,one\n{name},two\n",
                                                       "../secret.jpg": RED, "../../secret.jpg": RED}, "a.jpg"))
    assert list(texts(data)) == ["a.jpg"]
    assert len(data.skipped) == 1


@given(st.text(max_size=30))
def test_plain_names_do_not_see_case_form_or_spaces(name):
    assert plain_name(name) == plain_name(plain_name(name))
    assert plain_name(unicodedata.normalize("NFD", name)) == plain_name(unicodedata.normalize("NFC", name))
    assert plain_name(f" {name}\u00a0") == plain_name(name)
    assert visible_name(name).isprintable() or not name


def test_names_of_systems_and_editors_are_never_data(tmp_path):
    clutter = dict.fromkeys((
        "._list.csv", "~$list.xlsx", ".hidden.csv", "Thumbs.db", ".DS_Store", "desktop.ini", "._x.parquet", "._x.tar",
        "images/._a.jpg", "images/Thumbs.db", "__MACOSX/metadata.csv"), b"\x00\x05\x16\x07")
    data = load_dataset(lay(tmp_path, {"list.csv": "file_name,title\na.jpg,one\n", **clutter}, "images/a.jpg"))
    assert (texts(data), data.skipped, data.remarks) == ({"a.jpg": ["one"]}, (), ())
    assert all(is_clutter(Path(name).name) for name in clutter if "__MACOSX" not in name)
    assert not any(map(is_clutter, ("a.jpg", "..", ".", "~a.jpg", "thumbs", "my.DS_Store.jpg")))


# Texts beside pictures


def test_captions_beside_pictures(tmp_path):
    data = load_dataset(lay(tmp_path, {
        "10_shapes/00.txt": "a red circle\n", "10_shapes/01.caption": "a green circle", "10_shapes/02.json":
        '{"caption": "a blue circle", "tags": ["x"], "labels": ["round"]}', "10_shapes/03.jpg.txt": "a yellow circle",
        "10_shapes/lost.txt": "no picture", "10_shapes/README.txt": "about", "10_shapes/film.mp4": "x"},
        "10_shapes/00.jpg 10_shapes/01.JPG 10_shapes/02.png 10_shapes/03.jpg 10_shapes/04.jfif"))
    assert examples(data) == {
        "10_shapes/00.jpg": (["a red circle"], ["10_shapes"]), "10_shapes/01.JPG": (["a green circle"], ["10_shapes"]),
        "10_shapes/02.png": (["a blue circle"], ["round", "10_shapes"]),
        "10_shapes/03.jpg": (["a yellow circle"], ["10_shapes"]), "10_shapes/04.jfif": ([], ["10_shapes"])}
    assert [(row.file, row.reason) for row in data.skipped] == [
        ("10_shapes/lost.txt", "no image of its name lies beside it")]
    assert [(remark.file, remark.what) for remark in data.remarks] == [(".mp4", "1 file ending in .mp4")]


@pytest.mark.parametrize("place", ["", "images/", "train/"])
def test_captions_in_a_folder_without_classes(tmp_path, place):
    data = load_dataset(lay(tmp_path, {f"{place}a.txt": "one", f"{place}b.txt": "two"},
                            f"{place}a.jpg {place}b.jpg {place}c.jpg"))
    assert examples(data) == {f"{place}a.jpg": (["one"], []), f"{place}b.jpg": (["two"], [])}
    assert [(row.file, row.reason) for row in data.skipped] == [(f"{place}c.jpg", "no text and no label")]


def test_what_img2dataset_writes_as_files(tmp_path):
    files: dict[str, bytes | str] = {}
    for shard in ("00000", "00001"):
        for n in range(2):
            files[f"{shard}/{shard}000{n}.jpg"] = picture(COLOURS[n + 2 * int(shard)], "JPEG")
            files[f"{shard}/{shard}000{n}.txt"] = f"text {n}"
            files[f"{shard}/{shard}000{n}.json"] = json.dumps({"caption": f"text {n}", "status": "success"})
    data = load_dataset(lay(tmp_path, files | {"00000_stats.json": "{}", "00000.parquet.tmp": "x"}))
    assert [(e.texts, e.labels, e.metadata["status"]) for e in data] == [
        (["text 0"], [], "success"), (["text 1"], [], "success")] * 2
    assert data.skipped == ()


def test_pictures_in_formats_that_are_not_read_are_listed(tmp_path):
    heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100)
    data = load_dataset(lay(tmp_path, {"cat/b.HEIC": heic, "cat/c.svg": "<svg/>", "cat/d.cr2": b"II*\x00", "cat/e.jpg":
                                       "<!doctype html><title>404</title>"}, "cat/a.jpg dog/z.jpg"))
    assert sorted(texts(data)) == ["cat/a.jpg", "dog/z.jpg"]
    assert {row.file: row.reason.split(";")[0] for row in data.skipped} == {
        "cat/b.HEIC": "not an image that is read yet: HEIC", "cat/c.svg": "not an image that is read: .svg",
        "cat/d.cr2": "not an image that is read: .cr2", "cat/e.jpg": "not an image: a web page (HTML)"}


def test_tables_in_folders_below(tmp_path):
    data = load_dataset(lay(tmp_path, {
        "2023/metadata.csv": "file_name,title\na.jpg,one\n",
        "2024/metadata.csv": "file_name;title\na.jpg;two\nb.jpg;x\n",
        "2024/deep/metadata.csv": "file_name,title\nc.jpg,three\n"}, "2023/a.jpg 2024/images/a.jpg 2025/z.jpg"))
    assert texts(data) == {"2023/a.jpg": ["one"], "2024/a.jpg": ["two"]}
    assert [(row.file, row.row) for row in data.skipped] == [("b.jpg", 3)]
    assert ("not_read", "2025") in [(remark.kind, remark.file) for remark in data.remarks]


def test_tables_in_folders_by_split(tmp_path):
    data = load_dataset(lay(tmp_path, {"x/train/metadata.csv": "file_name,title\na.jpg,one\n",
                                       "x/test/metadata.csv": "file_name,title\na.jpg,two\n"},
                            "x/train/a.jpg x/test/a.jpg"))
    assert {e.id: (e.texts, e.split) for e in data} == {"x/test/a.jpg": (["two"], "test"),
                                                        "x/train/a.jpg": (["one"], "train")}


# Tar shards


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as file:
        for name, content in members.items():
            add_member(file, name, content)
    return path


def test_keys_with_dots_and_spaces(tmp_path):
    members = {"a.jpg": RED, "a.txt": b"zero", "IMG 22.05.jpg": picture("blue"), "IMG 22.05.txt": b"one",
               "IMG 22.07.jpg": picture("green"), "IMG 22.07.txt": b"two", "v1.2.0/b.c.jpg": RED, "v1.2.0/b.c.json":
               b'{"caption": "three"}', "0001.left.jpg": RED, "0001.right.jpg": picture("cyan"), "0001.txt": b"four",
               "d.png": RED, "d.seg.png": RED, "d.txt": b"five", "e.jpg": RED, "e.jpg2": b"", "f.npy": b"x",
               "__MACOSX/._a.jpg": b"", "g.txt": b"alone", "h.v2.txt": b"alone too"}
    data = load_dataset(tar(tmp_path / "00000.tar", members))
    assert texts(data) == {
        "a.jpg": ["zero"], "IMG 22.05.jpg": ["one"], "IMG 22.07.jpg": ["two"], "v1.2.0/b.c.jpg": ["three"],
        "0001.left.jpg": ["four"], "0001.right.jpg": ["four"], "d.png": ["five"]}
    assert [(row.file, row.reason) for row in data.skipped] == [("e.jpg", "no text and no label"), ("g", "no image")]
    assert {remark.file for remark in data.remarks} == {".seg.png", ".jpg2", ".npy", ".v2.txt"}


def test_a_member_that_stands_twice_is_listed(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as file:
        for name, content in (("a.jpg", RED), ("a.txt", b"one"), ("a.jpg", picture("blue")), ("b.jpg", RED),
                              ("b.txt", b"two")):
            add_member(file, name, content)
    data = load_dataset(tmp_path / "x.tar")
    assert texts(data) == {"a.jpg": ["one"], "b.jpg": ["two"]}
    assert [row.reason for row in data.skipped] == ["its name stands in the tar twice: the first one is read"]


# Values


@pytest.mark.parametrize(("cell", "labels"), [
    ('["red", "flat shape"]', ["red", "flat shape"]), ("['green', 'flat shape']", ["green", "flat shape"]),
    ("('a', 'b')", ["a", "b"]), ("['a' 'b c']", ["a", "b c"]), ("{'b', 'a'}", ["a", "b"]), ("[]", []),
    ("[1, 2]", ["1", "2"]),
    ('["Pets &amp; Animals"]', ["Pets & Animals"]), ("Pets &amp; Animals", ["Pets & Animals"]),
    ("Pets &amp; Animals; Music", ["Pets & Animals", "Music"]), ("AT&T, R&B", ["AT&T", "R&B"]),
    ("[odd, cell", ["[odd", "cell"]), ('[{"id": 1, "name": "cat"}]', ["cat"]), ('[{"id": 1}]', ['[{"id": 1}]']),
    ("cafe\u0301", ["caf\u00e9"]), ("  a \u00a0 b ,\tc ", ["a b", "c"]), ("red\x1b[31m|x\x00y", ["red[31m", "xy"]),
    ("&amp;amp;", ["&amp"]), ("[" * 50_000 + "]" * 50_000, ["[" * 50_000 + "]" * 50_000])])
def test_labels_of_a_cell(cell, labels):
    assert as_labels(cell) == labels


@pytest.mark.parametrize(("cell", "found"), [
    ('["one", "two"]', ["one", "two"]), ("['it''s one']", ["its one"]),
    ("[Official Video] Song", ["[Official Video] Song"]),
    ("[2017]", ["[2017]"]), ("Tom &amp; Jerry &#39;live&#39;", ["Tom & Jerry 'live'"]), ("&lt;b&gt;", ["<b>"]),
    ("a=1&copy=2", ["a=1&copy=2"]), ("red \x1b[2J\x1b]0;owned\x07 circle", ["red [2J]0;owned circle"]),
    ("a\u202eb\u2066c", ["abc"]), ("👩‍👩‍👧 ❤️", ["👩‍👩‍👧 ❤️"]), ("שלום\u200f!", ["שלום\u200f!"]), ("(live)", ["(live)"])])
def test_texts_of_a_cell(cell, found):
    assert as_texts(cell) == found


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=4))
def test_a_list_reads_alike_however_it_is_written(values):
    cleaned = [text for value in values for text in [as_text(value)] if text]
    if not any(cell[:1] in "([{" for cell in cleaned):
        assert as_texts(json.dumps(values)) == as_texts(json.dumps(values, ensure_ascii=False)) == cleaned
        assert as_texts(repr(values)) == cleaned


@given(st.text())
def test_no_text_acts_on_a_terminal(value):
    found = as_text(value)
    assert not any(letter < " " or "\x7f" <= letter < "\xa0" or "\u202a" <= letter <= "\u202e" for letter in found)
    assert found == unicodedata.normalize("NFC", found)


# Contradictions


def test_rows_of_one_picture_that_contradict_each_other(tmp_path):
    table = ("file_name,title,labels,split,views\na.jpg,one,clickbait,train,5\nb.jpg,x,y,train,1\n"
             "a.jpg,two,honest,test,7\na.jpg,one,clickbait,,\n")
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, "a.jpg b.jpg"))
    assert [(e.id, e.texts, e.labels, e.split, e.metadata) for e in data] == [
        ("a.jpg", ["one", "two"], ["clickbait", "honest"], "test", {"views": "5"}),
        ("b.jpg", ["x"], ["y"], "train", {"views": "1"})]
    assert {(remark.kind, remark.file, remark.row) for remark in data.remarks} == {
        ("rows_disagree", "a.jpg", 3), ("values_differ", "a.jpg", 3)}
    report = check_data(data, quiet=True)
    assert report.exit_code == 1
    assert "labels honest here, clickbait in row 1: it has all of them" in [
        case.detail for found in report.findings for case in found.cases]


def test_a_row_for_each_label_is_no_contradiction(tmp_path):
    names = [f"{number}.jpg" for number in range(12)]
    table = "file_name,label\n" + "".join(f"{name},{label}\n" for name in names for label in ("a", "b"))
    data = load_dataset(lay(tmp_path, {"metadata.csv": table}, " ".join(names)))
    assert {tuple(e.labels) for e in data} == {("a", "b")}
    assert [remark.what for remark in data.remarks] == ["12 pictures have a row for each of their labels"]


# The sum


NAMES = [f"{number}.jpg" for number in range(6)]


@pytest.fixture(scope="module")
def six(tmp_path_factory):
    return lay(tmp_path_factory.mktemp("six"), {}, " ".join(f"images/{name}" for name in NAMES))


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12), min_size=6, max_size=6),
       st.sampled_from([",", "\t", ";"]))
def test_every_row_of_a_sound_table_is_used_or_listed(six, titles, separator):
    with (six / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter=separator)
        table.writerow(["file_name", "title", "year"])
        table.writerows(zip(NAMES, titles, range(6), strict=True))
    data = load_dataset_or_nothing(six)
    assert len(data) + len(data.skipped) == 6
    assert {e.id: e.texts for e in data} == {name: as_texts(title) for name, title in zip(NAMES, titles, strict=True)
                                             if as_texts(title)}


@settings(max_examples=100)
@given(st.lists(st.text("ab \"'“x1", max_size=6), min_size=6, max_size=6), st.sampled_from([",", "\t", ";"]),
       st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12), st.sampled_from(['"', ",", ";", "\t", '""', "'"])),
                max_size=4))
def test_every_row_of_a_damaged_table_is_used_or_listed(six, titles, separator, damage):
    """No quote or separator, wherever it is put behind a file's name, makes another row disappear."""
    rests = [separator.join((title, "2017")) for title in titles]
    for row, place, sign in damage:
        rests[row] = rests[row][:place] + sign + rests[row][place:]
    body = "".join(f"{name}{separator}{rest}\n" for name, rest in zip(NAMES, rests, strict=True))
    (six / "metadata.csv").write_text(separator.join(("file_name", "title", "year")) + "\n" + body)
    data = load_dataset_or_nothing(six)
    assert len(data) + len(data.skipped) == 6, body


class Nothing(list):
    """In place of a data set that was refused as a whole, by the line that says why."""

    skipped = range(6)


def load_dataset_or_nothing(folder):
    try:
        return load_dataset(folder)
    except UserError:
        return Nothing()
