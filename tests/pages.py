"""The page in a real browser, against a real server over a small universe: fixtures for every test of the page."""

from __future__ import annotations

import csv
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chromium import chromium_path
from tests.pictures import write_shapes

STATIC = Path(__file__).parents[1] / "src" / "vector_universe" / "serve" / "static"
SOFTWARE_WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
NO_WEBGL = ("--disable-3d-apis", "--disable-software-rasterizer")
READY = "html[data-map-ready=true]"
EVIL = "<img src=x onerror='document.title=\"owned\"'><script>document.title='owned'</script>"


def chromium_flags(*graphics: str) -> list[str]:
    """Flags for a browser that is quiet on the network and needs no graphics card."""
    return ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", *graphics]


def serve_in_thread(app) -> Iterator[str]:
    """Serve an application on a free port of this machine; yields its address."""
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the server stopped while it was starting"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="session")
def page_shapes(tmp_path_factory) -> Path:
    """The 60 shapes with a column to filter by, `corners`; the last one's title is an attack."""
    folder = write_shapes(tmp_path_factory.mktemp("page") / "shapes")
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    corners = {"circle": 0, "square": 4, "triangle": 3, "bar": 4, "cross": 12}
    rows[-1]["title"] = EVIL
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*rows[0], "corners"])
        table.writeheader()
        table.writerows(row | {"corners": corners[row["labels"].split("|")[1]]} for row in rows)
    return folder


@pytest.fixture(scope="session")
def page_universe_path(page_shapes: Path, small_model, tmp_path_factory) -> Path:
    """Those shapes, indexed."""
    from vector_universe import Universe, load_dataset

    path = tmp_path_factory.mktemp("universes") / "page"
    Universe.build(small_model, load_dataset(page_shapes), path)
    return path


@pytest.fixture(scope="session")
def other_universe_path(page_shapes: Path, small_model, tmp_path_factory) -> Path:
    """The same items by a model that sees other things: to compare with."""
    import copy

    import torch

    from vector_universe import Universe, load_dataset

    other = copy.deepcopy(small_model)
    with torch.no_grad():
        for weights in other.parameters():
            weights.mul_(1 + 0.2 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(1)))
    path = tmp_path_factory.mktemp("universes") / "other"
    Universe.build(other, load_dataset(page_shapes), path)
    return path


@pytest.fixture(scope="session")
def address(page_universe_path: Path) -> Iterator[str]:
    """Where the small universe is served."""
    from vector_universe.serve.app import create_app

    yield from serve_in_thread(create_app(page_universe_path))


@pytest.fixture(scope="session")
def chromium():
    """Playwright's way to a Chromium; tests that use it skip where there is none (tests/skips.py)."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="session")
def browser(chromium):
    """One browser with WebGL in software."""
    browser = chromium.launch(executable_path=chromium_path(), args=chromium_flags(*SOFTWARE_WEBGL))
    yield browser
    browser.close()


@pytest.fixture
def page(browser):
    """A page of 1280 x 800 without motion; errors of scripts and of the content security policy fail the test."""
    yield from watched(browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce",
                                           locale="en-GB", color_scheme="dark"))


@pytest.fixture
def phone(browser):
    """The same on a phone."""
    yield from watched(browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce",
                                           locale="en-GB", has_touch=True, color_scheme="dark"))


def watched(context):
    """A page of a browser context whose complaints fail the test at the end."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None)
    yield page
    page.unroute_all(behavior="ignoreErrors")  # a route under way would fail the next test
    context.close()
    assert complaints == []
