"""`vu data import`: whatever the source, what is read back is the same to the byte; a kill costs one shard."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import formats
from tests.formats import loaded, picture
from tests.test_sources import EXPECTED, WRITERS
from vector_universe import UserError, load_dataset
from vector_universe.cli import main
from vector_universe.data import Example, FileSlice, LoadOptions, importing, stream_examples
from vector_universe.data.importing import import_data
from vector_universe.data.sources import Source

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data"
USUAL = LoadOptions()
FORMATS = ("parquet", "webdataset")


@pytest.fixture(params=FORMATS)
def format(request):
    return request.param


@pytest.mark.parametrize("source", WRITERS)
def test_every_source_comes_back_the_same(source, format, tmp_path):
    imported = import_data(WRITERS[source](tmp_path / "data"), tmp_path / "out", USUAL, format=format)
    assert (imported.examples, imported.shards, imported.skipped) == (4, 1, 0)
    data = load_dataset(tmp_path / "out")
    assert loaded(data) == EXPECTED
    assert loaded(stream_examples(tmp_path / "out")) == EXPECTED
    shard, = (tmp_path / "out").glob("shard-*")
    assert loaded(load_dataset(shard)) == EXPECTED  # by itself as well


texts = st.lists(st.text(max_size=8), max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2**60, 2**60) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5)
examples = st.builds(
    Example, st.text(max_size=12), st.sampled_from([picture("red"), picture("green", "JPEG"), picture("blue", "WEBP")]),
    texts, st.lists(st.text(max_size=4), max_size=40), st.sampled_from(["train", "validation", "test"]), texts,
    st.text(max_size=8), st.dictionaries(st.text(max_size=5), json_values, max_size=3))


@settings(max_examples=60)
@given(st.lists(examples, min_size=1, max_size=6, unique_by=lambda example: example.id))
def test_any_examples_come_back_the_same(tmp_path_factory, given):
    for format in FORMATS:
        folder = tmp_path_factory.mktemp("any") / "out"
        write(given, folder, format)
        assert loaded(stream_examples(folder)) == given
        assert loaded(load_dataset(folder)) == given


def write(examples, out, format="parquet", **settings):
    """Import examples that come from no file."""
    source = Source("some", "somewhere", lambda report: iter(examples), attribution="by somebody")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing, "open_source", lambda given, options: source)
        return import_data("somewhere", out, USUAL, format=format, **settings)


@pytest.mark.parametrize("name", ["youtube-thumbnails-150", "movie-posters-3000", "flickr8k-700"])
def test_real_folders_come_back_the_same(name, format, tmp_path):
    if not (REAL / name).is_dir():
        pytest.skip("the real data is not here")
    before = load_dataset(REAL / name)
    imported = import_data(REAL / name, tmp_path / "out", USUAL, format=format, shard_mb=10)
    after = load_dataset(tmp_path / "out")
    counts = {"youtube-thumbnails-150": (150, 150, 90), "movie-posters-3000": (3000, 3000, 7),
              "flickr8k-700": (700, 3500, 0)}[name]
    for data in (before, after):
        assert (len(data), sum(map(len, data.table["texts"])),
                len({label for labels in data.table["labels"] for label in labels})) == counts
    assert imported.shards > 1 or imported.bytes < 11_000_000
    assert after.fingerprint == before.fingerprint
    assert (after.name, after.attribution) == (before.name, before.attribution)


def test_shards_are_read_in_place_or_by_others(tmp_path):
    import datasets
    source = formats.write_csv(tmp_path / "data")
    import_data(source, tmp_path / "tars", USUAL, format="webdataset")
    assert all(isinstance(example.image, FileSlice) for example in load_dataset(tmp_path / "tars"))
    import_data(source, tmp_path / "parquet", USUAL)
    table = datasets.Dataset.from_parquet(str(tmp_path / "parquet" / "shard-00000.parquet"), cache_dir=str(tmp_path))
    assert [image.size for image in table["image"]] == [(8, 8)] * 4
    assert table["texts"][:] == [example.texts for example in EXPECTED]


def test_skipped_rows_are_listed(tmp_path, format):
    source = formats.write_csv(tmp_path / "data")
    (source / "images" / "b.jpg").write_bytes(b"")
    imported = import_data(source, tmp_path / "out", USUAL, format=format)
    assert (imported.examples, imported.skipped) == (3, 1)
    with (tmp_path / "out" / "skipped.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["file", "row", "reason"], ["b.jpg", "2", "empty file (0 bytes)"]]
    assert "1 rows were skipped, see " in imported.summary()


def many(count=40):
    return [Example(str(number), picture("red", side=200 + number), [f"text {number}" * 9000], [])
            for number in range(count)]


@pytest.mark.parametrize("cut", [0, 7, 23, 39])
def test_an_import_that_stops_goes_on(tmp_path, format, cut):
    """At any example: the result is that of an import without a stop, and whole shards are not written again."""
    write(many(), tmp_path / "whole", format, shard_mb=1)

    def stopping():
        for number, example in enumerate(many()):
            if number == cut:
                raise KeyboardInterrupt
            yield example
    with pytest.raises(KeyboardInterrupt):
        write(stopping(), tmp_path / "out", format, shard_mb=1)
    with pytest.raises(UserError, match="is an import that was not finished: run the same vu data import again"):
        load_dataset(tmp_path / "out")
    written = {path.name: path.stat().st_mtime_ns for path in shards(tmp_path / "out")}
    assert bool(written) == (cut > 20)
    write(many(), tmp_path / "out", format, shard_mb=1)
    assert {path.name: path.stat().st_mtime_ns for path in shards(tmp_path / "out") if path.name in written} == written
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def shards(folder):
    return [path for path in folder.glob("shard-*") if path.suffix != ".partial"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("change", ["first", "fewer"])
def test_an_import_of_data_that_changed_meanwhile_begins_anew(tmp_path, format, change):
    def stopping():
        yield from many(30)
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        write(stopping(), tmp_path / "out", format, shard_mb=1)
    now = many(45)[3:] if change == "first" else many(5)
    write(now, tmp_path / "out", format, shard_mb=1)
    assert loaded(load_dataset(tmp_path / "out")) == now


def test_a_kill_in_the_midst(tmp_path):
    """By `kill -9`, twice, at the command line."""
    (tmp_path / "images").mkdir()
    for number in range(60):
        (tmp_path / "images" / f"{number}.png").write_bytes(picture("red", side=100 + number))
    with (tmp_path / "metadata.csv").open("w") as file:
        file.write("image,title\n")
        file.writelines(f"{number}.png,{'text ' * 20_000}{number}\n" for number in range(60))
    command = [sys.executable, "-c", SLOW, "data", "import", str(tmp_path), "--out", str(tmp_path / "out"),
               "--shard-mb", "1"]
    for wanted in (1, 2):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT / "src")})
        deadline = time.monotonic() + 60
        while len(shards(tmp_path / "out")) < wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stderr.close()
    main([*command[3:]])
    assert loaded(load_dataset(tmp_path / "out")) == loaded(load_dataset(tmp_path))
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["vector_universe.json", "index.json", "skipped.csv", *(shard["file"] for shard in index["shards"])])


SLOW = """
import time
from vector_universe.cli import main
from vector_universe.data import importing
read = importing.encoded_bytes
importing.encoded_bytes = lambda image: time.sleep(0.01) or read(image)
main()
"""


def test_the_same_import_again_does_nothing_and_another_is_refused(tmp_path, format, capsys):
    source = formats.write_csv(tmp_path / "data")
    command = ["data", "import", str(source), "--out", str(tmp_path / "out"), "--format", format]
    main(command)
    assert "4 examples in 1 shards" in capsys.readouterr().err
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    main(command)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*command, "--text-columns", "artist"])
    assert capsys.readouterr().err == (
        f"vu: {tmp_path}/out holds another import (of {source}): give --out another folder\n")


def test_folders_and_settings_that_are_refused(tmp_path):
    source = formats.write_csv(tmp_path / "data")
    for call, line in (
            (lambda: import_data(source, source, USUAL), "holds something else than a data: give --out"),
            (lambda: import_data(source, tmp_path / "o", USUAL, format="zip"), "there is no format 'zip': choose"),
            (lambda: import_data(source, tmp_path / "o", USUAL, shard_mb=0), "shard_mb is 0: it must be at least 1"),
            (lambda: import_data(source, tmp_path / "o", LoadOptions(group="artist")), "give --group")):
        with pytest.raises(UserError, match=line):
            call()
    assert not (tmp_path / "o").exists()


def test_an_import_with_a_shard_missing_or_changed(tmp_path, format):
    import_data(formats.write_csv(tmp_path / "data"), tmp_path / "out", USUAL, format=format)
    shard, = shards(tmp_path / "out")
    with shard.open("ab") as file:
        file.write(b"more")
    line = f"{shard} is missing or changed since it was imported: import the data again"
    for _ in range(2):
        with pytest.raises(UserError) as error:
            load_dataset(tmp_path / "out")
        assert str(error.value) == line
        shard.unlink(missing_ok=True)
