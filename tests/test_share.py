"""A universe shared as one archive: what is in it, and how its page works without a server."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.pages import READY, STATIC
from tests.universes import FakeModel, data_set, examples_of
from vector_universe.cli import main
from vector_universe.errors import UserError
from vector_universe.index import Universe
from vector_universe.serve.app import create_app
from vector_universe.serve.share import NEIGHBOURS, share
from vector_universe.serve.sharing.neighbours import nearest_of_all

HOSTILE = ['</script><script>document.title="owned"</script>', "line\u2028and\u2029line", '"quoted" \\ and \'quoted\'',
           "=1+1", "Crème brûlée", "고양이가 잔다", "__proto__"]
HOSTILE_IDS = ["../../escaped.html", "a/b/c", "<b>", "아이디", "C:\\windows", "%2e%2e%2f", "index.html"]
PAGE = {"index.html": "<!doctype html><html><head><title>page</title></head><body></body></html>",
        "assets/page.js": "// page", "assets/page.css": "", ".source-hash": "secret"}


@pytest.fixture(scope="module")
def universe_path(tmp_path_factory):
    """40 items, some with titles, labels and ids that mean harm, and columns of each kind."""
    examples = [replace(example, metadata={"size": number / 2, "year": 1990 + number, "kind": f"kind {number % 3}",
                                           "good": number % 2 == 0})
                for number, example in enumerate(examples_of(40))]
    for number, (title, id) in enumerate(zip(HOSTILE, HOSTILE_IDS, strict=True)):
        examples[number] = replace(examples[number], id=id, texts=[title], labels=[*examples[number].labels, title])
    examples[20] = replace(examples[20], metadata={})
    path = tmp_path_factory.mktemp("shared") / "universe"
    Universe.build(FakeModel(), data_set(examples, "Hostile </script>", "drawn <here>"), path)
    return path


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    """A page that is no page, for what does not need one."""
    folder = tmp_path_factory.mktemp("static")
    for name, content in PAGE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def archive(universe_path, static, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "universe.zip"
    share(universe_path, out, static=static)
    return zipfile.ZipFile(out)


def read_script(archive, name):
    """What a script of the archive leaves: all of it is one assignment of JSON."""
    text = archive.read(f"data/{name}.js").decode("ascii")
    start, _, content = text.partition(" = ")
    expected = "window.SHARED_UNIVERSE" if name == "universe" else f'(window.SHARED_FILES ??= {{}})["{name}"]'
    assert start == expected
    assert content.endswith(";\n")
    assert "<" not in content
    assert content.count("\n") == 1
    return json.loads(content[:-2])


# ---- the archive ----

def test_the_archive_holds_the_page_and_the_universe_and_nothing_else(archive):
    names = archive.namelist()
    assert len(names) == len(set(names))
    assert {name for name in names if not name.startswith("thumbnails/")} == {
        "index.html", "assets/page.js", "assets/page.css", "README.txt", "data/unpacked.css", "data/universe.js",
        "data/items-0000.js", "data/details-0000.js", "data/nearest-0000.js"}
    assert [name for name in names if name.startswith("thumbnails/")] == [
        f"thumbnails/0/{row}.webp" for row in range(40)]
    assert archive.testzip() is None
    assert "drawn <here>" in archive.read("README.txt").decode()
    assert "40 pictures" in archive.read("README.txt").decode()


def test_the_page_may_load_its_own_files_alone_and_reads_the_universe_first(archive):
    html = archive.read("index.html").decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]
    assert "http" not in policy[1]
    assert '<script defer src="data/universe.js"></script>' in html
    assert "Unpack the whole archive first" in html


def test_the_shared_universe_says_what_the_server_says(archive, universe_path):
    shared = read_script(archive, "universe")
    with TestClient(create_app(Universe.open(universe_path, FakeModel()))) as client:
        info = client.get("/api/info").json()
        assert base64.b64decode(shared["map"]) == client.get("/api/map").content
        assert shared["info"] == info | {"calibrated": False, "recall": None, "remark": None, "columns": [
            column for column in info["columns"] if column["name"] in ("size", "year", "kind", "good")]}
        items, details = read_script(archive, "items-0000"), read_script(archive, "details-0000")
        names = [column["name"] for column in shared["metadata"]]
        for row in (0, 1, 2, 3, 4, 6, 20, 39):  # the client reads the % of 5 twice
            item = client.get("/api/map/items", params={"row": row}).json()["items"][0]
            assert (items["ids"][row], items["titles"][row]) == (item["id"], item["title"])
            said = {name: column[row] for name, column in zip(names, details["metadata"], strict=True)
                    if column[row] is not None}
            answer = client.get(f"/api/items/{quote(item['id'], safe='')}").json()
            assert (answer["metadata"], answer["ocr"]) == (said, details["ocr"][row])


def test_neighbours_are_those_of_a_search(archive, universe_path):
    universe = Universe.open(universe_path, FakeModel())
    items, nearest = read_script(archive, "items-0000"), read_script(archive, "nearest-0000")
    rows = np.frombuffer(base64.b64decode(nearest["rows"]), "<i4").reshape(40, NEIGHBOURS)
    cosines = np.frombuffer(base64.b64decode(nearest["cosines"]), "<f4").reshape(40, NEIGHBOURS)
    for row in range(40):
        hits = universe.neighbours(items["ids"][row], NEIGHBOURS)
        assert [items["ids"][near] for near in rows[row]] == [hit.id for hit in hits]
        np.testing.assert_allclose(cosines[row], [hit.score for hit in hits], atol=1e-6)


def test_thumbnails_are_those_of_the_universe(archive, universe_path):
    universe = Universe.open(universe_path)
    ids = read_script(archive, "items-0000")["ids"]
    for row in (0, 1, 39):
        content = archive.read(f"thumbnails/0/{row}.webp")
        assert content == universe.thumbnail(ids[row])
        assert Image.open(io.BytesIO(content)).format == "WEBP"


def test_the_same_universe_gives_the_same_bytes(universe_path, static, tmp_path):
    for name in ("one.zip", "two.zip"):
        share(universe_path, tmp_path / name, static=static)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_progress_ends_where_it_should(universe_path, static, tmp_path):
    seen = {}
    written = share(universe_path, tmp_path / "out.zip", lambda stage, done, total: seen.update({stage: (done, total)}),
                    static)
    assert seen == {"writing items": (40, 40), "finding neighbours": (40, 40)}
    assert (written.items, written.size) == (40, (tmp_path / "out.zip").stat().st_size)


# ---- where it goes ----

def test_what_was_not_shared_is_not_overwritten_and_what_was_is(universe_path, static, tmp_path):
    mine, foreign = tmp_path / "mine.zip", tmp_path / "foreign.zip"
    mine.write_text("my letters")
    with zipfile.ZipFile(foreign, "w") as other:
        other.writestr("letter.txt", "dear")
    before = foreign.read_bytes()
    for out in (mine, foreign, tmp_path):
        with pytest.raises(UserError, match="name a new file"):
            share(universe_path, out, static=static)
    assert (mine.read_text(), foreign.read_bytes()) == ("my letters", before)
    for _ in range(2):
        share(universe_path, tmp_path / "new" / "out.zip", static=static)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.zip"]


def test_what_cannot_be_shared_is_said_in_one_line(universe_path, static, tmp_path, capsys):
    with pytest.raises(UserError, match="make page"):
        share(universe_path, tmp_path / "out.zip", static=tmp_path / "nothing")
    with pytest.raises(UserError, match="does not exist"):
        share(tmp_path / "nothing", tmp_path / "out.zip", static=static)
    with pytest.raises(UserError, match="cannot be written"):
        share(universe_path, Path("/dev/null/out.zip"), static=static)
    with pytest.raises(SystemExit):
        main(["share", str(tmp_path / "nothing"), str(tmp_path / "out.zip")])
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out.zip").exists()


def test_a_failure_on_the_way_leaves_the_old_file(universe_path, static, tmp_path):
    out = tmp_path / "out.zip"
    share(universe_path, out, static=static)
    before = out.read_bytes()

    def fail(stage, done, total):
        if stage == "finding neighbours" and done:
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        share(universe_path, out, fail, static)
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is of POSIX")
def test_a_kill_in_the_middle_leaves_no_half_file(universe_path, static, tmp_path):
    code = f"""
import time
from pathlib import Path
from vector_universe.serve.share import share
def stuck(stage, done, total):
    if stage == "finding neighbours":
        print("in the middle", flush=True)
        time.sleep(60)
share({str(universe_path)!r}, Path({str(tmp_path / 'out.zip')!r}), stuck, Path({str(static)!r}))
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "in the middle\n"
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip.partial"]
    share(universe_path, tmp_path / "out.zip", static=static)
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]


# ---- neighbours ----

@pytest.mark.parametrize("exact_up_to", [50_000, 100])
def test_neighbours_of_all_are_those_of_a_plain_loop(exact_up_to, monkeypatch):
    monkeypatch.setattr("vector_universe.serve.sharing.neighbours.EXACT_UP_TO", exact_up_to)
    random = np.random.default_rng(0)
    vectors = random.normal(size=(300, 16)).astype(np.float16)
    vectors[7] = vectors[100] = vectors[200]
    vectors[50] = 0
    rows, cosines = nearest_of_all(vectors, 5, lambda *_: None)
    units = vectors.astype(np.float64)
    units /= np.maximum(np.linalg.norm(units, axis=1, keepdims=True), 1e-12)
    for row in range(300):
        if row == 50:
            assert (rows[row] == -1).all()
            continue
        others = np.array([other for other in range(300) if other not in (row, 50)])
        scores = units[others] @ units[row]
        best = np.lexsort((others, -np.round(scores, 7)))[:5]
        assert rows[row].tolist() == others[best].tolist()
        np.testing.assert_allclose(cosines[row], scores[best], atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_few_items_have_few_neighbours(count):
    rows, cosines = nearest_of_all(np.eye(4, dtype=np.float16)[:count], 24, lambda *_: None)
    assert (rows >= 0).sum() == count * max(0, count - 1)
    assert (np.isnan(cosines) == (rows < 0)).all()


# ---- the page, opened from the disk ----

@pytest.fixture(scope="module")
def unpacked(universe_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked # und Größe")
    share(universe_path, folder / "universe.zip")
    with zipfile.ZipFile(folder / "universe.zip") as archive:
        archive.extractall(folder / "page")
    return folder / "page"


@pytest.fixture
def shared(page, unpacked):
    """The shared page in a browser; it asks for nothing outside its folder and complains of nothing."""
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: complaints.append(request.url)
            if request.failure != "net::ERR_ABORTED" else None)  # the test itself went elsewhere meanwhile
    page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    page.goto((unpacked / "index.html").as_uri())
    page.wait_for_selector(READY)
    yield page
    outside = [url for url in asked if not url.startswith((unpacked.as_uri() + "/", "blob:"))]
    assert outside == []
    assert complaints == []


def ask(page, text):
    page.get_by_test_id("search-input").fill(text)
    page.get_by_test_id("search-input").press("Enter")


def expect_rows(page, rows):
    """The results are the items of these rows, in this order."""
    from playwright.sync_api import expect

    expect(page.get_by_test_id("result")).to_have_count(len(rows))
    found = page.get_by_test_id("result").evaluate_all("all => all.map((one) => Number(one.dataset.row))")
    assert found == rows



@pytest.mark.parametrize(("words", "rows"), [
    ("picture 17", [17]),
    ("PICTURE 1", [*range(10, 20), 21, 31]),  # picture 1 itself has another title
    ("creme BRULEE", [4]),
    ("고양이", [5]),
    ("__proto__", [6]),
    ("line and", [1]),
    ("</script>", [0]),
])
def test_words_find_titles_in_any_script(shared, words, rows):
    from playwright.sync_api import expect

    ask(shared, words)
    expect(shared.get_by_test_id("result").first).to_have_attribute("data-row", str(rows[0]))
    found = shared.get_by_test_id("result").evaluate_all("all => all.map((one) => Number(one.dataset.row))")
    assert found[:len(rows)] == rows  # then those with some of the words
    assert shared.title() != "owned"


def test_neighbours_details_and_thumbnails_are_there(shared, archive):
    from playwright.sync_api import expect

    ask(shared, "picture 17")
    shared.get_by_test_id("result").first.click()
    details = shared.get_by_test_id("details")
    expect(details).to_contain_text("picture 17")
    expect(details).to_contain_text("8.5")
    expect(details).to_contain_text("2007")
    shared.get_by_test_id("more-like").click()
    near = np.frombuffer(base64.b64decode(read_script(archive, "nearest-0000")["rows"]), "<i4").reshape(40, -1)
    expect_rows(shared, near[17].tolist())
    shared.wait_for_function("[...document.querySelectorAll('.result img')].slice(0, 6)"
                             ".every((image) => image.complete && image.naturalWidth > 0)")


def test_filters_and_csv_work_without_a_server(shared, unpacked, universe_path):
    shared.goto((unpacked / "index.html").as_uri() + "#label=odd&where=year>=2000&where=good!=true")
    shared.reload()
    shared.wait_for_selector(READY)
    expect_rows(shared, list(range(11, 40, 2)))
    with shared.expect_download() as saving:
        shared.get_by_test_id("csv").click()
    filters = [{"kind": "has_label", "label": "odd"},
               {"kind": "compare", "column": "year", "operator": ">=", "value": "2000"},
               {"kind": "compare", "column": "good", "operator": "!=", "value": "true"}]
    with TestClient(create_app(Universe.open(universe_path, FakeModel()))) as client:
        assert Path(saving.value.path()).read_bytes() == client.post("/api/export", json={"filters": filters}).content


def test_labels_of_an_address_are_found_in_any_case(shared, unpacked):
    from playwright.sync_api import expect

    for address, rows in (("#label=ODD&where=year>=2,020", range(31, 40, 2)),
                          ("#no-label=Even&where=year>2.027K", [39])):
        shared.goto((unpacked / "index.html").as_uri() + address)
        shared.reload()
        shared.wait_for_selector(READY)
        expect_rows(shared, list(rows))
    shared.get_by_test_id("filters").locator("summary").click()
    shared.get_by_test_id("label-field").fill("ODD")
    expect(shared.locator("#label-options").get_by_role("option")).to_have_text(["odd20"])


def test_texts_are_not_ordered_by_a_number(shared, unpacked):
    shared.goto((unpacked / "index.html").as_uri() + "#where=kind>5,000")
    shared.reload()
    shared.wait_for_selector(READY)
    shared.get_by_text("The column kind holds texts, which compare letter by letter").wait_for()


def test_csv_of_hostile_items_is_that_of_the_server(shared, unpacked, universe_path):
    shared.goto((unpacked / "index.html").as_uri() + "#where=year<2020")
    shared.reload()
    shared.wait_for_selector(READY)
    with shared.expect_download() as saving:
        shared.get_by_test_id("csv").click()
    filters = [{"kind": "compare", "column": "year", "operator": "<", "value": "2020"}]
    with TestClient(create_app(Universe.open(universe_path, FakeModel()))) as client:
        assert Path(saving.value.path()).read_bytes() == client.post("/api/export", json={"filters": filters}).content


def test_what_needs_the_model_is_not_offered(shared):
    assert shared.get_by_test_id("try-labels").count() == 0
    assert shared.get_by_test_id("add-picture").count() == 0


def test_a_page_opened_inside_the_archive_says_what_to_do(page, unpacked, tmp_path):
    (tmp_path / "index.html").write_bytes((unpacked / "index.html").read_bytes())
    page.goto((tmp_path / "index.html").as_uri())
    assert page.get_by_text("Unpack the whole archive first").is_visible()


def test_the_command_of_the_documentation_runs(universe_path, tmp_path, monkeypatch, capsys):
    if not (STATIC / "index.html").exists():
        pytest.skip("the page is not built: run `make page`")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "universe").symlink_to(universe_path)
    text = (Path(__file__).parents[1] / "docs" / "sharing.md").read_text()
    command = re.search(r"```sh\n(.*?)\n```", text, re.DOTALL)
    assert command is not None
    main(command[1].split()[1:])
    assert "40 items are in universe.zip" in capsys.readouterr().err
