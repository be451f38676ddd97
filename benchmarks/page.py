"""How fast the page is where nothing but the processor draws: frames a second while zooming, first paint, hovering.

`python -m benchmarks.page [--quick]` serves the built page over made-up universes of 100,000 and 1,000,000 items and
drives it in headless Chromium with 1280 × 800 pixels. `make page` must have built the page, and a Chromium must be
there: what the variable CHROMIUM names, or one that is installed.
"""

from __future__ import annotations

import argparse
import gzip
import statistics

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.chromium import find_chromium
from benchmarks.report import report
from benchmarks.synthetic_page import STATIC, SyntheticUniverse, served

FLAGS = ("--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
READY = "html[data-map-ready=true]"

# A wheel event in every frame: in and out around a place that wanders over the map.
ZOOM = """async (seconds) => {
    const canvas = document.querySelector("#stars");
    const box = canvas.getBoundingClientRect();
    const gaps = [];
    const first = vectorUniverse.frames();
    const start = await new Promise(requestAnimationFrame);
    for (let last = start, now = start; now - start < seconds * 1000; last = now) {
        const time = (now - start) / 1000;
        canvas.dispatchEvent(new WheelEvent("wheel", {
            deltaY: -28 * Math.sin(time * 1.6), bubbles: true, cancelable: true,
            clientX: box.left + box.width * (0.5 + 0.2 * Math.cos(time)),
            clientY: box.top + box.height * (0.5 + 0.2 * Math.sin(time * 1.3)),
        }));
        now = await new Promise(requestAnimationFrame);
        if (now > last) gaps.push(now - last);
    }
    const total = gaps.reduce((sum, gap) => sum + gap, 0);
    gaps.sort((a, b) => a - b);
    return { callbacks: 1000 * gaps.length / total, draws: 1000 * (vectorUniverse.frames() - first) / total,
             slowest: gaps.at(-1), nearlySlowest: gaps[Math.floor(gaps.length * 0.99)] };
}"""

# From the mouse's move to the frame in which the card bears the star's title.
HOVER = """async ([row, title]) => {
    const canvas = document.querySelector("#stars");
    const [x, y] = vectorUniverse.screenPosition(row);
    const start = performance.now();
    canvas.dispatchEvent(new PointerEvent("pointermove", {
        clientX: x, clientY: y, pointerType: "mouse", bubbles: true }));
    for (let tries = 0; tries < 200; tries++) {
        const said = document.querySelector(".hover-card strong")?.textContent;
        if (said && (title === null || said === title)) return performance.now() - start;
        await new Promise(requestAnimationFrame);
    }
    return null;
}"""


def measure_map(browser: Browser, count: int, seconds: float, repeats: int) -> None:
    case = f"{count:,} stars"
    with served(SyntheticUniverse(count)) as address:
        paints = []
        for _ in range(repeats):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(address, wait_until="commit")
            page.wait_for_selector(READY)
            paints.append(page.evaluate("performance.getEntriesByName('map drawn')[0].startTime") / 1000)
            if len(paints) < repeats:
                page.close()
        report(case, "first paint, s", statistics.median(paints), "navigation → first stars drawn")
        page.wait_for_timeout(1500)
        measure_zoom(page, case, seconds)
        measure_hover(page, case)
        page.close()


def measure_zoom(page: Page, case: str, seconds: float) -> None:
    page.evaluate(ZOOM, 1)  # the drawing budget settles
    found = page.evaluate(ZOOM, seconds)
    report(case, "maps drawn a second while zooming", found["draws"])
    report(case, "animation frames a second while zooming", found["callbacks"])
    report(case, "99th percentile of frames, ms", found["nearlySlowest"])
    report(case, "slowest frame, ms", found["slowest"])


def measure_hover(page: Page, case: str) -> None:
    page.get_by_test_id("zoom-home").click()
    page.wait_for_timeout(2500)
    times = []
    for row in range(40):
        time = page.evaluate(HOVER, [row, None])
        page.evaluate("""() => {
            document.querySelector("#stars").dispatchEvent(new PointerEvent("pointerleave"));
            return new Promise(requestAnimationFrame);
        }""")
        if time is not None:
            times.append(time)
    times.sort()
    report(case, "hover to card, ms, median", statistics.median(times))
    report(case, "hover to card, ms, slowest of 40", times[-1])


def measure_weight() -> None:
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    report("page", "weight gzipped, KB", sum(len(gzip.compress(path.read_bytes())) for path in files) / 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter runs, one load each")
    quick = parser.parse_args().quick
    if not (STATIC / "index.html").exists():
        raise SystemExit("The page is not built: run `make page`.")
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit("No Chromium is here: install one, or name it in the variable CHROMIUM.")
    measure_weight()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for count in (100_000, 1_000_000):
            measure_map(browser, count, seconds=3 if quick else 10, repeats=1 if quick else 3)
        browser.close()


if __name__ == "__main__":
    main()
