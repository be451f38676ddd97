"""One small data set, run and universe for all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.pages import (  # noqa: F401
    address,
    browser,
    chromium,
    other_universe_path,
    page,
    page_shapes,
    page_universe_path,
    phone,
)
from tests.pictures import write_shapes
from tests.skips import pytest_collection_modifyitems, pytest_runtest_setup, pytest_unconfigure  # noqa: F401
from vector_universe import DualEncoder, TrainConfig, Universe, load_dataset, train
from vector_universe.training import publish

settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")

SMALL = TrainConfig(embedding_width=64, epochs=30, batch_size=48)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Small tensors only wait for threads, and some library always sets their number back; sums depend on it."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def plain_curves() -> Iterator[None]:
    """Runs of tests leave an empty page of curves: drawing one takes longer than to train. Commands draw theirs."""
    draw, publish.write_curves = publish.write_curves, empty_curves
    yield
    publish.write_curves = draw


def empty_curves(run: Path) -> Path:
    """In place of `write_curves`."""
    (run / "curves.html").write_text("")
    return run / "curves.html"


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures of coloured shapes: "large red circle", …"""
    return write_shapes(tmp_path_factory.mktemp("data") / "shapes")


@pytest.fixture(scope="session")
def small_run(small_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained on the shapes."""
    run = tmp_path_factory.mktemp("runs") / "run"
    train(load_dataset(small_folder), SMALL, run, quiet=True)
    return run


@pytest.fixture(scope="session")
def small_model(small_run: Path) -> DualEncoder:
    """The model of that run."""
    return DualEncoder.from_pretrained(small_run / "model").eval()


@pytest.fixture(scope="session")
def universe_path(small_folder: Path, small_model: DualEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shapes, indexed by that model."""
    path = tmp_path_factory.mktemp("universes") / "universe"
    Universe.build(small_model, load_dataset(small_folder), path)
    return path
