"""One small run from pictures to search, whose outcome is pinned: a change here is a change of behaviour."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vector_universe import DualEncoder, Universe, load_dataset
from vector_universe.evaluation.evaluators.retrieval import retrieval_by_split
from vector_universe.evaluation.subject import Subject


def test_the_run_learns_what_it_was_shown(small_folder: Path, small_model: DualEncoder) -> None:
    subject = Subject.of(small_model, load_dataset(small_folder))
    figures = retrieval_by_split(subject)
    assert len(subject.examples) == 60
    assert figures.text_to_image["train"].recall_at_10 == 1.0
    assert figures.text_to_image["train"].recall_at_1 >= 0.95
    assert figures.image_to_text["train"].recall_at_10 == 1.0


def test_the_first_losses_are_those_of_this_seed(small_run: Path) -> None:
    records = [json.loads(line) for line in (small_run / "metrics.jsonl").read_text().splitlines()]
    losses = {record["step"]: record["loss"] for record in records if "loss" in record}
    assert losses[0] == pytest.approx(4.053, abs=0.02)
    assert losses[max(losses)] < 1.5


@pytest.mark.parametrize("colour", ["red", "blue", "yellow"])
def test_a_search_finds_the_colour_at_the_top(universe_path: Path, colour: str) -> None:
    hits = Universe.open(universe_path).search(colour, k=5)
    assert sum(colour in hit.title for hit in hits) >= 4


def test_a_picture_finds_itself(universe_path: Path, small_folder: Path) -> None:
    hit = Universe.open(universe_path).search(image=small_folder / "images" / "07.png", k=1)[0]
    assert hit.id == "07.png"
    assert hit.score == pytest.approx(1, abs=1e-5)
