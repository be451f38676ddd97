"""The lowest versions that pyproject.toml allows are written down once more, and work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOWEST = ROOT / "constraints-lowest.txt"
TOOLS = ["pytest", "pytest-xdist", "hypothesis", "httpx"]  # of the extra `dev`, what the quick tests need
ELSEWHERE = "tests/test_kinds_of_pictures.py::test_bombs_of_other_formats"  # Pillow below 13 refuses one in other words


def floors(part: str) -> dict[str, str]:
    """Names and lowest versions of a list of pyproject.toml."""
    listed = re.search(rf"^{part} = \[(.*?)\]$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert listed is not None
    return dict(re.findall(r'"([\w-]+)(?:\[\w+\])?>=([\w.]+)"', listed[1]))


def test_the_lowest_versions_are_those_of_pyproject():
    tools = {name: version for name, version in floors("dev").items() if name in TOOLS}
    wanted = floors("dependencies") | floors("demo") | tools
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", LOWEST.read_text("utf-8"), re.MULTILINE))
    assert len(wanted) > 30
    assert set(pinned) == set(wanted)
    assert {name for name in wanted if pinned[name] != wanted[name]} == {"torch"}
    assert f"\ntorch=={pinned['torch']}\n" in (ROOT / "constraints.txt").read_text("utf-8")


def test_the_quick_tests_are_there():
    lines = (ROOT / "tests" / "quick.txt").read_text("utf-8").splitlines()
    files = [line for line in lines if line.startswith("tests/")]
    assert len(files) == len(set(files)) > 40
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.slow
def test_the_quick_tests_pass_on_the_lowest_versions(tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", LOWEST]
    subprocess.run([*install, f"{ROOT}[demo]", *TOOLS], check=True)
    quick = [python, "-m", "pytest", "-n", "logical", "--dist", "loadfile", "-m", "not slow", "-p", "no:cacheprovider",
             f"--basetemp={tmp_path / 'made'}", "--deselect", ELSEWHERE, "@tests/quick.txt"]
    done = subprocess.run(quick, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
