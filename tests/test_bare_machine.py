"""A machine without a browser and without fonts: its tests skip, say why, and build nothing first."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import chromium
from tests import get_browser

TESTS = Path(__file__).parent
BROWSERS = [*map(str, sorted(TESTS.glob("test_page*.py"))), str(TESTS / "test_share.py")]
WITHOUT_FONT = """
import sys, pytest
from vector_universe.data.sources import emoji
emoji.NOTO_FONTS = ()
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def variable_is_unset(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)


def lines_of(command: list[str], **variables: str) -> list[str]:
    """What a command that succeeds prints."""
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, cwd=TESTS.parent)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout.splitlines()


def executable(path: Path, status: int = 0) -> Path:
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return path


# ---- without them ----

def test_without_a_browser_its_tests_skip_and_the_last_line_says_so(tmp_path):
    made = tmp_path / "made"
    *_, counted, last = lines_of([sys.executable, "-m", "pytest", *BROWSERS, "-m", "browser", "-n", "1",
                                  f"--basetemp={made}", "-p", "no:cacheprovider"], CHROMIUM="/nonexistent")
    number = int(last.removeprefix("Skipped: ").split(" × ")[0])
    assert number >= 70
    assert last == f"Skipped: {number} × no Chromium is here"
    assert f"{number} skipped" in counted
    assert not any(word in counted for word in ("passed", "failed", "error"))
    assert [path for path in made.rglob("*") if path.is_file()] == []  # no run was trained, no universe built


def test_without_the_font_its_tests_skip(tmp_path):
    *_, counted, last = lines_of([sys.executable, "-c", WITHOUT_FONT, str(TESTS / "test_data.py"), "-k", "noto",
                                  "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'made'}"])
    assert last == "Skipped: 1 × the font Noto Color Emoji is not installed"
    assert counted.startswith("1 skipped")


# ---- which browser ----

def test_browsers_are_looked_for_in_order(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    own = tmp_path / "playwright's"
    monkeypatch.setattr(chromium, "playwrights_own", lambda: own)
    assert chromium.find_chromium() is None
    for path in (own, *(tmp_path / name for name in reversed(chromium.NAMES))):
        executable(path)
        assert chromium.find_chromium() == path
    named = executable(tmp_path / "named")
    monkeypatch.setenv("CHROMIUM", str(named))
    assert chromium.find_chromium() == named


@pytest.mark.parametrize("given", ["", "none", "/nonexistent"])
def test_the_variable_decides_even_where_it_leads_nowhere(tmp_path, monkeypatch, given):
    executable(tmp_path / "chromium")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CHROMIUM", given)
    assert chromium.find_chromium() is None


def test_a_browser_that_does_not_start_is_passed_over(tmp_path, monkeypatch):
    executable(tmp_path / "chromium", status=1)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "playwrights_own", lambda: None)
    assert chromium.find_chromium() is None
    other = executable(tmp_path / "google-chrome")
    assert chromium.find_chromium() == other


def test_playwright_says_where_its_own_would_be():
    with ThreadPoolExecutor(1) as elsewhere:  # the browser of other tests has a loop in this thread
        assert elsewhere.submit(chromium.playwrights_own).result().is_absolute()


# ---- getting them ----

def test_what_is_there_is_not_got_again():
    assert get_browser.got("It", lambda: Path("/there"), pytest.fail) == "It: /there"


def test_ways_are_tried_until_one_brings_it():
    there, tried = [], []
    ways = [lambda: tried.append("first"), lambda: tried.append("second") or there.append(Path("/new")) or True,
            pytest.fail]
    assert get_browser.got("It", lambda: there[0] if there else None, *ways) == "It: /new, installed just now"
    assert tried == ["first", "second"]


def test_nothing_is_got_while_the_variable_is_set(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/nonexistent")
    assert "nothing is got" in get_browser.got("It", lambda: None, pytest.fail)
    assert len(lines_of([sys.executable, "-m", "tests.get_browser"])) == 1


def test_what_cannot_be_had_fails_nothing(monkeypatch, capsys):
    tried = []
    monkeypatch.setattr(get_browser, "runs", lambda *command: tried.append(command) or False)
    monkeypatch.setattr(get_browser, "find_chromium", lambda: None)
    monkeypatch.setattr(get_browser, "noto_font", lambda: None)
    get_browser.main()
    assert capsys.readouterr().out == (
        "Chromium: cannot be had here, the tests that need it will skip; "
        "Noto Color Emoji: cannot be had here, the tests that need it will skip\n")
    assert tried[0][1:] == ("-m", "playwright", "install", "chromium")


def test_only_root_asks_debian(monkeypatch):
    commands = []
    monkeypatch.setattr(get_browser, "runs", lambda *command: not commands.append(command[0]))
    monkeypatch.setattr(get_browser.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(get_browser.os, "geteuid", lambda: 1000)
    assert not get_browser.debians("chromium")
    assert commands == []
    monkeypatch.setattr(get_browser.os, "geteuid", lambda: 0)
    assert get_browser.debians("chromium")
    assert set(commands) == {"apt-get"}


def test_a_command_that_is_not_there_or_fails_is_no_error():
    assert not get_browser.runs("/nonexistent")
    assert not get_browser.runs(sys.executable, "-c", "raise SystemExit(3)")
    assert get_browser.runs(sys.executable, "-c", "")
