"""The words of the page: every language has the same keys and places for values, and the page uses each key."""

from __future__ import annotations

import re
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "web" / "src"
ENTRY = re.compile(r'^  "([\w.]+)":\s*"((?:[^"\\]|\\.)*)",$', re.MULTILINE)


def dictionary(language: str) -> dict[str, str]:
    text = (SOURCE / "words" / f"{language}.ts").read_text("utf-8")
    found = ENTRY.findall(text)
    assert len(found) == len(dict(found)) == len(re.findall(r'^  "[\w.]+":', text, re.MULTILINE))
    return dict(found)


def test_korean_says_everything_that_english_says() -> None:
    english, korean = dictionary("english"), dictionary("korean")
    assert set(english) == set(korean)
    for key, words in english.items():
        assert set(re.findall(r"\{\w+\}", words)) == set(re.findall(r"\{\w+\}", korean[key])), key


def test_every_word_is_used() -> None:
    code = "".join(path.read_text("utf-8") for path in SOURCE.rglob("*.ts*") if path.parent.name != "words")
    composed = tuple(re.findall(r"`([a-z]+\.\w*)\$\{", code))  # such as `legend.by_${colouring}`
    unused = {key for key in dictionary("english") if f'"{key}"' not in code and not key.startswith(composed)}
    assert unused == set()
