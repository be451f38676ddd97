"""The map of the page in a real browser: stars, gestures, lasso, pictures, two maps, and its states."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.chromium import chromium_path
from benchmarks.synthetic_page import SyntheticUniverse, map_bytes, served
from tests.pages import NO_WEBGL, READY, chromium_flags

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

PIXELS = """() => {
    const stars = document.querySelector("#stars");
    const { data } = stars.getContext("2d").getImageData(0, 0, stars.width, stars.height);
    let lit = 0, sum = 0;
    for (let i = 0; i < data.length; i += 4) {
        if (data[i] + data[i + 1] + data[i + 2] > 330) lit++;
        sum = (sum * 31 + data[i] + 2 * data[i + 1] + 3 * data[i + 2]) % 1000003;
    }
    return { lit, sum };
}"""

# The row farthest from its nearest neighbour on the screen, clear of what lies over the map.
LONE_STAR = """count => {
    const places = Array.from({ length: count }, (_, row) => vectorUniverse.screenPosition(row));
    const gap = ([x, y], self) => Math.min(
        ...places.map((other, row) => (row === self ? Infinity : Math.hypot(x - other[0], y - other[1]))));
    const clear = ([x, y]) => document.elementFromPoint(x, y)?.id === "stars";
    const gaps = places.map((place, row) => (clear(place) ? gap(place, row) : -1));
    return gaps.indexOf(Math.max(...gaps));
}"""


@pytest.fixture(scope="module")
def made_up():
    """The page over 400 made-up stars."""
    universe = SyntheticUniverse(400)
    with served(universe) as address:
        yield universe, address


@pytest.fixture
def sky(page, made_up):
    """The page once its map is drawn."""
    page.goto(made_up[1])
    page.wait_for_selector(READY)
    return page


def position(page, row: int) -> tuple[float, float]:
    return tuple(page.evaluate("row => vectorUniverse.screenPosition(row)", row))


def lone_star(page, count: int = 400) -> int:
    return page.evaluate(LONE_STAR, count)


def pixels(page) -> dict:
    """Of the map at rest: how many are bright, and a sum that changes with any of them."""
    page.wait_for_timeout(120)
    return page.evaluate(PIXELS)


def middle(page) -> tuple[float, float]:
    box = page.locator("#stars").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_stars_are_drawn(sky) -> None:
    assert pixels(sky)["lit"] > 400
    assert sky.get_by_test_id("sky-note").count() == 0


def test_the_map_is_drawn_without_webgl_too(chromium, made_up) -> None:
    browser = chromium.launch(executable_path=chromium_path(), args=chromium_flags(*NO_WEBGL))
    try:
        page = browser.new_page(color_scheme="dark")
        page.goto(made_up[1])
        page.wait_for_selector(READY)
        assert pixels(page)["lit"] > 400
    finally:
        browser.close()


def test_hovered_star_shows_its_card(sky) -> None:
    row = lone_star(sky)
    sky.mouse.move(*position(sky, row))
    expect(sky.get_by_test_id("hover-card").locator("strong")).to_have_text(f"Star number {row}")
    sky.mouse.move(5, 5)
    expect(sky.get_by_test_id("hover-card")).to_have_count(0)


def test_clicked_star_opens_and_asks_for_its_neighbours(sky) -> None:
    row = lone_star(sky)
    with sky.expect_request("**/api/search") as asked:
        sky.mouse.click(*position(sky, row))
    assert asked.value.post_data_json["like"] == [{"item": f"item-{row}", "weight": 1}]


def test_dragged_map_follows_the_mouse(sky) -> None:
    x, y = position(sky, 3)
    left, top = middle(sky)
    sky.mouse.move(left, top)
    sky.mouse.down()
    sky.mouse.move(left + 90, top - 40, steps=4)
    sky.mouse.up()
    assert position(sky, 3) == pytest.approx((x + 90, y - 40), abs=1)


def test_wheel_zooms_at_the_mouse(sky) -> None:
    row = lone_star(sky)
    x, y = position(sky, row)
    before = position(sky, 0)
    sky.mouse.move(x, y)
    sky.mouse.wheel(0, -400)
    sky.wait_for_function("before => vectorUniverse.screenPosition(0)[0] !== before", arg=before[0])
    assert position(sky, row) == pytest.approx((x, y), abs=1)
    after = position(sky, 0)
    assert np.hypot(after[0] - x, after[1] - y) > 1.3 * np.hypot(before[0] - x, before[1] - y)


def test_keys_move_zoom_and_open(sky) -> None:
    home = position(sky, 0)
    sky.locator("#stars").focus()
    sky.keyboard.press("ArrowRight")
    assert position(sky, 0)[0] < home[0] - 50
    sky.keyboard.press("+")
    expect(sky.get_by_test_id("sky-spoken")).to_contain_text("Star number")
    sky.keyboard.press("0")
    assert position(sky, 0) == pytest.approx(home, abs=1)
    with sky.expect_request("**/api/search") as asked:
        sky.keyboard.press("Enter")
    assert asked.value.post_data_json["like"][0]["item"].startswith("item-")


def test_buttons_zoom(sky) -> None:
    left, _ = middle(sky)
    x, _ = position(sky, 0)
    sky.get_by_test_id("zoom-in").click()
    assert abs(position(sky, 0)[0] - left) > 1.5 * abs(x - left)
    sky.get_by_test_id("zoom-home").click()
    assert position(sky, 0)[0] == pytest.approx(x, abs=1)


def draw_lasso(page, radius: float = 120) -> None:
    left, top = middle(page)
    page.mouse.move(left + radius, top)
    page.mouse.down()
    for step in range(1, 90):
        angle = 2 * np.pi * step / 90
        page.mouse.move(left + radius * np.cos(angle), top + radius * np.sin(angle))
    page.mouse.up()


def test_lasso_asks_for_a_region_of_few_corners(sky) -> None:
    sky.get_by_test_id("lasso").click()
    with sky.expect_request("**/api/search") as asked:
        draw_lasso(sky)
    region = np.array(asked.value.post_data_json["region"])
    assert 8 <= len(region) <= 60
    radii = np.hypot(*(region - region.mean(axis=0)).T)
    assert radii.std() / radii.mean() < 0.05
    clear = sky.get_by_test_id("lasso-clear")
    expect(clear).to_be_visible()
    clear.click()
    expect(clear).to_have_count(0)


def test_shift_and_drag_draw_a_lasso_and_escape_stops_one(sky) -> None:
    before = position(sky, 0)
    sky.keyboard.down("Shift")
    with sky.expect_request("**/api/search"):
        draw_lasso(sky, 60)
    sky.keyboard.up("Shift")
    assert position(sky, 0) == before
    sky.locator("#stars").focus()
    sky.keyboard.press("l")
    expect(sky.get_by_test_id("lasso")).to_have_attribute("aria-pressed", "true")
    sky.keyboard.press("Escape")
    expect(sky.get_by_test_id("lasso")).to_have_attribute("aria-pressed", "false")


def test_label_in_the_legend_dims_all_others(sky) -> None:
    before = pixels(sky)["lit"]
    row = sky.get_by_test_id("legend").locator(".legend-row").first
    row.click()
    expect(row).to_have_attribute("aria-pressed", "true")
    assert 0 < pixels(sky)["lit"] < before * 0.6
    row.click()
    expect(row).to_have_attribute("aria-pressed", "false")
    assert pixels(sky)["lit"] == pytest.approx(before, rel=0.05)


def test_stars_are_coloured_by_topic_and_by_score(sky) -> None:
    by_label = pixels(sky)["sum"]
    sky.get_by_test_id("colouring").select_option("topic")
    assert pixels(sky)["sum"] != by_label
    sky.mouse.click(*position(sky, lone_star(sky)))
    expect(sky.get_by_test_id("colouring").locator("option[value=score]")).to_have_count(1)
    with sky.expect_response("**/api/scores"):
        sky.get_by_test_id("colouring").select_option("score")
    expect(sky.get_by_test_id("ramp")).to_be_visible()


def test_pictures_appear_from_close_by_and_leave_from_afar(sky) -> None:
    row = lone_star(sky)
    sky.mouse.move(*position(sky, row))
    sky.mouse.wheel(0, -900)
    sky.mouse.wheel(0, -900)
    expect(sky.locator(".sky-thumbnail.ready").first).to_be_attached()
    shown = sky.locator(".sky-thumbnail.ready").count()
    assert 1 <= shown <= 90
    boxes = sky.locator(".sky-thumbnail").evaluate_all(
        "images => images.map(image => image.getBoundingClientRect()).map(({ x, y, width }) => [x, y, width])")
    for number, (x, y, width) in enumerate(boxes):
        for u, v, _ in boxes[:number]:
            assert max(abs(x - u), abs(y - v)) >= width


def test_hits_far_away_are_flown_to(sky) -> None:
    sky.get_by_test_id("zoom-in").click()
    for _ in range(5):
        sky.locator("#stars").press("ArrowLeft")
    with sky.expect_response("**/api/search") as answer:
        sky.get_by_test_id("search-input").fill("stars")
        sky.get_by_test_id("search-input").press("Enter")
    row = answer.value.json()["hits"][0]["row"]
    sky.wait_for_timeout(100)
    box = sky.locator("#stars").bounding_box()
    x, y = position(sky, row)
    assert box["x"] < x < box["x"] + box["width"]
    assert box["y"] < y < box["y"] + box["height"]


def with_other(page, universe: SyntheticUniverse) -> None:
    """Makes the universe one that is compared with another, whose stars lie mirrored."""
    info = universe.info()
    info["other"] = {"name": "Other", "model": "other model", "topics": info["topics"], "calibrated": False,
                     "kept": 0.5}
    columns = {"x": -universe.places[:, 0], "y": universe.places[:, 1], "topic": universe.topic,
               "label_start": np.arange(universe.count + 1, dtype="<u4"), "labels": universe.label}
    page.route("**/api/info", lambda route: route.fulfill(json=info))
    page.route("**/api/map?of=other", lambda route: route.fulfill(body=map_bytes("1", universe.count, columns)))


def test_two_maps_share_a_camera_and_point_at_the_same_item(page, made_up) -> None:
    universe, address = made_up
    with_other(page, universe)
    page.goto(f"{address}#compare=1")
    page.wait_for_selector(READY)
    head = page.get_by_test_id("compare-head")
    expect(head).to_contain_text("other model")
    before = pixels(page)["sum"]
    row = lone_star(page)
    page.mouse.move(*position(page, row))
    expect(page.get_by_test_id("hover-card").locator("strong")).to_have_text(f"Star number {row}")
    assert pixels(page)["sum"] != before
    page.get_by_test_id("morph").click()
    expect(page.get_by_test_id("compare-way").locator("input")).to_have_value("1")
    page.get_by_test_id("colouring").select_option("moved")
    expect(page.get_by_test_id("ramp")).to_be_hidden()  # two maps need the room
    page.get_by_test_id("legend").get_by_role("button").click()
    expect(page.get_by_test_id("ramp")).to_be_visible()


def with_map(page, places: np.ndarray) -> None:
    """Puts a map of the given places before the page."""
    count = len(places)
    columns = {"x": places[:, 0].astype("<f4"), "y": places[:, 1].astype("<f4"), "topic": np.full(count, 65535, "<u2"),
               "label_start": np.zeros(count + 1, "<u4"), "labels": np.zeros(0, "<u2")}
    page.route("**/api/map?of=this", lambda route: route.fulfill(body=map_bytes("1", count, columns)))


@pytest.mark.parametrize("places", [
    pytest.param(np.zeros((1, 2)), id="one item"),
    pytest.param(np.full((300, 2), 0.25), id="all in one place"),
    pytest.param(np.array([[0.1, 0.2], [np.nan, np.nan]]), id="one without a place"),
])
def test_odd_maps_are_drawn(page, made_up, places) -> None:
    with_map(page, places)
    page.goto(made_up[1])
    page.wait_for_selector(READY)
    assert position(page, 0) == pytest.approx(middle(page), abs=2)
    assert pixels(page)["lit"] > 0


def test_an_empty_universe_says_so(page, made_up) -> None:
    with_map(page, np.zeros((0, 2)))
    page.goto(made_up[1])
    expect(page.get_by_test_id("sky-note")).to_contain_text("empty")


def test_a_failure_says_why(page, made_up) -> None:
    page.route("**/api/map?of=this", lambda route: route.fulfill(
        status=503, body=json.dumps({"detail": "The index is being moved."}), content_type="application/json"))
    page.goto(made_up[1])
    expect(page.get_by_test_id("sky-note")).to_contain_text("The index is being moved.")


def test_a_tap_opens_a_star_on_a_phone(phone, made_up) -> None:
    phone.goto(made_up[1])
    phone.wait_for_selector(READY)
    row = lone_star(phone)
    with phone.expect_request("**/api/search") as asked:
        phone.touchscreen.tap(*position(phone, row))
    assert asked.value.post_data_json["like"][0]["item"] == f"item-{row}"
