"""Hooks of pytest: tests whose browser is not here skip before anything is built, and a run ends by saying why."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.chromium import chromium_path
from tests.pages import STATIC


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test that uses a browser is marked so, whatever its file: `-m browser` picks them."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser"):
        if chromium_path() is None:
            pytest.skip("no Chromium is here")
        if not (STATIC / "index.html").exists():
            pytest.skip("the page is not built: run `make page`")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of a run: how many tests were skipped for want of what."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:  # a process that tests for another has none
        reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", []))
        if reasons:
            reporter.write_line("Skipped: " + "; ".join(f"{count} × {why}" for why, count in reasons.most_common()))
