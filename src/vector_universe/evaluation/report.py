"""The report: what every evaluator found of every model, what differs between models, and what that means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vector_universe.data import Example, ImageTextDataset, SkippedRow
from vector_universe.evaluation.bootstrap import Difference
from vector_universe.evaluation.section import Better, Figure, Section, plain


@dataclass(frozen=True)
class Measured:
    """What was found of one model.

    Attributes:
        name: of the model, for people.
        fingerprint: of its weights, tokenizer and preparation of pictures.
        circumstances: precision, device and version that it ran in.
        sections: by evaluator.
    """

    name: str
    fingerprint: str
    circumstances: dict[str, str]
    sections: dict[str, Section]

    def figures(self) -> Iterator[tuple[Section, Figure]]:
        """Every figure with its section."""
        for section in self.sections.values():
            for figure in section.figures:
                yield section, figure

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "model_fingerprint": self.fingerprint, "circumstances": self.circumstances,
                "sections": {name: section.as_dict() for name, section in self.sections.items()}}


@dataclass(frozen=True)
class Comparison:
    """One figure of two models on the same units.

    Attributes:
        section: of the figure: the evaluator's name.
        test, metric, better, key: of the figure.
        one, other: names of the models.
        difference: of the other from the one, by the paired bootstrap.
    """

    section: str
    test: str
    metric: str
    better: Better
    key: bool
    one: str
    other: str
    difference: Difference

    @property
    def winner(self) -> str | None:
        """The better model; None where the interval holds 0, or neither way is better."""
        if not self.difference.is_certain or not self.better:
            return None
        return self.other if (self.difference.value > 0) == (self.better == "higher") else self.one

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"section": self.section, "test": self.test, "metric": self.metric, "one": self.one,
                "other": self.other, "difference": plain(self.difference.value), "low": plain(self.difference.low),
                "high": plain(self.difference.high), "units": self.difference.units, "winner": self.winner}


@dataclass(frozen=True)
class Report:
    """Everything that `evaluate` found.

    Attributes:
        dataset: what was measured on.
        examples: those of it that could be read; cases name their places.
        skipped: the others, with the reason.
        models: one part a model; the first is what others are compared with.
        comparisons: of every other model with the first.
        verdict: plain sentences, what matters most first.
        settings: of the evaluation, for JSON.
    """

    dataset: ImageTextDataset
    examples: list[Example]
    skipped: list[SkippedRow]
    models: tuple[Measured, ...]
    comparisons: tuple[Comparison, ...]
    verdict: tuple[str, ...]
    settings: dict[str, Any]

    def section(self, name: str, model: str | None = None) -> Section:
        """What an evaluator found; of the first model, or of the named one.

        Raises:
            KeyError: it was not asked for, had nothing to measure, or there is no such model.
        """
        chosen = next((measured for measured in self.models if model in (None, measured.name)), None)
        if chosen is None:
            raise KeyError(f"no model {model}; there are {', '.join(measured.name for measured in self.models)}")
        if name not in chosen.sections:
            raise KeyError(f"no section {name}; there are {', '.join(chosen.sections)}")
        return chosen.sections[name]

    def figure(self, section: str, test: str, metric: str, model: str | None = None) -> Figure:
        """One figure, such as `figure("retrieval", "test", "text → image R@10")`.

        Raises:
            KeyError: there is none; the message names those there are.
        """
        return self.section(section, model).figure(test, metric)

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {"source": self.dataset.source, "summary": self.dataset.summary(),
                "fingerprint": self.dataset.fingerprint, "images": len(self.examples),
                "skipped": [{"file": row.file, "reason": row.reason} for row in self.skipped],
                "settings": plain(self.settings), "verdict": list(self.verdict),
                "models": [measured.as_dict() for measured in self.models],
                "comparisons": [comparison.as_dict() for comparison in self.comparisons]}
