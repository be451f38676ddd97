"""Folders that the product writes: each carries a marker that says what it is, and no other folder is ever touched."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vector_universe.errors import UserError

MARKER = "vector_universe.json"


def claim_folder(path: Path, kind: str) -> None:
    """Create the folder `path` as a "run", "universe" or "demo", or accept it if it already is one.

    Raises:
        UserError: it exists and holds something else; nothing in it is changed.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file: give --out a new folder")
    if path.is_dir() and any(path.iterdir()):
        found = _marker(path)
        if found is None:
            raise UserError(f"{path} holds something else than a {kind}: give --out a new or empty folder")
        if found.get("kind") != kind:
            raise UserError(f"{path} is a {found.get('kind')}, not a {kind}: give --out another folder")
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / MARKER).write_text(json.dumps({"kind": kind, "version": version("vector-universe")}) + "\n")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): give --out another folder") from None


def check_folder(path: Path, kind: str) -> dict[str, Any]:
    """Read the marker of a folder that must be a `kind`.

    Raises:
        UserError: there is no such folder, or it is something else.
    """
    if not path.is_dir():
        raise UserError(f"{path} does not exist: give the folder of a {kind}")
    found = _marker(path)
    if found is None or found.get("kind") != kind:
        raise UserError(f"{path} is not a {kind}" + (f" but a {found.get('kind')}" if found else ""))
    return found


def folder_kind(path: Path) -> str | None:
    """What the marker of a folder says it is; None where there is no folder, or none of ours."""
    kind = (_marker(path) or {}).get("kind")
    return kind if isinstance(kind, str) else None


def replace_text(path: Path, text: str) -> None:
    """Write a small file by one rename: a kill leaves the old or the new, never half."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _marker(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((path / MARKER).read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
