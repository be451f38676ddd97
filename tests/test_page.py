"""The search side of the page in a real browser: asking, results, details, labels to try, comparing, the address."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.pages import EVIL, READY, serve_in_thread

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect


@pytest.fixture
def start(page, address: str):
    """The page with a few items to look at."""
    page.goto(address)
    page.get_by_test_id("result").first.wait_for()
    return page


def ask(page, text: str) -> None:
    page.get_by_test_id("search-input").fill(text)
    page.get_by_test_id("search-input").press("Enter")
    answered(page)


def answered(page) -> None:
    """Wait until the results of what is asked are shown."""
    expect(page.get_by_test_id("count")).to_contain_text(re.compile(r"^\d+ shown"), timeout=20_000)


def chips(page) -> list[str]:
    return [chip.inner_text().replace("\n", " ") for chip in page.get_by_test_id("chip").all()]


def in_address(page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).fragment)


def titles(page) -> list[str]:
    return [title.get_attribute("title") for title in page.locator(".result-title").all()]


def red_picture(folder: Path) -> Path:
    from PIL import Image

    path = folder / "red.png"
    Image.new("RGB", (64, 64), "red").save(path)
    return path


def hand_over(page, event: str, content: bytes, name: str, kind: str) -> None:
    """Drop or paste a file on the page."""
    page.evaluate(
        """({ event, bytes, name, kind }) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type: kind }));
            document.body.dispatchEvent(event === "drop"
                ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }""", {"event": event, "bytes": list(content), "name": name, "kind": kind})


# ---- asking ----

def test_words_are_searched_and_results_have_scores(start) -> None:
    ask(start, "a red circle")
    assert start.get_by_test_id("result").count() == 24
    first = start.get_by_test_id("score").first.inner_text()
    assert re.search(r"\d% likely|-?\d\.\d\d$", first.strip()), first
    assert in_address(start) == {"q": ["a red circle"]}
    ask(start, "blue square")
    assert in_address(start) == {"q": ["blue square"]}, "new words replace the words before"


def test_examples_search(start) -> None:
    example = start.get_by_test_id("example").first
    text = example.inner_text()
    example.click()
    answered(start)
    assert start.get_by_test_id("search-input").input_value() == text


def test_more_words_are_added_or_left_out_and_weighed(start) -> None:
    ask(start, "red")
    box = start.get_by_test_id("search-input")
    box.fill("circle")
    start.get_by_test_id("add-text").click()
    box.fill("small")
    start.get_by_test_id("add-without").click()
    assert chips(start) == ["red", "circle", "without small"]
    start.get_by_role("button", name="circle", exact=True).click()
    start.get_by_test_id("part-editor").get_by_role("button", name="3").click()
    assert chips(start)[1] == "circle ×3"
    assert in_address(start) == {"q": ["red"], "q*3": ["circle"], "not": ["small"]}
    start.get_by_test_id("turn").click()
    assert chips(start) == ["red", "without small", "without circle ×3"]
    start.get_by_role("button", name="Remove “small”").press("Delete")
    assert chips(start) == ["red", "without circle ×3"]
    start.get_by_test_id("clear").click()
    expect(start.get_by_role("heading", name="Look around")).to_be_visible()


def test_an_emptied_box_asks_for_nothing(start) -> None:
    ask(start, "red")
    start.get_by_test_id("search-input").fill("")
    expect(start.get_by_role("heading", name="Look around")).to_be_visible()


def test_picked_picture_searches_beside_words(start, tmp_path: Path) -> None:
    start.get_by_test_id("image-input").set_input_files(red_picture(tmp_path))
    answered(start)
    assert chips(start) == ["red.png"]
    ask(start, "circle")
    assert chips(start) == ["red.png", "circle"]
    start.get_by_role("button", name="Remove “red.png”").click()
    expect(start.get_by_test_id("search-input")).to_have_value("circle")


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_dropped_and_pasted_pictures_search(start, tmp_path: Path, event: str) -> None:
    hand_over(start, event, red_picture(tmp_path).read_bytes(), "red.png", "image/png")
    answered(start)
    assert chips(start) == ["red.png"]


def test_dropped_text_file_is_refused(start) -> None:
    hand_over(start, "drop", b"words", "notes.txt", "text/plain")
    expect(start.get_by_test_id("message")).to_have_text("“notes.txt” is not a picture.")


# ---- filters ----

def test_labels_and_columns_filter(start) -> None:
    start.get_by_test_id("filters").locator("summary").click()
    field = start.get_by_test_id("label-field")
    field.fill("squ")
    field.press("Enter")
    expect(start.get_by_test_id("count")).to_have_text("12 shown · 12 pass the filters")
    start.get_by_test_id("condition-column").select_option("corners")
    start.get_by_test_id("condition-operator").select_option(">=")
    start.get_by_test_id("condition-value").fill("4")
    start.get_by_test_id("condition-add").click()
    start.get_by_role("button", name="square", exact=True).first.click()
    expect(start.get_by_test_id("count")).to_have_text("24 shown · 24 pass the filters")
    assert chips(start) == ["not square", "corners ≥ 4"]
    assert in_address(start) == {"no-label": ["square"], "where": ["corners>=4"]}


def test_wrong_value_of_a_column_says_so(start) -> None:
    start.goto(start.url + "#where=corners%3Dmany")
    expect(start.get_by_test_id("trouble")).to_contain_text("corners")


def test_nothing_passes(page, address: str) -> None:
    page.goto(address + "#label=red&no-label=red")
    expect(page.get_by_test_id("nothing")).to_contain_text("No picture passes all filters")


def test_region_filters_and_is_exported(page, address: str) -> None:
    page.goto(address + "#region=-2,-2;2,-2;2,2;-2,2&label=red")
    answered(page)
    assert chips(page) == ["red", "Area on the map"]
    with page.expect_download() as download:
        page.get_by_test_id("csv").click()
    rows = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    assert len(rows) == 11
    assert rows[0].startswith("id,title,labels")


def test_words_of_titles_and_one_of_copies_are_options(start) -> None:
    ask(start, "large red circle")
    start.get_by_test_id("filters").locator("summary").click()
    start.get_by_test_id("hybrid").check()
    start.get_by_test_id("distinct").check()
    answered(start)
    assert titles(start)[0] == "large red circle"
    assert in_address(start)["hybrid"] == in_address(start)["distinct"] == ["1"]


# ---- results ----

def test_more_results_come_as_one_scrolls(start) -> None:
    ask(start, "red")
    for shown in (48, 60):
        start.locator("#tab-search").evaluate("panel => panel.scrollTo(0, panel.scrollHeight)")
        expect(start.get_by_test_id("result")).to_have_count(shown)
    expect(start.get_by_test_id("more")).to_have_count(0)
    assert len(set(titles(start))) == 60


def test_doubt_is_said(start) -> None:
    def doubtful(route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"doubt": "nothing here matches well"})

    start.route("**/api/search", doubtful)
    ask(start, "xylophone")
    expect(start.get_by_test_id("doubt")).to_have_text("nothing here matches well")


def test_an_error_is_shown_and_tried_again(start) -> None:
    start.route("**/api/search", lambda route: route.fulfill(status=503, json={"detail": "The server is busy."}))
    start.get_by_test_id("search-input").fill("red")
    start.get_by_test_id("search-input").press("Enter")
    expect(start.get_by_test_id("trouble")).to_contain_text("The server is busy.")
    start.unroute("**/api/search")
    start.get_by_role("button", name="Try again").click()
    answered(start)
    expect(start.get_by_test_id("trouble")).to_have_count(0)


def test_a_lost_server_is_said_and_found_again(start) -> None:
    start.clock.install()
    start.reload()
    start.get_by_test_id("result").first.wait_for()
    start.route("**/api/**", lambda route: route.abort())
    start.get_by_test_id("search-input").fill("red")
    start.get_by_test_id("search-input").press("Enter")
    expect(start.get_by_text("The server does not answer.")).to_be_visible()
    start.unroute("**/api/**")
    start.clock.run_for(6_000)
    answered(start)
    expect(start.get_by_text("The server does not answer.")).to_have_count(0)


def test_a_changed_index_is_followed(start) -> None:
    ask(start, "red")

    def newer(route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"version": "newer", "count": 61})

    start.route("**/api/info", newer)
    start.route("**/api/search", newer)
    ask(start, "blue")
    expect(start.get_by_test_id("message")).to_contain_text("it now holds 61 pictures")
    assert start.get_by_test_id("search-input").input_value() == "blue"


def test_script_in_a_title_stays_text(page, address: str) -> None:
    page.goto(address + "#label=black&label=cross")
    answered(page)
    assert EVIL in titles(page)
    page.get_by_test_id("result").filter(has_text="onerror").click()
    expect(page.get_by_test_id("details").locator("h2")).to_have_text(EVIL)
    assert page.locator(".panel script, .details script").count() == 0
    assert page.title() != "owned"


# ---- details ----

def test_details_show_everything_and_lead_on(start) -> None:
    ask(start, "a red circle")
    result = start.get_by_test_id("result").nth(1)
    result.click()
    details = start.get_by_test_id("details")
    expect(details.locator("dl")).to_contain_text("corners")
    expect(start.get_by_test_id("details-close")).to_be_focused()
    start.keyboard.press("Escape")
    expect(details).to_have_count(0)
    expect(result).to_be_focused()
    result.click()
    name = details.locator("h2").inner_text()
    details.get_by_test_id("more-like").click()
    assert chips(start) == [name]
    answered(start)
    details.get_by_test_id("without-this").click()
    assert chips(start) == [name, f"without {name}"]
    details.get_by_test_id("details-label").first.click()
    assert "label" in in_address(start)
    details.get_by_test_id("show-on-map").click()
    expect(start).to_have_url(re.compile("camera="))


def test_pointing_at_a_result_lights_its_star(start) -> None:
    start.wait_for_selector(READY)
    start.get_by_test_id("result").first.hover()
    expect(start.get_by_test_id("result").first).to_have_class(re.compile("pointed"))


# ---- labels to try ----

def test_labels_are_tried_on_a_picture(start, tmp_path: Path) -> None:
    start.get_by_role("tab", name="Try labels").click()
    start.get_by_test_id("trial-labels").fill("red, green,")
    start.get_by_test_id("trial-labels").fill("blue")
    start.get_by_test_id("trial-labels").press("Enter")
    start.get_by_test_id("trial-input").set_input_files(red_picture(tmp_path))
    bars = start.get_by_test_id("bars").locator("tbody tr")
    expect(bars).to_have_count(3)
    assert in_address(start) == {"tab": ["labels"], "try": ["red", "green", "blue"]}
    start.get_by_role("button", name="Remove “green”").click()
    expect(bars).to_have_count(2)


def test_labels_are_tried_on_the_opened_item(page, address: str) -> None:
    page.goto(address + "#tab=labels&try=circle&try=square&open=00.png")
    expect(page.get_by_test_id("bars").locator("tbody tr")).to_have_count(2)
    expect(page.get_by_test_id("trial")).to_contain_text("small red circle")


# ---- comparing ----

def test_two_models_answer_side_by_side(page, page_universe_path: Path, other_universe_path: Path) -> None:
    from vector_universe.serve.app import create_app

    for address in serve_in_thread(create_app(page_universe_path, compare_with=other_universe_path)):
        page.goto(address + "#q=large+red+circle")
        answered(page)
        page.get_by_test_id("compare").click()
        both = page.get_by_test_id("both")
        expect(both.get_by_test_id("results")).to_have_count(2)
        assert both.locator(".change").count() == 24
        assert in_address(page) == {"q": ["large red circle"], "compare": ["1"]}


# ---- the address ----

def test_an_address_restores_the_page(page, address: str) -> None:
    page.goto(address + "#q*2=red&item=00.png&not=cross&label=red&distinct=1&open=02.png&camera=0.1,0.2,3&lang=ko"
                        "&theme=light")
    expect(page.get_by_test_id("details").locator("h2")).to_have_text("small red square")
    assert chips(page) == ["red ×2", "small red circle", "제외 cross", "red"]
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dataset.theme]") == ["ko", "light"]
    restored = in_address(page)
    assert restored["camera"] == ["0.1,0.2,3"]
    assert restored["open"] == ["02.png"]


def test_back_and_forward(start, tmp_path: Path) -> None:
    ask(start, "red")
    start.get_by_test_id("image-input").set_input_files(red_picture(tmp_path))
    expect(start.get_by_test_id("chip")).to_have_count(2)
    ask(start, "blue")
    start.go_back()
    expect(start.get_by_test_id("chip").first).to_contain_text("red")
    assert sorted(chips(start)) == ["red", "red.png"], "pictures come back too"
    start.go_back()
    expect(start.get_by_test_id("search-input")).to_have_value("red")
    start.go_forward()
    expect(start.get_by_test_id("chip")).to_have_count(2)


@pytest.mark.parametrize("nonsense", [
    "q*-1=x&q*e=y&item=no-such&label=no-such&where=no-such%3D1&region=1,2;x,3&camera=1e99,NaN&open=no-such",
    "%E0%A4%A&&=&compare=1&colour=plaid&tab=x&lang=xx&theme=pink&region=1,1",
])
def test_nonsense_in_the_address_is_ignored(page, address: str, nonsense: str) -> None:
    page.goto(f"{address}#{nonsense}")
    expect(page.get_by_role("heading", name="Look around")).to_be_visible()
    page.get_by_test_id("result").first.wait_for()
    assert page.get_by_test_id("chip").count() == 0


# ---- the reader's settings ----

def test_language_and_theme_are_chosen_and_kept(start) -> None:
    start.get_by_test_id("settings").click()
    start.get_by_test_id("language").select_option("ko")
    start.get_by_test_id("theme").select_option("light")
    expect(start.get_by_role("heading", name="둘러보기")).to_be_visible()
    assert start.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    start.goto("about:blank")
    start.go_back()
    expect(start.get_by_role("heading", name="둘러보기")).to_be_visible()


def test_slash_goes_to_the_search_box(start) -> None:
    start.locator("h1").click()
    start.keyboard.press("/")
    expect(start.get_by_test_id("search-input")).to_be_focused()


def test_nothing_overflows_on_a_phone(phone, address: str) -> None:
    phone.goto(address + "#q=red&not=" + "long" * 40 + "&label=red&open=00.png")
    phone.get_by_test_id("details").locator("h2").wait_for()
    answered(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    box = phone.get_by_test_id("details").bounding_box()
    assert (box["x"], box["width"]) == (0, 390), "the details are a sheet"


def test_a_universe_that_cannot_be_had_says_why_and_is_opened_later(page, address: str) -> None:
    page.clock.install()
    page.route("**/api/info", lambda route: route.fulfill(status=503, json={"detail": "The index is being rebuilt."}))
    page.goto(address)
    expect(page.get_by_test_id("failure")).to_contain_text("The index is being rebuilt.")
    page.unroute("**/api/info")
    page.clock.run_for(6_000)
    page.get_by_test_id("result").first.wait_for()
