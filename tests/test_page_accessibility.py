"""The page for everyone: axe-core finds nothing serious in any state, theme or language; keys reach everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages import READY

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

AXE = Path(__file__).parents[1] / "web" / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: run `make page`")

ASKED = "q*2=red&item=00.png&not=cross&label=red&no-label=square&where=corners%3E%3D3"
STATES = {
    "nothing asked": ("", "[data-testid=result]"),
    "results": ("q=red", "[data-testid=score]"),
    "chips": (ASKED, "[data-testid=score]"),
    "light": (ASKED + "&theme=light", "[data-testid=score]"),
    "details": ("q=red&open=00.png", "[data-testid=details] dl"),
    "details, light": ("q=red&open=00.png&theme=light", "[data-testid=details] dl"),
    "nothing found": ("label=red&no-label=red", "[data-testid=nothing]"),
    "error": ("where=corners%3Dmany", "[data-testid=trouble]"),
    "labels to try": ("tab=labels&try=circle&try=square&open=00.png", "[data-testid=bars]"),
    "Korean, light": ("q=red&lang=ko&theme=light", "[data-testid=score]"),
}


def serious(page) -> list[str]:
    """What axe-core finds that is serious or critical, with the first place of each."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary'][:300]}"
            for one in found["violations"] if one["impact"] in ("serious", "critical")]


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_serious(page, address: str, state: str) -> None:
    fragment, sign = STATES[state]
    page.goto(f"{address}#{fragment}")
    page.wait_for_selector(sign)
    page.wait_for_selector(READY)
    assert serious(page) == []


def test_axe_finds_nothing_serious_in_what_is_folded_away(page, address: str) -> None:
    page.goto(address + "#q=red&not=blue")
    page.wait_for_selector("[data-testid=score]")
    page.get_by_test_id("filters").locator("summary").click()
    page.get_by_test_id("label-field").fill("r")
    page.get_by_role("button", name="red", exact=True).first.click()
    page.get_by_test_id("settings").click()
    assert serious(page) == []


def test_axe_finds_nothing_serious_on_a_phone(phone, address: str) -> None:
    phone.goto(address + "#" + ASKED)
    phone.wait_for_selector("[data-testid=score]")
    assert serious(phone) == []


def test_touch_targets_are_large_on_a_phone(phone, address: str) -> None:
    phone.goto(address + "#" + ASKED)
    phone.wait_for_selector("[data-testid=score]")
    small = phone.evaluate("""() => [...document.querySelectorAll(
            ".panel button, .panel summary, .panel select, .panel label:has(input[type=file], [type=checkbox])")]
        .filter((one) => one.getClientRects().length && one.getBoundingClientRect().height < 44)
        .map((one) => one.outerHTML.slice(0, 120))""")
    assert small == []


def test_everything_is_reached_by_keys(page, address: str) -> None:
    page.goto(address + "#q=red")
    page.wait_for_selector("[data-testid=score]")
    page.get_by_test_id("search-input").focus()
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.testid ?? document.activeElement.tagName"))
    assert {"image-input", "SUMMARY", "csv", "result"} <= reached
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("details")).to_be_visible()


def test_what_was_found_is_announced(page, address: str) -> None:
    page.goto(address + "#q=red")
    page.wait_for_selector("[data-testid=score]")
    expect(page.get_by_role("status").filter(has_text="shown")).to_have_text("24 shown")
