"""`make demo` installs what the demo needs, `make test` the rest on top of it, and neither does so twice."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import hatch_build

ROOT = Path(__file__).parents[1]


@pytest.fixture
def clone(tmp_path):
    """A folder with what decides about the set-up."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (1000, 1000))
    (tmp_path / ".venv").mkdir()
    return tmp_path


def installs(clone: Path, target: str) -> list[str]:
    """What a target would install, in this order."""
    done = subprocess.run(["make", "--dry-run", target], cwd=clone, capture_output=True, text=True, check=True)
    return [line.split()[-1] for line in done.stdout.splitlines() if "pip install" in line]


def installed(clone: Path, name: str, time: float) -> None:
    (clone / ".venv" / name).touch()
    os.utime(clone / ".venv" / name, (time, time))


def test_the_demo_needs_nothing_of_the_tests(clone):
    assert installs(clone, "demo") == ["torch", '".[demo]"']
    for target in ("test", "test-slow", "quick", "lint", "bench", "page"):
        assert installs(clone, target) == ["torch", '".[demo]"', '".[demo,dev]"']


def test_what_is_installed_stays(clone):
    installed(clone, "installed-demo", 2000)
    assert installs(clone, "demo") == []
    assert installs(clone, "test") == ['".[demo,dev]"']
    installed(clone, "installed", 3000)
    assert installs(clone, "demo") == installs(clone, "test") == []
    os.utime(clone / "constraints.txt", (4000, 4000))
    assert installs(clone, "demo") == ["torch", '".[demo]"']


# ---- the page ----

@pytest.fixture
def web(tmp_path, monkeypatch):
    """A page's source, and a stand-in for npm that counts its calls."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "package.json").write_text("{}")
    static, calls = hatch_build.static_folder(tmp_path), []

    def npm(folder: Path, *arguments: str) -> None:
        calls.append(arguments[:2])
        static.mkdir(parents=True, exist_ok=True)
        (static / "index.html").write_text("the page")

    monkeypatch.setattr(hatch_build, "npm", npm)
    return tmp_path, calls


def test_the_page_is_built_once_for_each_state_of_its_source(web):
    root, calls = web
    for _ in range(2):
        assert hatch_build.is_up_to_date(root) == bool(calls)
        hatch_build.build_page(root)
        assert calls == [("ci", "--no-audit"), ("run", "build")]
    (root / "web" / "package.json").write_text('{"name": "page"}')
    hatch_build.build_page(root)
    assert len(calls) == 4


@pytest.mark.parametrize(("has_node", "by"), [(True, "npm"), (False, "pip")])
def test_without_node_pip_builds_the_page(web, monkeypatch, has_node, by):
    root, calls = web
    commands = []
    monkeypatch.setattr(hatch_build, "find_spec", lambda name: has_node or None)
    monkeypatch.setattr(hatch_build.subprocess, "run", lambda command: commands.append(command)
                        or subprocess.CompletedProcess(command, 0))
    assert hatch_build.bring_up_to_date(root)
    assert ("npm" if calls else "pip") == by
    assert [command[1:3] for command in commands] == ([] if has_node else [["-m", "pip"]])


def test_a_page_that_pip_cannot_build_is_an_error(web, monkeypatch):
    monkeypatch.setattr(hatch_build, "find_spec", lambda name: None)
    monkeypatch.setattr(hatch_build.subprocess, "run", lambda command: subprocess.CompletedProcess(command, 1))
    with pytest.raises(RuntimeError, match="could not be built"):
        hatch_build.bring_up_to_date(web[0])
