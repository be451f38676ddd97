"""The command line: every mistake ends with one line and code 2; a messy folder goes all the way."""

from __future__ import annotations

import csv
import json
import socket

import numpy as np
import pytest
from PIL import Image
from transformers.utils import logging

from tests.pictures import shape, write_shapes, write_table
from vector_universe import DualEncoder
from vector_universe.cli import main
from vector_universe.models import DualEncoderConfig


@pytest.fixture(autouse=True)
def _no_library_bars():
    """`vu` asks for this through the environment, too late where another test has loaded the library already."""
    logging.disable_progress_bar()
    yield
    logging.enable_progress_bar()


@pytest.fixture
def refused(capsys):
    """Call `vu` with arguments that must fail; returns the line that it prints."""
    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        lines = capsys.readouterr().err.splitlines()
        assert left.value.code == 2
        assert len(lines) == 1, lines
        assert lines[0].startswith("vu: ")
        return lines[0]
    return call


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def bad_folder(path, kind):
    path.mkdir()
    if kind == "empty":
        return path
    (path / "images").mkdir()
    shape("red", "bar", "small").save(path / "images" / "a.png")
    table = {"no table": None, "empty table": "", "wrong columns": "scan,words\na.png,red bar\n",
             "images missing": "file_name,title\nx.png,one\ny.png,two\n",
             "one picture": "file_name,title,split\na.png,one,train\n"}[kind]
    if table is not None:
        (path / "metadata.csv").write_text(table)
    return path


@pytest.mark.parametrize(("kind", "words"), [
    ("empty", "is empty"), ("no table", "has no metadata.csv"), ("empty table", "metadata.csv is empty"),
    ("wrong columns", "has the columns scan, words"), ("images missing", "x.png: file not found"),
    ("one picture", "at least 2")])
def test_train_on_a_bad_folder(refused, tmp_path, kind, words):
    line = refused("train", "--data", bad_folder(tmp_path / "data", kind), "--out", tmp_path / "run")
    assert words in line
    assert str(tmp_path / "data") in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["empty", "images missing"])
def test_evaluate_and_index_on_a_bad_folder(refused, small_run, tmp_path, kind):
    data = bad_folder(tmp_path / "data", kind)
    assert str(data) in refused("evaluate", small_run, "--data", data)
    assert str(data) in refused("index", small_run, "--data", data, "--out", tmp_path / "universe")
    assert not (tmp_path / "universe").exists()


def test_nothing_at_the_path(refused, tmp_path):
    assert "is not a folder" in refused("train", "--data", tmp_path / "none", "--out", tmp_path / "run")


@pytest.fixture
def taken(tmp_path):
    """A folder with somebody's notes."""
    (tmp_path / "mine" / "deep").mkdir(parents=True)
    (tmp_path / "mine" / "notes.txt").write_text("do not lose me")
    (tmp_path / "mine" / "deep" / "more.txt").write_text("nor me")
    return tmp_path / "mine"


@pytest.mark.parametrize("verb", ["train", "index", "index --overwrite", "demo"])
def test_a_folder_that_holds_something_else_is_left_alone(refused, small_folder, small_run, taken, verb):
    before = content(taken)
    arguments = {"train": ["train", "--data", small_folder, "--out", taken],
                 "index": ["index", small_run, "--data", small_folder, "--out", taken],
                 "index --overwrite": ["index", small_run, "--data", small_folder, "--out", taken, "--overwrite"],
                 "demo": ["demo", "--out", taken, "--no-serve"]}[verb]
    line = refused(*arguments)
    assert str(taken) in line
    assert "holds something else" in line
    assert content(taken) == before


@pytest.mark.parametrize("verb", ["train", "index", "demo"])
def test_a_file_in_the_place_of_the_folder(refused, small_folder, small_run, tmp_path, verb):
    file = tmp_path / "file"
    file.write_text("do not lose me")
    first = {"train": ["train", "--data", small_folder], "index": ["index", small_run, "--data", small_folder],
             "demo": ["demo", "--no-serve"]}[verb]
    assert "is a file" in refused(*first, "--out", file)
    assert file.read_text() == "do not lose me"


def test_a_run_is_no_place_for_a_universe_nor_the_other_way(refused, small_folder, small_run, universe_path):
    before = content(small_run), content(universe_path)
    assert "is a run, not a universe" in refused("index", small_run, "--data", small_folder, "--out", small_run)
    assert "is a universe, not a run" in refused("train", "--data", small_folder, "--out", universe_path)
    assert (content(small_run), content(universe_path)) == before


def test_evaluate_what_is_no_run(refused, small_folder, taken, tmp_path):
    for path in (taken, tmp_path / "none"):
        assert f"{path} holds no trained model" in refused("evaluate", path, "--data", small_folder)


def test_search_what_is_no_universe(refused, small_run, taken, tmp_path):
    assert "is not a universe" in refused("search", taken, "red")
    assert "is not a universe but a run" in refused("search", small_run, "red")
    assert "does not exist" in refused("search", tmp_path / "none", "red")


def test_search_for_nothing(refused, universe_path):
    assert "give a text, an image, an item, or a filter" in refused("search", universe_path)
    assert "give a text, an image, an item, or a filter" in refused("search", universe_path, "  ")


@pytest.mark.parametrize("k", ["0", "-3"])
def test_search_for_no_match(refused, universe_path, k):
    assert f"k is {k}" in refused("search", universe_path, "red", "-k", k)


def test_search_by_a_bad_image(refused, universe_path, tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "zero.png").write_bytes(b"")
    for name, reason in (("none.png", "file not found"), ("text.png", "not an image"), ("zero.png", "empty file")):
        assert reason in refused("search", universe_path, "--image", tmp_path / name)


def test_search_with_another_model(refused, universe_path, tmp_path):
    DualEncoder.from_scratch(["red"] * 3, DualEncoderConfig(embedding_width=64)).save_pretrained(tmp_path / "other")
    assert "was made by the model" in refused("search", universe_path, "red", "--model", tmp_path / "other")


def test_serve_on_a_port_in_use(refused, universe_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"port {port} is in use" in refused("serve", universe_path, "--port", port)


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--batch-size", "1"], ["--image-size", "63"],
                                       ["--learning-rate", "2"]])
def test_impossible_settings(refused, small_folder, tmp_path, arguments):
    line = refused("train", "--data", small_folder, "--out", tmp_path / "run", *arguments)
    assert f"{arguments[0].strip('-').replace('-', '_')} is {arguments[1]}" in line.replace("2.0", "2")


@pytest.mark.parametrize(("arguments", "words"), [
    (["--recipe", "loar"], "there is no recipe 'loar': choose one of scratch, lora"),
    (["--recipe", "lora"], "adapts a given model: give --model"),
    (["--recipe", "fusion", "--retain", "x"], "retain: only a given model is adapted"),
    (["--settings", "nowhere"], "holds no settings that can be read"),
    (["--batch-size", "5000"], "batch_size is 5000, but there are"),
    (["--epochs", "0"], "epochs is 0: it must be at least 1"),
    (["--soft-labels", "0.5", "--objective", "sigmoid"], "only the objective info_nce takes soft targets"),
    (["--model", "no/such/folder"], "no/such/folder"),
    (["--plateau-factor", "2"], "plateau_factor is 2.0: it must lie between 0 and 1")])
def test_impossible_runs_are_refused_before_any_work(refused, small_folder, tmp_path, arguments, words):
    assert words in refused("train", "--data", small_folder, "--out", tmp_path / "run", *arguments)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_unknown_verbs_and_options_leave_with_code_2(capsys):
    for arguments in (["fly"], ["train", "--nonsense", "1"], ["search"]):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 2
        assert "Traceback" not in capsys.readouterr().err


MESS = {"truncated.png": "truncated", "zero.png": "empty file (0 bytes)", "missing.png": "file not found",
        "text.png": "not an image: plain text", "untitled.png": "no text and no label"}


@pytest.fixture(scope="module")
def messy_folder(tmp_path_factory):
    """The shapes, and beside them all that goes wrong in real folders."""
    folder = write_shapes(tmp_path_factory.mktemp("data") / "messy")
    images = folder / "images"
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = [tuple(row) for row in csv.reader(file)][1:]
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(images / "truncated.png")
    (images / "truncated.png").write_bytes((images / "truncated.png").read_bytes()[:3000])
    (images / "zero.png").write_bytes(b"")
    (images / "text.png").write_text("not a picture")
    for name in ("untitled", "korean", "long"):
        shape("red", "circle", "large").save(images / f"{name}.png")
    shape("green", "square", "large").convert("RGBA").save(images / "rgba.png")
    shape("green", "cross", "large").convert("P").save(images / "palette.png")
    shape("black", "bar", "large").convert("L").save(images / "grey.png")
    titles = {"korean.png": "빨간 원", "long.png": "red " * 2500, "untitled.png": ""}
    new = [*MESS, "korean.png", "long.png", "rgba.png", "palette.png", "grey.png"]
    write_table(folder, rows + [(name, titles.get(name, f"a {name[:-4]} picture"), "") for name in new])
    return folder


def test_a_messy_folder_goes_all_the_way(messy_folder, tmp_path, capsys):
    run, universe, picture = tmp_path / "run", tmp_path / "universe", tmp_path / "matches.png"

    def vu(*arguments):
        main([str(argument) for argument in arguments])
        return capsys.readouterr().out

    vu("train", "--data", messy_folder, "--out", run, "--epochs", 2, "--batch-size", 16, "--embedding-width", 32)
    with (run / "skipped.csv").open(newline="", encoding="utf-8") as file:
        assert {row["file"]: row["reason"] for row in csv.DictReader(file)} == MESS

    figures = json.loads(vu("evaluate", run, "--data", messy_folder, "--json"))
    assert figures["images"] == 65
    assert [row["reason"] for row in figures["skipped"]] == ["truncated"]
    tests = {figure["test"] for figure in figures["models"][0]["sections"]["retrieval"]["figures"]}
    assert {"train", "validation", "test"} <= tests
    assert "R@1" in vu("evaluate", run, "--data", messy_folder)

    vu("index", run, "--data", messy_folder, "--out", universe)
    hits = json.loads(vu("search", universe, "빨간 원", "-k", 65, "--json", "--picture", picture))
    assert len(hits) == 65
    assert all(set(hit) == {"id", "title", "labels", "score", "probability"} for hit in hits)
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    assert not {hit["id"] for hit in hits} & set(MESS)
    with Image.open(picture) as image:
        assert min(image.size) > 100

    by_image = json.loads(vu("search", universe, "--image", messy_folder / "images" / "rgba.png", "-k", 2, "--json"))
    assert by_image[0]["score"] == pytest.approx(1, abs=1e-4)
    assert "score" in vu("search", universe, "red circle", "-k", 3)
    assert "trained already" in retrain(messy_folder, run, capsys)


def retrain(folder, run, capsys):
    main(["train", "--data", str(folder), "--out", str(run), "--epochs", "2", "--batch-size", "16",
          "--embedding-width", "32"])
    return capsys.readouterr().err
