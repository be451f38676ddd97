"""Build beside, then swap: a folder is either the old one or the new one, whole, whenever the power goes."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vector_universe.folders import claim_folder


@contextmanager
def staged_folder(out: Path, kind: str) -> Iterator[Path]:
    """Give a temporary folder beside `out`; on success it takes the place of `out`, on any error it is removed.

    What earlier, killed builds left behind is removed first.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    clean_up(out)
    staging = _sibling(out, "building")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        claim_folder(staging, kind)
        yield staging
        _swap(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def clean_up(out: Path) -> None:
    """Put back an old folder that a kill caught in mid-swap, and remove the leftovers of dead builds."""
    leftovers = [path for path in _siblings(out) if not _is_alive(path)]
    for path in leftovers:
        if path.name.startswith(f".{out.name}.replaced-") and not out.exists():
            path.rename(out)
        else:
            shutil.rmtree(path, ignore_errors=True)


def _swap(staging: Path, out: Path) -> None:
    replaced = _sibling(out, "replaced")
    if out.exists():
        out.rename(replaced)
    try:
        staging.rename(out)
    except BaseException:
        if replaced.exists():
            replaced.rename(out)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def _sibling(out: Path, role: str) -> Path:
    return out.parent / f".{out.name}.{role}-{platform.node()}-{os.getpid()}"


def _siblings(out: Path) -> list[Path]:
    """The temporary folders of this machine's builds of `out`; another machine's may be at work."""
    pattern = re.compile(rf"\.{re.escape(out.name)}\.(building|replaced)-{re.escape(platform.node())}-\d+")
    if not out.parent.is_dir():
        return []
    return [path for path in sorted(out.parent.iterdir()) if pattern.fullmatch(path.name)]


def _is_alive(staging: Path) -> bool:
    pid = int(staging.name.rpartition("-")[2])
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
