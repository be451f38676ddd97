"""The page about a run: right words, every plot, no stranger's markup, and nothing from elsewhere."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from vector_universe import UserError
from vector_universe.evaluation.geometry import Geometry
from vector_universe.training.curves import write_curves
from vector_universe.training.history import flat_figures, read_history
from vector_universe.training.monitor import CollapseMonitor
from vector_universe.training.plots import MOST_POINTS, Curve, Mark, draw, running_mean, thinned
from vector_universe.training.run_verdict import verdict_sentences

TITLES = ["Loss", "Validation recall", "Cosines", "Effective rank", "Modality gap", "Learning rate", "Logit scale",
          "Speed", "Waiting for data", "Shares of the gradient"]


def geometry(pair=0.5, off_pair=0.1, rank=30.0, batch=128):
    return Geometry(pair, off_pair, 0.7, rank, rank + 5, 1.0, -2.0, -2.0, 0.5, 1 / batch)


def step(number, loss=3.0, figures=None, **others):
    record = {"epoch": 1 + number // 100, "step": number, "loss": loss, "image_to_text": loss / 2,
              "text_to_image": loss / 2, "learning_rate": 1e-3, "logit_scale": 14.0, "pairs_per_second": 200.0}
    if figures is not None:
        record |= {"geometry": figures.as_dict(), "gradient_shares": {"image_to_text": 0.5, "text_to_image": 0.5}}
    return record | others


def validation(number, recall, queries=200):
    return {"epoch": 1 + number // 100, "step": number, "validation": {
        "recall_at_1": recall / 4, "recall_at_5": recall / 2, "recall_at_10": recall, "median_rank": 3.0,
        "chance_at_10": 0.05, "queries": queries, "candidates": queries}}


def write(folder, records, config=None, summary="shapes: 60 images", tail=""):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config if config is not None else {"batch_size": 128}))
    (folder / "data.json").write_text(json.dumps({"source": "shapes", "summary": summary}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records) + tail)
    return folder


def healthy(folder, **others):
    records = [step(number, 4.85 - number / 100, geometry() if number % 10 == 0 else None) for number in range(300)]
    records += [validation(99, 0.3), validation(199, 0.5), validation(299, 0.6)]
    return write(folder, records, **others)


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def read(folder):
    return write_curves(folder).read_text(encoding="utf-8")


def test_a_healthy_run_says_so_and_has_every_plot(tmp_path):
    folder = healthy(tmp_path / "run")
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write(json.dumps(step(300, waiting=0.1)) + "\n")
    text = read(folder)
    page = Page(text)
    shown = " ".join(" ".join(page.text).split())
    assert "Trained on shapes: 60 images" in shown
    assert "It learned: it finds the right validation picture 12 times as often as chance." in shown
    assert "The loss came to 3 after 301 steps, where pure chance gives ln 128 = 4.85." in shown
    assert "Validation recall@10 was 0.600 at its best after epoch 3 of 3, among 200 pictures." in shown
    assert "There were no warnings." in shown
    assert "computing is the limit: only 10% of the time went into waiting for data." in shown
    assert re.findall(r"<figcaption><b>([^<]*)", text) == TITLES
    assert text.count("<svg") == len(TITLES)
    assert "chance, ln 128" in shown


def test_the_page_needs_nothing_from_elsewhere(tmp_path):
    text = read(healthy(tmp_path / "run"))
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "image"} & set(page.tags)
    for name, value in page.attributes:
        assert name in ("xmlns", "xmlns:xlink") or "//" not in (value or ""), (name, value)
        assert not name.startswith("on")
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert "prefers-color-scheme: dark" in text


def test_its_drawings_are_sound_and_share_no_name(tmp_path):
    drawings = re.findall(r"<svg.*?</svg>", read(healthy(tmp_path / "run")), re.DOTALL)
    names = []
    for drawing in drawings:
        ElementTree.fromstring(drawing)
        found = re.findall(r' id="([^"]*)"', drawing)
        assert set(re.findall(r"#([mp][0-9a-f]+)", drawing)) <= set(found)
        names += found
    assert len(names) == len(set(names))
    assert re.findall(r"#0\d0\d0\d", "".join(drawings)) == []  # the page chooses all colours
    assert "var(--series-0)" in drawings[0]


def test_the_same_run_gives_the_same_page(tmp_path):
    folder = healthy(tmp_path / "run")
    assert read(folder) == read(folder)
    assert [path.name for path in folder.glob("*.partial")] == []


@pytest.mark.filterwarnings("ignore:constrained_layout")  # so long a name leaves no room for the plot
def test_strangers_text_is_shown_and_not_obeyed(tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)> $x^2$ & \"q\""
    verdict = {"epoch": 1, "step": 5, "verdict": {"step": 5, "name": evil, "recovered": False, "text": evil}}
    records = [step(n, 3.0, geometry(), **{evil: 1.0}) for n in range(3)]
    for record in records:
        record["gradient_shares"] = {evil: 0.5, "$\\frac{": 0.5}
    folder = write(tmp_path / "<i>run", [*records, verdict], {evil: evil, "batch_size": 128}, summary=evil)
    page = Page(read(folder))
    assert not {"script", "img", "i"} & set(page.tags)
    shown = "".join(page.text)
    assert shown.count("<script>alert(1)</script>") >= 5  # title, verdict twice, settings twice
    assert "$\\frac{" in shown


def collapsing():
    monitor, records = CollapseMonitor(), []
    for number in range(0, 600, 10):
        figures = geometry(-0.8, 0.9, 2.0) if 200 <= number < 400 else geometry()
        records.append(step(number, 2.0, figures))
        records += [{"epoch": 1, "step": number, "verdict": asdict(verdict)}
                    for verdict in monitor.check(number, figures)]
    return records


def test_a_collapse_is_marked_and_listed(tmp_path):
    records = collapsing()
    until = next(place for place, record in enumerate(records) if record.get("verdict", {}).get("recovered"))
    text = read(write(tmp_path / "open", records[:until]))
    shown = " ".join("".join(Page(text).text).split())
    assert "Look at the open warnings first." in shown
    assert "Open warning: opposite poles." in shown
    assert "warning, step 210: images and texts sit at opposite poles" in shown
    assert text.count("stroke: var(--warning)") == text.count("<svg")

    text = read(write(tmp_path / "over", records))
    shown = " ".join("".join(Page(text).text).split())
    assert "All warnings were taken back." in shown
    assert "recovered, step 420:" in shown
    assert text.count("stroke: var(--recovered)") == text.count("<svg")


@pytest.mark.parametrize(("records", "words"), [
    ([], "No step has been logged yet."),
    ([step(0, 4.8), validation(0, 0.06)], "It hardly learned: what it finds"),
    ([step(0, 4.8)], "It hardly learned. The loss came to 4.8 after 1 steps"),
    ([step(0, 1.0)], "It learned. The loss"),
    ([step(0, 1.0)], "There was no validation."),
    ([step(0, 1.0, waiting=0.6)], "data is the limit: 60% of the time went into waiting for it."),
    ([{"epoch": 1, "step": 3, "loss": -1.5}], "Training went through without a warning. The loss came to -1.5"),
    ([step(0), validation(0, 0.7), step(100), validation(100, 0.3)], "It has fallen to 0.300 since"),
])
def test_the_verdict_says_how_it_went(records, words, tmp_path):
    config = {} if records and records[0].get("loss") == -1.5 else None
    folder = write(tmp_path / "run", records, config)
    assert words in " ".join(verdict_sentences(read_history(folder)))
    Page(read(folder))


def test_a_fall_within_chance_is_no_fall(tmp_path):
    folder = write(tmp_path / "run", [step(0), validation(0, 0.52), step(100), validation(100, 0.48)])
    assert "fallen" not in " ".join(verdict_sentences(read_history(folder)))


def test_lines_cut_short_and_figures_that_are_none_are_passed_over(tmp_path):
    records = [step(0, 3.0, geometry(off_pair=float("nan"))), step(1, float("nan")),
               {"epoch": 1, "step": 1, "validation": None}, {"header": 1}, {"loss": 1.0}]
    folder = write(tmp_path / "run", records, tail='[1]\n7\n\n{"epoch": 2, "st')
    history = read_history(folder)
    assert history.series("loss") == ([0], [3.0])
    assert history.series("geometry/off_pair_cosine") == ([], [])
    assert history.validations == []
    assert "<svg" in read(folder)


def test_a_folder_without_metrics_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"has no metrics.jsonl"):
        write_curves(tmp_path)


def test_the_batch_size_is_the_true_one(tmp_path):
    def batch(name, records, config):
        return read_history(write(tmp_path / name, records, config)).batch_size
    assert batch("small data", [step(0, 3.0, geometry(batch=48))], {"batch_size": 128}) == 48
    assert batch("large batch", [step(0, 3.0, geometry(batch=512))], {"batch_size": 4096}) == 4096
    assert batch("said", [{"batch_size": 96}, step(0, 3.0, geometry(batch=48))], {"batch_size": 128}) == 96
    assert batch("unknown", [step(0)], {}) is None


def test_other_losses_have_no_line_of_chance(tmp_path):
    records = [{"epoch": 1, "step": n, "loss": 1.0, "alignment": -1.0, "anisotropy": 2.0, "learning_rate": {
        "towers": 1e-5, "projections": 1e-3}} for n in range(3)]
    text = read(write(tmp_path / "run", records))
    shown = "".join(Page(text).text)
    assert "chance" not in shown
    for label in ("alignment", "anisotropy", "towers", "projections"):
        assert label in shown


def test_long_runs_are_thinned_without_losing_a_spike(tmp_path):
    values = np.sin(np.arange(50_000) / 900)
    values[31_234] = 9
    steps, kept = thinned(range(50_000), values)
    assert len(steps) <= MOST_POINTS
    assert 9 in kept
    assert (np.diff(steps) > 0).all()
    assert (steps[0], steps[-1]) == (0, 49_999)
    assert len(thinned(range(MOST_POINTS), values[:MOST_POINTS])[0]) == MOST_POINTS

    started = time.monotonic()
    text = read(write(tmp_path / "run", [step(number) for number in range(20_000)]))
    assert len(text) < 1_000_000
    assert time.monotonic() - started < 60


def test_the_running_mean_is_a_mean():
    values = np.random.default_rng(0).normal(size=50)
    for width in (1, 4, 9):
        expected = [values[max(0, i - width // 2):i + width // 2 + 1].mean() for i in range(50)]
        assert np.allclose(running_mean(values, width), expected)
    assert np.allclose(running_mean(np.ones(10), 3), 1)


def test_figures_are_flat():
    assert flat_figures({"loss": 1, "geometry": {"modality_gap": 0.5, "off": float("nan")}, "validation": None,
                         "name": "x", "recovered": True, "list": [1]}) == {"loss": 1, "geometry/modality_gap": 0.5}


def test_a_plot_of_one_point_shows_it():
    assert "<use" in draw("one", [Curve("loss", [3], [1.0])], [Mark(3, 1, False)]).split("xtick")[-1]


def test_the_page_of_a_real_run(small_run):
    page = Page(read(small_run))
    shown = "".join(page.text)
    assert "It learned." in shown
    assert "too few validation pictures" in shown  # 4 of them: recall@10 is always 1
    assert "chance, ln 48" in shown
