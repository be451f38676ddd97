"""The rooms of the product stay in order, and the light doors stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vector_universe

ROOMS = ["data", "losses", "models", "evaluation", "training", "index", "serve"]
ROOT = Path(vector_universe.__file__).parent


def imported_parts(file: Path) -> set[str]:
    """The parts of the product that a file imports anywhere: at the top, in a function or for type checking."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            if node.module == "vector_universe":
                names |= {f"vector_universe.{alias.name}" for alias in node.names}
            else:
                names.add(node.module)
    return {name.split(".")[1] for name in names if name.startswith("vector_universe.")}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_above_it(room):
    allowed = {*ROOMS[:ROOMS.index(room) + 1], "errors", "folders", "page", "printable", "progress"}
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for file in files:
        assert imported_parts(file) <= allowed, file


def test_every_room_is_in_the_order():
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == {*ROOMS, "cli"}


@pytest.mark.parametrize("file", ["errors.py", "folders.py", "page.py", "printable.py", "progress.py"])
def test_the_ground_floor_imports_no_room(file):
    assert imported_parts(ROOT / file) <= {"errors"}


def private_imports(source: str) -> list[str]:
    """What a file imports that another package keeps to itself: modules and names that begin with `_`."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    foreign = [name for name in names if name.split(".")[0] not in ("vector_universe", "__future__")]
    return [name for name in foreign if any(part.startswith("_") for part in name.split("."))]


def test_nothing_private_of_another_package_is_imported():
    """It goes without notice: starlette's parser of headers is missing in versions that pyproject.toml allows."""
    assert {file: private for file in ROOT.rglob("*.py") if (private := private_imports(file.read_text("utf-8")))} == {}


@pytest.mark.parametrize(("source", "private"), [
    ("from __future__ import annotations", []), ("from vector_universe.data.load import _own", []),
    ("import starlette._utils", ["starlette._utils"]), ("from torch import nn, _C", ["torch._C"]),
    ("def late():\n    from a._b.c import d as e", ["a._b.c.d"]), ("import _thread", ["_thread"])])
def test_private_imports_are_told(source, private):
    assert private_imports(source) == private


@pytest.mark.parametrize("module", ["vector_universe", "vector_universe.cli", "vector_universe.data"])
def test_import_does_not_load_torch(module):
    code = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_public_name_can_be_imported():
    assert set(vector_universe.__all__) <= {name for name in dir(vector_universe)
                                            if getattr(vector_universe, name) is not None}
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = vector_universe.no_such_name


def test_help_names_every_verb():
    done = subprocess.run([sys.executable, "-m", "vector_universe.cli", "--help"], capture_output=True, text=True,
                          check=True)
    for verb in ("demo", "train", "compare", "evaluate", "index", "search", "label", "serve", "share",
                 "caption", "generate", "export", "data"):
        assert verb in done.stdout
