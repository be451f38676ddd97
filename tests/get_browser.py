"""What tests need from outside Python: a Chromium, and the font that the second artist's emoji come from.

`python -m tests.get_browser` looks for both, tries to get what is not there, and says in one line what came of it. It
never fails: without them the tests that need them skip. It gets nothing where the variable CHROMIUM is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.chromium import find_chromium
from vector_universe.data.sources.emoji import noto_font

APT = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=60")
SECONDS = 900  # for one download


def main() -> None:
    print(got("Chromium", find_chromium, playwrights_download, lambda: debians("chromium")) + "; "
          + got("Noto Color Emoji", noto_font, lambda: debians("fonts-noto-color-emoji")))


def got(name: str, find: Callable[[], Path | None], *ways: Callable[[], bool]) -> str:
    """Where it is, once each way to get it was tried until one did."""
    if path := find():
        return f"{name}: {path}"
    if "CHROMIUM" in os.environ:
        return f"{name}: none, and nothing is got while CHROMIUM is set"
    for way in ways:
        if way() and (path := find()):
            return f"{name}: {path}, installed just now"
    return f"{name}: cannot be had here, the tests that need it will skip"


def playwrights_download() -> bool:
    return runs(sys.executable, "-m", "playwright", "install", "chromium")


def debians(package: str) -> bool:
    """Installed by apt-get, where that is and this is root."""
    may = shutil.which("apt-get") is not None and os.geteuid() == 0
    return may and runs(*APT, "update") and runs(*APT, "install", "--yes", package)


def runs(*command: str) -> bool:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=SECONDS, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    main()
