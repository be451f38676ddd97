"""What every evaluator returns: a section of the report, as data. Nothing here draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from vector_universe.evaluation.bootstrap import DRAWS, Sample, interval

Better = Literal["higher", "lower", ""]


@dataclass(frozen=True)
class Figure:
    """One number with what is needed to judge it.

    Attributes:
        test: what was asked of what, such as "test" or "test among all".
        metric: its name, such as "text → image R@10".
        value: the number.
        low, high: its 95 % interval; None where there is none.
        chance: what a random order or guess would reach; None where that means nothing.
        count: how many queries it is a mean of; 0 where that means nothing.
        better: which way is good; "" for neither.
        sample: what it is a mean of, for the paired comparison of two models; None where it is no mean.
        key: whether the verdict and the comparison speak of it.
    """

    test: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    count: int = 0
    better: Better = "higher"
    sample: Sample | None = field(default=None, repr=False, compare=False)
    key: bool = False

    @classmethod
    def mean(cls, test: str, metric: str, sample: Sample, *, chance: float | None = None, better: Better = "higher",
             key: bool = False, draws: int = DRAWS, seed: int = 0) -> Figure:
        """The mean of a sample with its bootstrap interval."""
        found = interval(sample, draws, seed)
        return cls(test, metric, sample.mean, found.low, found.high, chance, int(sample.counts_U.sum()), better,
                   sample, key)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the sample."""
        return {"test": self.test, "metric": self.metric, "value": plain(self.value), "low": plain(self.low),
                "high": plain(self.high), "chance": plain(self.chance), "count": self.count, "better": self.better}


@dataclass(frozen=True)
class Table:
    """Rows for people: per class, by label.

    Attributes:
        title: above it.
        columns: names.
        rows: cells; floats are shown with three decimals.
        heat: cells beyond the first column are counts whose share of their row is shown as colour (a confusion).
        note: below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int, ...], ...]
    heat: bool = False
    note: str = ""


@dataclass(frozen=True)
class Curve:
    """One line, or one set of points, of a plot; `low` and `high` are the edges of a band around it."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    style: Literal["line", "dashed", "points"] = "line"


@dataclass(frozen=True)
class Plot:
    """Curves over one axis. Of several models, those with one title are drawn into one picture."""

    title: str
    caption: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    x_log: bool = False
    y_log: bool = False
    diagonal: bool = False
    """Draw y = x: of a reliability plot, what a perfect one would be."""


@dataclass(frozen=True)
class Case:
    """A query with what was found for it, to be shown as pictures.

    Attributes:
        kind: "hit" or "miss".
        query: the text that was asked with, or what is said of the picture that was.
        query_image: the place (in `Subject.examples`) of the picture that was asked with; None for a text.
        wanted: places of right answers; the first is shown.
        found: (place, score, right) of the nearest candidates, best first; none where answers are texts.
        found_texts: (text, score, right) likewise, where answers are texts or classes.
        note: such as "rank 37 of 700".
    """

    kind: Literal["hit", "miss"]
    query: str
    query_image: int | None = None
    wanted: tuple[int, ...] = ()
    found: tuple[tuple[int, float, bool], ...] = ()
    found_texts: tuple[tuple[str, float, bool], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Section:
    """What one evaluator found.

    Attributes:
        name: of the evaluator, as in `EvaluateConfig.only`.
        title: for people.
        about: one or two sentences: what was measured, and how to read it.
        figures, tables, plots, cases: what is shown.
        warnings: plain sentences that the verdict repeats.
        remarks: plain sentences that stand in the section alone.
        settings: everything that the figures depend on: prompts, seeds, sweeps (JSON).
        details: figures for programs, beyond what is shown (JSON).
    """

    name: str
    title: str
    about: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    cases: tuple[Case, ...] = ()
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def figure(self, test: str, metric: str) -> Figure:
        """The figure of this name.

        Raises:
            KeyError: there is none; the message names those there are.
        """
        for found in self.figures:
            if (found.test, found.metric) == (test, metric):
                return found
        there = ", ".join(f"{found.test}: {found.metric}" for found in self.figures)
        raise KeyError(f"no figure {test}: {metric} in {self.name}; there are {there}")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"title": self.title, "figures": [found.as_dict() for found in self.figures], **plain({
            "tables": [{"title": table.title, "columns": table.columns, "rows": table.rows} for table in self.tables],
            "plots": [{"title": plot.title, "x": plot.x_label, "y": plot.y_label,
                       "curves": [{"name": curve.name, "x": curve.x, "y": curve.y, "low": curve.low,
                                   "high": curve.high} for curve in plot.curves]} for plot in self.plots],
            "warnings": self.warnings, "remarks": self.remarks, "settings": self.settings, "details": self.details})}


def plain(value: Any) -> Any:
    """A number, list or dict as JSON has it: numpy's numbers as Python's, and null for NaN and infinity."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shorten(text: str, letters: int = 120) -> str:
    """One line of at most so many letters."""
    line = " ".join(text.split())
    return line if len(line) <= letters else line[:letters - 1] + "…"


def all_single(labels: Sequence[Sequence[str]]) -> bool:
    """Whether every example with labels has exactly one, and there is one: classes rather than tags."""
    counts = {len(own) for own in labels if own}
    return counts == {1}
