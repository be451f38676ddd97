"""Which browser shows the page to tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> Path | None:
    """What the variable CHROMIUM names, else a Chromium of this machine, else playwright's; None where there is none.

    The variable decides even where it leads nowhere: `CHROMIUM=none` is a machine without a browser.
    """
    if (given := os.environ.get("CHROMIUM")) is not None:
        named = shutil.which(given)
        return Path(named) if named else None
    return next((path for path in _candidates() if _starts(path)), None)


chromium_path = cache(find_chromium)


def _candidates() -> Iterator[Path]:
    yield from (Path(path) for name in NAMES if (path := shutil.which(name)))
    if (path := playwrights_own()) and path.is_file():
        yield path


def playwrights_own() -> Path | None:
    """Where playwright puts the Chromium that it downloads; None where playwright itself is not installed."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path)


def _starts(path: Path) -> bool:
    """One without its libraries does not, nor does a stub that only tells what to install."""
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
