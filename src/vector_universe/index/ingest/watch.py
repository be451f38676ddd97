"""Follow a folder: call again whenever something in it has changed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

_PAUSE = 2.0  # seconds between two looks


def watch(folder: Path, changed: Callable[[], None], pause: float = _PAUSE,
          stop: Callable[[], bool] = lambda: False) -> None:
    """Call `changed` once after each change of names, sizes or times below `folder`, when it has come to rest.

    By looking, not by asking the system: network drives do not tell of changes made elsewhere.

    Args:
        folder: or a single file.
        changed: what to do; an error that it raises ends the watch.
        pause: seconds between two looks.
        stop: asked before each look.
    """
    known = before = signature(folder)
    while not stop():
        time.sleep(pause)
        now = signature(folder)
        if now != known and now == before:  # two looks alike: nobody is in the middle of copying
            known = now
            changed()
        before = now


def signature(folder: Path) -> str:
    """A hash of the names, sizes and times of all files below a folder; hidden ones do not count."""
    digest = hashlib.sha256()
    for path in sorted(_files(folder)):
        try:
            found = os.stat(path)
        except FileNotFoundError:  # taken away while we look
            continue
        digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files(folder: Path) -> list[str]:
    if folder.is_file():
        return [str(folder)]
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(parent, name) for name in files if not name.startswith(".")]
    return found
