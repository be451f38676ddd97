"""The collapse that went unnoticed, reproduced to its digits, named in time, and absent under the other objectives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.collapse import (
    MAP_BATCH,
    PAIRS,
    POSITIVE_WEIGHT,
    WIDTH,
    free_embeddings,
    map_objectives,
    measure_map,
    objectives,
    plot,
    start,
    train_map,
)
from vector_universe.losses import AlignmentAnisotropy


@pytest.fixture(scope="module")
def as_written():
    return free_embeddings(objectives()["as_written"], steps=170)


def test_the_start_is_that_of_the_log():
    rows = start()
    loss = objectives()["as_written"](*rows)
    assert [tuple(each.shape) for each in rows] == [(PAIRS, WIDTH)] * 4
    assert loss.total.item() == pytest.approx(0.184, abs=1e-5)
    assert loss.parts["anisotropy"].item() == pytest.approx(0.359, abs=1e-5)
    assert loss.parts["alignment"].item() == pytest.approx(-2 * 0.0875, abs=1e-5)


def test_as_written_it_collapses_with_the_digits_of_the_log(as_written):
    assert as_written.loss == pytest.approx(-1.3409, abs=5e-5)
    assert as_written.parts["anisotropy"] == pytest.approx(-1.9643, abs=5e-5)
    assert as_written.geometry.pair_cosine == pytest.approx(-1, abs=1e-4)
    assert as_written.geometry.recall_at_1 == pytest.approx(1 / 56)
    assert as_written.geometry.effective_rank == pytest.approx(1, abs=1e-3)


def test_the_monitor_names_it_before_step_50_and_once(as_written):
    assert 0 < as_written.first_warning_step < 50
    assert [verdict.name for verdict in as_written.verdicts] == ["opposite_poles"]
    assert "opposite poles" in as_written.verdicts[0].text


@pytest.mark.parametrize("name", ["info_nce", "log_sum_exp", "spectral"])
def test_from_the_same_start_the_others_end_well_and_unwarned(name):
    outcome = free_embeddings(objectives()[name], steps=80)
    assert outcome.geometry.recall_at_1 == 1
    assert outcome.geometry.effective_rank > 30
    assert outcome.first_warning_step == -1


def test_log_sum_exp_between_images_and_texts_alone_collapses_too_and_is_named():
    """What keeps the full form upright are its terms within the images and within the texts."""
    outcome = free_embeddings(AlignmentAnisotropy("log_sum_exp", POSITIVE_WEIGHT, cross_modal_only=True), steps=50)
    assert outcome.geometry.pair_cosine < -0.9
    assert 0 < outcome.first_warning_step < 50


def test_a_map_is_measured_and_drawn(tmp_path, as_written):
    generator = torch.Generator().manual_seed(0)
    cone, rows = (torch.randn(size, 16, generator=generator) for size in (1, MAP_BATCH))
    vectors = F.normalize(2 * cone + rows, dim=1)
    before = measure_map(vectors, vectors)
    assert before.neighbours_kept == 1
    assert before.spectrum_D.sum() == pytest.approx(1, abs=1e-5)
    assert np.all(np.diff(before.spectrum_D) <= 1e-6)
    after = measure_map(vectors, train_map(vectors, map_objectives()["mean"], steps=200))
    assert after.mean_cosine < before.mean_cosine / 2
    assert 0.1 < after.neighbours_kept < 1
    plot({"as_written": as_written}, {"before": before, "after": after}, tmp_path / "new" / "plot.png")
    assert (tmp_path / "new" / "plot.png").stat().st_size > 10_000
