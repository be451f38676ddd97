"""The collapse monitor: silent over healthy runs, quick to name a collapse, and never the same thing twice."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from tests.pictures import write_shapes
from vector_universe import TrainConfig, load_dataset, train
from vector_universe.evaluation.geometry import Geometry
from vector_universe.losses import LossOutput
from vector_universe.training import loop
from vector_universe.training.monitor import LEAVE_AFTER, PATIENCE, WEAK_AFTER, CollapseMonitor
from vector_universe.training.tasks import build

HEALTHY = Geometry(pair_cosine=0.4, off_pair_cosine=0.0, modality_gap=0.3, image_effective_rank=30.0,
                   text_effective_rank=60.0, alignment=1.2, image_uniformity=-3.4, text_uniformity=-3.8,
                   recall_at_1=0.7, chance_at_1=1 / 128)
FRESH = replace(HEALTHY, pair_cosine=0.93, off_pair_cosine=0.93, image_effective_rank=1.4, text_effective_rank=1.7,
                recall_at_1=1 / 128)

# (pair cosine, off-pair cosine, effective ranks of images and texts, recall) every 10 steps of the emoji demo.
EMOJI = [(-.011, -.013, 2.9, 36.7, .020), (.039, .027, 1.8, 35.3, .004), (.084, .038, 3.1, 31.2, .039),
         (.083, .015, 5.0, 30.8, .039), (.121, .034, 5.2, 29.1, .070), (.164, .044, 7.2, 29.5, .094),
         (.181, .020, 8.7, 35.2, .109), (.213, .026, 9.8, 43.4, .180), (.219, .017, 12.1, 54.9, .191),
         (.241, .020, 14.0, 61.8, .262), (.388, -.001, 27.5, 67.8, .676), (.458, -.001, 38.0, 63.7, .902)]
# A Transformer and a convolutional network in 4 dimensions: both cones close before they open.
NARROW = [(.258, .250, 1.7, 2.8, .031), (.930, .856, 1.4, 1.3, .062), (.968, .790, 1.6, 1.6, .219),
          (.892, .539, 1.9, 2.3, .312), (.946, .746, 1.8, 1.9, .312), (.928, .599, 2.1, 2.7, .344)]
# Text Transformers on photos with captions, with two image towers. The last run warmed up for fewer steps.
DIPPED = [(-.009, -.014, 5.6, 7.9, .004), (.107, .100, 1.50, 1.22, .020), (.191, .176, 1.24, 1.29, .023),
          (.312, .266, 1.45, 1.67, .016)]
DIPPED_DEEPER = [(.083, .083, 2.7, 8.7, .012), (.088, .083, 1.17, 1.55, .016), (-.043, -.067, 1.53, 1.34, .023),
                 (.314, .230, 2.7, 1.9, .062), (.445, .343, 2.4, 2.2, .055)]
FALLEN = [(.083, .082, 2.8, 8.7, .012), (.147, .146, 1.03, 1.09, .008), (-.016, -.016, 1.01, 1.02, .008),
          (-.188, -.188, 1.00, 1.01, .008), (-.229, -.229, 1.00, 1.00, .004), (-.240, -.240, 1.00, 1.00, .008)]
# The mean of all cosines with too low a positive weight.
TO_THE_POLES = [(.281, .183, 41.0, 41.0, 1.0), (.712, -.134, 47.3, 47.3, 1.0), (.062, -.463, 17.5, 17.6, 1.0),
                (-.601, -.798, 3.7, 3.8, 1.0), (-.893, -.946, 1.5, 1.5, 1.0), (-.971, -.985, 1.1, 1.1, 1.0),
                (-.999, -.999, 1.0, 1.0, .018)]


def figures(series):
    return [replace(HEALTHY, pair_cosine=pair, off_pair_cosine=off, image_effective_rank=images,
                    text_effective_rank=texts, recall_at_1=recall) for pair, off, images, texts, recall in series]


def said(series, shares=None, monitor=None):
    """All verdicts over a series of checks, 10 steps apart."""
    monitor = monitor or CollapseMonitor()
    return [verdict for check, now in enumerate(series) for verdict in monitor.check(10 * check, now, shares)]


TROUBLE = {
    "opposite_poles": replace(HEALTHY, pair_cosine=-0.98, off_pair_cosine=-0.99, image_effective_rank=1.0),
    "dimension_collapse": replace(HEALTHY, image_effective_rank=5.0),
    "one_point": replace(HEALTHY, pair_cosine=0.99, off_pair_cosine=0.99, image_effective_rank=1.01, recall_at_1=0.01),
    "few_directions": replace(HEALTHY, pair_cosine=0.1, image_effective_rank=1.3, text_effective_rank=1.2),
    "not_learning": replace(HEALTHY, pair_cosine=0.001, recall_at_1=0.01),
}


def test_a_healthy_run_from_scratch_is_not_nagged():
    assert said(figures(EMOJI) + figures(EMOJI[-1:]) * 100) == []


@pytest.mark.parametrize("series", [NARROW, DIPPED, DIPPED_DEEPER])
def test_towers_that_draw_together_before_they_spread_are_not_nagged(series):
    assert said(figures(series) + figures(EMOJI[5:])) == []


def test_a_cone_that_opens_late_is_not_nagged():
    assert said([FRESH] * (PATIENCE - 1) + [HEALTHY] * 50) == []


def test_a_cone_that_never_opens_is_named_once():
    (verdict,) = said([FRESH] * 10 * PATIENCE)
    assert (verdict.name, verdict.recovered) == ("few_directions", False)
    assert "effective rank 1.4" in verdict.text


def test_two_labels_need_one_direction_only():
    """A perfect model of two labels: opposite for each other, recall as good as it can be."""
    perfect = replace(HEALTHY, pair_cosine=1.0, off_pair_cosine=0.0, image_effective_rank=1.0,
                      text_effective_rank=1.0, recall_at_1=1 / 64)
    assert said(figures(NARROW)[:3] + [perfect] * 10 * PATIENCE) == []


def test_a_run_that_fell_from_its_start_is_named_once():
    (verdict,) = said(figures(FALLEN) + figures(FALLEN[-1:]) * 10 * PATIENCE)
    assert (verdict.name, verdict.step) == ("one_point", 50)
    assert "effective rank 1.00, true pairs' cosine -0.24 against strangers' -0.24; lower the learning" in verdict.text


def test_opposite_poles_are_named_before_step_50_and_only_once():
    (verdict,) = said(figures(TO_THE_POLES) + figures(TO_THE_POLES[-1:]) * 200)
    assert (verdict.name, verdict.step, verdict.recovered) == ("opposite_poles", 40, False)
    assert str(verdict) == ("warning: step 40: images and texts sit at opposite poles: true pairs' cosine -0.89, "
                            "effective rank 1.5; raise the positive weight or use InfoNCE")


@pytest.mark.parametrize(("name", "words"), [
    ("opposite_poles", "cosine -0.98, effective rank 1.0; raise the positive weight"),
    ("dimension_collapse", "effective rank 5.0, it was 30.0, true pairs' cosine 0.40 against strangers' 0.00; lower"),
    ("one_point", "the images fall into one point: effective rank 1.01, true pairs' cosine 0.99 against strangers'"),
    ("few_directions", "effective rank 1.2, true pairs' cosine 0.10 against strangers' 0.00; try another"),
    ("not_learning", "cosine 0.00 against 0.00, recall@1 0.010 where chance is 0.008; check that every text belongs"),
])
def test_each_trouble_is_named_with_its_figures_and_a_way_out_and_so_is_its_end(name, words):
    # Where a fall has a name of its own, a run that began to learn with few directions already.
    few = replace(HEALTHY, image_effective_rank=3.5, text_effective_rank=3.0)
    healthy = few if name in ("one_point", "few_directions") else HEALTHY
    warning, recovery = said([healthy] * 5 + [TROUBLE[name]] * 2 * PATIENCE + [healthy] * 2 * PATIENCE)
    assert (warning.name, warning.recovered) == (recovery.name, not recovery.recovered) == (name, False)
    assert words in warning.text
    assert recovery.step == 10 * (5 + 2 * PATIENCE + LEAVE_AFTER - 1)
    assert str(recovery).startswith(f"recovered: step {recovery.step}: ")


def test_a_trouble_is_not_told_again_as_its_consequence():
    lost = replace(TROUBLE["opposite_poles"], text_effective_rank=1.0, recall_at_1=1 / 128)
    assert [verdict.name for verdict in said([HEALTHY] + [lost] * 10 * PATIENCE)] == ["opposite_poles"]


@pytest.mark.parametrize("name", list(TROUBLE))
def test_one_bad_batch_is_nothing(name):
    assert said([HEALTHY, TROUBLE[name]] * 50) == []


@pytest.mark.parametrize(("enter", "leave"), [(-0.51, -0.49), (-0.55, -0.25)])
def test_a_figure_that_flutters_about_a_threshold_is_told_once(enter, leave):
    """It enters, flutters, comes back over the upper line now and then, and recovers at last."""
    flutter = [replace(HEALTHY, pair_cosine=cosine) for cosine in (enter, leave) * 100]
    nearly = [replace(HEALTHY, pair_cosine=cosine) for cosine in (-0.1, -0.1, -0.6) * 20]
    beyond = [replace(HEALTHY, pair_cosine=-0.6)] * 2
    told = said([HEALTHY, *flutter, *beyond, *flutter, *nearly, *[HEALTHY] * 50])
    assert [(verdict.name, verdict.recovered) for verdict in told] == [("opposite_poles", False),
                                                                      ("opposite_poles", True)]


def test_a_weak_part_is_named():
    monitor = CollapseMonitor()
    (verdict,) = said([HEALTHY] * 3 * WEAK_AFTER, {"alignment": 0.997, "anisotropy": 0.003}, monitor)
    assert verdict.step == 10 * (WEAK_AFTER - 1)
    assert "the part anisotropy of the loss has 0.3% of the gradient" in verdict.text
    assert monitor.open == ["weak_part"]
    (verdict,) = said([HEALTHY] * WEAK_AFTER, {"alignment": 0.6, "anisotropy": 0.4}, monitor)
    assert verdict.recovered
    assert monitor.open == []


@pytest.mark.parametrize("shares", [None, {}, {"loss": 1.0}, {"alignment": 0.0, "anisotropy": 0.0}])
def test_without_two_parts_that_pull_there_is_no_weak_one(shares):
    assert said([HEALTHY] * 3 * WEAK_AFTER, shares) == []


def test_a_batch_of_one_is_no_reason_to_speak():
    alone = replace(HEALTHY, off_pair_cosine=float("nan"), image_effective_rank=1.0, text_effective_rank=1.0,
                    recall_at_1=1.0, chance_at_1=1.0, image_uniformity=float("nan"), text_uniformity=float("nan"))
    assert said([alone] * 10 * PATIENCE) == []


def test_a_monitor_that_was_stored_goes_on_as_if_nothing_had_been():
    series = [HEALTHY, *figures(TO_THE_POLES), *figures(EMOJI), *[TROUBLE["not_learning"]] * 2 * PATIENCE]
    whole, parts = CollapseMonitor(), CollapseMonitor()
    for step, now in enumerate(series):
        stored = json.loads(json.dumps(parts.state_dict(), allow_nan=False))
        parts = CollapseMonitor()
        parts.load_state_dict(stored)
        assert parts.check(step, now) == whole.check(step, now)
    assert parts.state_dict() == whole.state_dict()
    assert parts.open == ["not_learning"]
    assert len(whole.state_dict()) < 20


def test_the_monitor_of_a_run_follows_from_its_metrics(tmp_path):
    assert CollapseMonitor.of_run(tmp_path / "none").state_dict() == CollapseMonitor().state_dict()
    monitor, metrics = CollapseMonitor(), tmp_path / "metrics.jsonl"
    lines = [{"epoch": 1, "step": 0, "loss": 3.0}]  # as written before there was a monitor
    for step, now in enumerate(figures(TO_THE_POLES)):
        lines.append({"epoch": 1, "step": step, "geometry": now.as_dict(), "gradient_shares": {"a": 0.999, "b": 0.001}})
        lines += [{"epoch": 1, "step": step, "verdict": verdict.name}
                  for verdict in monitor.check(step, now, {"a": 0.999, "b": 0.001})]
    metrics.write_text("\n".join(map(json.dumps, lines)))
    assert CollapseMonitor.of_run(metrics).state_dict() == monitor.state_dict()
    assert monitor.open == ["opposite_poles"]


def lines_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_real_run_writes_its_geometry_and_has_no_warning(small_run):
    lines = lines_of(small_run)
    watched = [line for line in lines if "geometry" in line]
    steps = [line["step"] for line in lines if "loss" in line]
    assert [line["step"] for line in watched] == [step for step in steps if step % 10 == 0 or step == steps[-1]]
    assert [line for line in lines if "verdict" in line] == []
    assert watched[-1]["geometry"]["recall_at_1"] > 3 * watched[-1]["geometry"]["chance_at_1"]
    assert sum(watched[-1]["gradient_shares"].values()) == pytest.approx(1)


class ToThePoles(torch.nn.Module):
    """Drives true pairs apart."""

    def __init__(self, **_):
        super().__init__()

    def forward(self, images_BD, texts_BD, *_, **_named):
        return LossOutput.of(repulsion=(images_BD * texts_BD).sum(dim=1).mean())


def test_a_run_that_collapses_says_so_and_still_does_when_it_was_interrupted(tmp_path, monkeypatch, capsys):
    data = load_dataset(write_shapes(tmp_path / "shapes")).select(range(24))
    config = TrainConfig(embedding_width=32, epochs=4, batch_size=8, precision="fp32", learning_rate=0.01,
                         monitor_every=1)
    monkeypatch.setattr(build, "InfoNCE", ToThePoles)
    train(data, config, tmp_path / "run")
    told = [line["verdict"] for line in lines_of(tmp_path / "run") if "verdict" in line]
    assert [(verdict["name"], verdict["recovered"]) for verdict in told] == [("opposite_poles", False)]
    printed = capsys.readouterr().err.splitlines()
    assert f"warning: step {told[0]['step']}: {told[0]['text']}" in printed
    assert printed[-1].startswith("warning: trained, but with open warnings (opposite_poles): see ")

    save, done = loop.save_checkpoint, []

    def interrupted(*state):
        save(*state)
        done.append(1)
        if len(done) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(data, config, tmp_path / "again", quiet=True)
    train(data, config, tmp_path / "again")
    assert capsys.readouterr().err.splitlines()[-1].startswith("warning: trained, but with open warnings")
    for one, other in zip(lines_of(tmp_path / "again"), lines_of(tmp_path / "run"), strict=True):
        clock = {"pairs_per_second": 0, "waiting": 0}
        assert one | clock == other | clock
