"""What the doctor says of real posters, counted here by other means."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from vector_universe import load_dataset
from vector_universe.data.doctor import check_data

POSTERS = Path(__file__).parents[2] / "shared" / "data" / "movie-posters-3000"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not POSTERS.is_dir(), reason="needs ../shared/data")]


@pytest.fixture(scope="module")
def report():
    return check_data(load_dataset(POSTERS), quiet=True)


@pytest.fixture(scope="module")
def cases(report):
    return {finding.kind: finding.cases for finding in report.findings}


def test_identical_images_are_those_of_equal_bytes(cases):
    groups = defaultdict(set)
    for path in (POSTERS / "images").iterdir():
        groups[hashlib.sha256(path.read_bytes()).hexdigest()].add(path.name)
    pairs = {frozenset((case.file, case.partner_file)) for kind in ("image_identical", "image_identical_across_splits")
             for case in cases[kind]}
    assert pairs == {frozenset(names) for names in groups.values() if len(names) > 1}
    assert len(pairs) == 10


def test_mojibake_is_what_reads_as_utf_8_again_and_what_has_lost_bytes(cases):
    with (POSTERS / "metadata.csv").open(newline="", encoding="utf-8-sig") as file:
        titles = {row["file_name"]: row["title"] for row in csv.DictReader(file)}
    found = {case.file for case in cases["text_mojibake"]}
    round_trip = {name for name, title in titles.items() if reads_again(title)}
    assert len(round_trip) > 80
    assert round_trip <= found
    # Every title beyond ASCII is damaged in this set (read through by eye): "FilemÃ_n" has lost a byte for good.
    beyond = {name for name, title in titles.items() if not title.isascii()}
    assert found <= beyond
    assert {titles[name] for name in beyond - found} == {"AÌøe"}


def test_the_verdict_is_the_leak(report):
    assert Counter(finding.severity for finding in report.findings)["error"] == 1
    assert report.verdict.startswith("2 test images also occur in train, 2 validation images also occur in train")


def reads_again(title):
    for wrong in ("cp1252", "latin-1"):
        try:
            if title.encode(wrong).decode("utf-8") != title:
                return True
        except UnicodeError:
            continue
    return False
