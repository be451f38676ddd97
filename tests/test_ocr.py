"""Text read off pictures: the cache, the threshold, the order of reading, what fails, and the real engine."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import random
import signal
import subprocess
import sys
import time

import lancedb
import pytest
from PIL import Image, ImageDraw, ImageFont

from vector_universe import Universe, UserError, load_dataset
from vector_universe.cli import main
from vector_universe.data import Example, ImageTextDataset, read_ocr
from vector_universe.data.duplicates import image_digest
from vector_universe.data.ocr import OcrError, joined
from vector_universe.data.ocr_cache import OcrCache, OcrLine
from vector_universe.data.ocr_engine import RapidOcr, rapid_ocr_name


class FakeEngine:
    """Reads the colour of the first pixel; fails on blue."""

    def __init__(self, name="fake 1"):
        self.name = name
        self.read_pictures = 0

    def read(self, picture):
        self.read_pictures += 1
        assert picture.mode == "RGB"
        red, green, blue = picture.getpixel((0, 0))
        if blue:
            raise OcrError("it hates blue")
        return [OcrLine(f"red {red}", 0.95, 0, 0, 9, 9), OcrLine(f"green {green}", 0.5, 20, 0, 29, 9)]


def png(colour, size=(16, 16)):
    encoded = io.BytesIO()
    Image.new("RGB", size, colour).save(encoded, "PNG")
    return encoded.getvalue()


def dataset(*images):
    return ImageTextDataset.from_examples(
        [Example(f"{number}.png", image, ["a title"], ["x"], metadata={"year": "1"})
         for number, image in enumerate(images)], name="some", source="some")


def texts(data):
    return [example.ocr for example in data]


def test_the_text_is_kept_apart_and_the_rest_stays(tmp_path):
    data = dataset(png((200, 0, 0)), png((100, 50, 0)))
    done = []
    read = read_ocr(data, tmp_path / "ocr.jsonl", done.append, engine=FakeEngine())
    assert texts(read) == ["red 200", "red 100"]
    assert [(e.id, e.image, e.texts, e.labels, e.metadata) for e in read] == \
        [(e.id, e.image, e.texts, e.labels, e.metadata) for e in data]
    assert texts(data) == ["", ""]
    assert done == [1, 1]
    assert (read.name, read.source) == (data.name, data.source)


def test_the_fingerprint_tells_data_with_text_from_data_without(tmp_path):
    data = dataset(png((200, 0, 0)))
    assert read_ocr(data, tmp_path / "c", engine=FakeEngine()).fingerprint != data.fingerprint
    assert read_ocr(data, tmp_path / "c", engine=FakeEngine(), min_score=1).fingerprint == data.fingerprint


def test_a_part_of_a_data_set_can_be_read(tmp_path):
    data = dataset(*(png((red, 0, 0)) for red in (1, 2, 3)))
    assert texts(read_ocr(data.select([2, 0]), tmp_path / "c", engine=FakeEngine())) == ["red 3", "red 1"]


def test_a_picture_is_read_once_whatever_its_name_and_the_threshold(tmp_path):
    engine, cache = FakeEngine(), tmp_path / "deep" / "ocr.jsonl"
    path = tmp_path / "copy.png"
    path.write_bytes(png((200, 0, 0)))
    assert texts(read_ocr(dataset(png((200, 0, 0)), str(path)), cache, engine=engine)) == ["red 200"] * 2
    assert texts(read_ocr(dataset(str(path)), cache, engine=engine, min_score=0.5)) == ["red 200 green 0"]
    assert texts(read_ocr(dataset(str(path)), cache, engine=engine, min_score=0.96)) == [""]
    assert engine.read_pictures == 1


def test_another_engine_or_version_reads_again(tmp_path):
    cache = tmp_path / "ocr.jsonl"
    for name in ("fake 1", "fake 2"):
        engine = FakeEngine(name)
        read_ocr(dataset(png((1, 2, 0))), cache, engine=engine)
        assert engine.read_pictures == 1
    assert len(cache.read_text().splitlines()) == 2


def test_a_broken_picture_has_no_text_and_stops_nothing(tmp_path):
    data = dataset(b"", b"no picture", png((5, 0, 0))[:40], str(tmp_path / "gone.png"), png((7, 0, 0)))
    engine = FakeEngine()
    assert texts(read_ocr(data, tmp_path / "c", engine=engine)) == ["", "", "", "", "red 7"]
    assert engine.read_pictures == 1


def test_a_picture_on_which_the_engine_fails_is_warned_of_and_tried_again(tmp_path):
    data, engine = dataset(png((0, 0, 9)), png((7, 0, 0))), FakeEngine()
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"1 pictures .* first 0.png \(it hates blue\)"):
            assert texts(read_ocr(data, tmp_path / "c", engine=engine)) == ["", "red 7"]
    assert engine.read_pictures == 3


def test_huge_pictures_reach_the_engine_at_a_bounded_size(tmp_path):
    class Measuring(FakeEngine):
        def read(self, picture):
            assert max(picture.size) <= 2048
            return super().read(picture)

    assert texts(read_ocr(dataset(png((3, 0, 0), (5000, 100))), tmp_path / "c", engine=Measuring())) == ["red 3"]


def line(text, left, top, height=10):
    return OcrLine(text, 1.0, left, top, left + 40, top + height)


@pytest.mark.parametrize("seed", range(5))
def test_lines_are_read_from_top_to_bottom_and_left_to_right(seed):
    lines = [line("one", 0, 0), line("two", 50, 3), line("three", 100, -3), line("four", 10, 14), line(" five  x ", 60,
             12, 14), line("six", 0, 40)]
    random.Random(seed).shuffle(lines)
    assert joined(lines) == "one two three four five x six"


def test_a_small_line_beside_a_large_one_is_in_its_row():
    assert joined([line("PRO", 100, 0, 60), line("sub", 160, 40, 8), line("under", 0, 70, 8)]) == "PRO sub under"
    assert joined([]) == ""


def test_half_lines_in_the_cache_cost_one_picture_each(tmp_path):
    path = tmp_path / "ocr.jsonl"
    with OcrCache(path) as cache:
        cache.put("a", "e", [OcrLine("é", 0.5, 1, 2, 3, 4)])
        cache.put("b", "e", [])
    whole = path.read_bytes()
    path.write_bytes(b"\xff\xfe\n[1]\nnull\n{}\n" + whole[:-5])
    with OcrCache(path) as cache:
        assert cache.get("a", "e") == [OcrLine("é", 0.5, 1, 2, 3, 4)]
        assert cache.get("b", "e") is None
        cache.put("b", "e", [])
    with OcrCache(path) as cache:
        assert cache.get("b", "e") == []
        assert cache.get("a", "other") is None
    assert json.loads(path.read_text(errors="replace").splitlines()[-1])["picture"] == "b"


def test_a_kill_loses_nothing_that_was_read(tmp_path):
    path = tmp_path / "ocr.jsonl"
    code = ("import sys, itertools; from vector_universe.data.ocr_cache import OcrCache, OcrLine\n"
            "cache = OcrCache(sys.argv[1])\n"
            "for n in itertools.count():\n"
            "    cache.put(str(n), 'e', [OcrLine('x' * 200, 1, 2, 3, 4, 5)] * 20); print(n, flush=True)\n")
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline()
        time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
        said = [int(number) for number in child.communicate()[0].splitlines() if number]
        with OcrCache(path) as cache:
            for number in said[:-1]:
                assert len(cache.get(str(number), "e")) == 20


def test_the_cache_lies_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    read_ocr(dataset(png((1, 0, 0))), engine=FakeEngine())
    assert (tmp_path / "vector-universe" / "ocr.jsonl").is_file()


def test_a_cache_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"OCR cache .* cannot be used .*: name another file"):
        OcrCache(tmp_path)


def test_a_threshold_outside_its_range_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"min_score is 1\.5"):
        read_ocr(dataset(png((1, 0, 0))), tmp_path / "c", engine=FakeEngine(), min_score=1.5)


def test_not_one_text_an_example_is_refused():
    with pytest.raises(ValueError, match="ocr has 2 entries, but the data set holds 1"):
        dataset(png((1, 0, 0))).with_ocr(["a", "b"])


def test_without_the_extra_the_way_out_is_named(tmp_path, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("vector_universe.data.ocr_engine.version", missing)
    with pytest.raises(UserError, match=r"pip install 'vector-universe\[ocr\]'"):
        read_ocr(dataset(png((1, 0, 0))), tmp_path / "c")


def test_a_universe_keeps_the_text_with_its_items(small_folder, small_model, tmp_path):
    data = load_dataset(small_folder)
    Universe.build(small_model, data.with_ocr([f"sign {e.id}" for e in data]), tmp_path / "u")
    rows = lancedb.connect(tmp_path / "u" / "g0001").open_table("items").search().select(["id", "ocr"]).to_list()
    assert len(rows) == 60
    assert all(row["ocr"] == f"sign {row['id']}" for row in rows)


def test_the_verb_without_the_extra_ends_with_one_line(small_folder, small_run, tmp_path, monkeypatch, capsys):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("vector_universe.data.ocr_engine.version", missing)
    with pytest.raises(SystemExit) as left:
        main(["index", str(small_run), "--data", str(small_folder), "--out", str(tmp_path / "u"), "--ocr"])
    assert left.value.code == 2
    assert "pip install 'vector-universe[ocr]'" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "u").exists()


def test_digests_are_of_the_encoded_bytes(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"abc")
    assert image_digest(b"abc") == image_digest(path) == image_digest(str(path))
    assert image_digest(b"abd") != image_digest(path)


def test_the_real_engine_reads_large_letters(tmp_path):
    pytest.importorskip("rapidocr", reason="the extra 'ocr' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'ocr' is not installed")
    picture = Image.new("RGB", (640, 360), (30, 60, 160))
    draw = ImageDraw.Draw(picture)
    for text, place in (("SECURITY", (40, 40)), ("RISKS", (40, 140)), ("top 7", (400, 250))):
        draw.text(place, text, "white", font=ImageFont.load_default(64))
    picture.save(tmp_path / "a.png")
    data = dataset(str(tmp_path / "a.png"), png("white", (1, 1)), png("white", (300, 3)))
    assert texts(read_ocr(data, tmp_path / "c")) == ["SECURITY RISKS top 7", "", ""]
    assert f"rapidocr {importlib.metadata.version('rapidocr')}" in rapid_ocr_name()


def test_whatever_the_real_engine_raises_is_one_error(tmp_path, monkeypatch):
    pytest.importorskip("rapidocr", reason="the extra 'ocr' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'ocr' is not installed")

    def crash(picture):
        raise IndexError("no such box")

    engine = RapidOcr()
    monkeypatch.setattr(engine, "_engine", crash)
    with pytest.raises(OcrError, match="IndexError: no such box"):
        engine.read(Image.new("RGB", (8, 8)))
