"""The page in a real browser, against a real server over a small universe."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")

CHROMIUM = Path("/usr/bin/chromium")
STATIC = Path(__file__).parents[1] / "src" / "vector_universe" / "serve" / "static"
SOFTWARE_WEBGL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
NO_WEBGL = ("--disable-3d-apis", "--disable-software-rasterizer")
A_FEW_PICTURES = re.compile(r"^\d+ pictures$")
READY = "html[data-map-ready=true]"

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
    pytest.mark.skipif(not (STATIC / "index.html").exists(), reason="the page is not built: run `make page`"),
]


def chromium_flags(*graphics: str) -> list[str]:
    """Flags for a browser that is quiet on the network and needs no graphics card."""
    return [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        *graphics,
    ]


@pytest.fixture(scope="module")
def address(universe_path: Path) -> Iterator[str]:
    from vector_universe.serve.app import create_app

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create_app(universe_path), port=port, log_level="warning"))
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


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="module")
def browser(chromium):
    browser = chromium.launch(executable_path=CHROMIUM, args=chromium_flags(*SOFTWARE_WEBGL))
    yield browser
    browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None)
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def sky(page, address: str):
    """The page once its map is drawn."""
    page.goto(address)
    page.wait_for_selector(READY)
    return page


def ask(page, text: str) -> None:
    page.get_by_test_id("search-input").fill(text)
    page.get_by_test_id("search-input").press("Enter")


def wait_for_answer(page) -> None:
    sync_api.expect(page.locator("#found-count")).to_have_text(A_FEW_PICTURES, timeout=30_000)
    sync_api.expect(page.get_by_test_id("results")).to_have_attribute("aria-busy", "false")


def lone_star(page) -> int:
    """The index of the star farthest from its nearest neighbour on the screen, clear of what lies over the map."""
    return page.evaluate(
        """async () => {
            const { ids } = await (await fetch("api/map")).json();
            const places = ids.map((_, index) => vectorUniverse.screenPosition(index));
            const gap = ([x, y], self) => Math.min(
                ...places.map(([u, v], other) => (other === self ? Infinity : Math.hypot(x - u, y - v))),
            );
            const clear = ([x, y]) => document.elementFromPoint(x, y)?.id === "stars";
            const gaps = places.map((place, index) => (clear(place) ? gap(place, index) : -1));
            return gaps.indexOf(Math.max(...gaps));
        }"""
    )


def position(page, index: int) -> tuple[float, float]:
    return tuple(page.evaluate("index => vectorUniverse.screenPosition(index)", index))


def title(page, index: int) -> str:
    return page.evaluate("async index => (await (await fetch('api/map')).json()).titles[index]", index)


def test_page_loads_and_map_is_drawn(sky) -> None:
    assert sky.get_by_test_id("map").is_visible()
    assert sky.locator("#sky-note").is_hidden()
    lit = sky.evaluate(
        """() => {
            const stars = document.querySelector("#stars");
            const { data } = stars.getContext("2d").getImageData(0, 0, stars.width, stars.height);
            return data.some((value, byte) => byte % 4 === 3 && value > 100);
        }"""
    )
    assert lit, "no star was drawn"


def test_text_search_fills_the_grid_and_lights_the_hits(sky) -> None:
    before = sky.locator("#stars").screenshot()
    ask(sky, "a red thing")
    wait_for_answer(sky)
    assert sky.get_by_test_id("result").count() > 1
    assert sky.locator(".score-number").first.inner_text().replace("-", "").replace(".", "").isdigit()
    assert sky.locator("#query-star").is_visible()
    assert sky.locator("#stars").screenshot() != before
    assert sky.evaluate("new URLSearchParams(location.hash.slice(1)).get('q')") == "a red thing"


def test_link_with_a_query_searches_at_once(page, address: str) -> None:
    page.goto(f"{address}#q=a+red+thing")
    wait_for_answer(page)
    assert page.get_by_test_id("search-input").input_value() == "a red thing"


def test_picked_picture_searches_and_can_be_removed(sky, tmp_path: Path) -> None:
    sky.get_by_test_id("image-input").set_input_files(red_picture(tmp_path))
    wait_for_answer(sky)
    chip = sky.get_by_test_id("image-chip")
    assert chip.is_visible()
    chip.get_by_role("button").click()
    assert chip.is_hidden()
    sync_api.expect(sky.locator("#found-title")).to_have_text("Look around")


def test_dropped_picture_searches(sky, tmp_path: Path) -> None:
    drop(sky, red_picture(tmp_path).read_bytes(), "red.png", "image/png")
    wait_for_answer(sky)
    assert sky.locator("#found-title").inner_text() == "Like your picture"


def test_dropped_text_file_is_refused(sky) -> None:
    drop(sky, b"words", "notes.txt", "text/plain")
    sync_api.expect(sky.get_by_test_id("message")).to_have_text("“notes.txt” is not a picture.")


def test_hovered_star_shows_its_card(sky) -> None:
    index = lone_star(sky)
    sky.mouse.move(*position(sky, index))
    card = sky.get_by_test_id("hover-card")
    sync_api.expect(card).to_be_visible()
    assert card.locator("strong").inner_text() == title(sky, index)


def test_clicked_star_finds_its_neighbours(sky) -> None:
    index = lone_star(sky)
    sky.mouse.move(*position(sky, index))
    sync_api.expect(sky.get_by_test_id("hover-card")).to_be_visible()
    sky.mouse.click(*position(sky, index))
    wait_for_answer(sky)
    assert title(sky, index) in sky.locator("#found-title").inner_text()


def test_clicked_result_finds_its_neighbours(sky) -> None:
    ask(sky, "a red thing")
    wait_for_answer(sky)
    result = sky.get_by_test_id("result").nth(2)
    name = result.locator(".result-title").inner_text()
    result.click()
    sync_api.expect(sky.locator("#found-title")).to_have_text(f"Near “{name}”")


def test_label_can_be_isolated(sky) -> None:
    row = sky.get_by_test_id("legend").get_by_role("button").first
    before = sky.locator("#stars").screenshot()
    row.click()
    sync_api.expect(row).to_have_attribute("aria-pressed", "true")
    assert sky.locator("#stars").screenshot() != before


def test_script_in_a_title_stays_text(page, address: str) -> None:
    evil = "<img src=x onerror='document.title=\"owned\"'><script>document.title='owned'</script>"

    def with_evil_titles(route) -> None:
        answer = route.fetch()
        body = answer.json()
        route.fulfill(response=answer, json=body | {"titles": [evil] * len(body["titles"])})

    page.route("**/api/map", with_evil_titles)
    page.goto(address)
    page.wait_for_selector(READY)
    page.mouse.move(*position(page, lone_star(page)))
    card = page.get_by_test_id("hover-card")
    sync_api.expect(card.locator("strong")).to_have_text(evil)
    assert page.get_by_test_id("results").locator("script").count() == 0
    assert page.get_by_test_id("result").first.locator(".result-title").text_content() == evil
    assert page.title() != "owned"


def test_servers_error_line_is_shown(sky) -> None:
    sky.route("**/api/search", lambda route: route.fulfill(status=422, json={"detail": "The text is too long."}))
    ask(sky, "a red thing")
    sync_api.expect(sky.get_by_test_id("message")).to_have_text("The text is too long.")
    sky.unroute("**/api/search")
    ask(sky, "a blue thing")
    wait_for_answer(sky)
    assert sky.get_by_test_id("message").is_hidden()


def test_without_webgl_a_note_stands_in_for_the_map_and_search_works(chromium, address: str) -> None:
    browser = chromium.launch(executable_path=CHROMIUM, args=chromium_flags(*NO_WEBGL))
    try:
        page = browser.new_page()
        page.goto(address)
        sync_api.expect(page.locator("#sky-note")).to_contain_text("WebGL")
        ask(page, "a red thing")
        wait_for_answer(page)
        assert page.get_by_test_id("result").count() > 1
    finally:
        browser.close()


def red_picture(folder: Path) -> Path:
    from PIL import Image

    path = folder / "red.png"
    Image.new("RGB", (64, 64), "red").save(path)
    return path


def drop(page, content: bytes, name: str, kind: str) -> None:
    transfer = page.evaluate_handle(
        """({ bytes, name, kind }) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type: kind }));
            return transfer;
        }""",
        {"bytes": list(content), "name": name, "kind": kind},
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
