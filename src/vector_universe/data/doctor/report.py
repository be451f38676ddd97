"""What the doctor says about a data set, as values and as report.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vector_universe.data.doctor.batch import FalseNegatives
from vector_universe.data.doctor.findings import Case, Finding, verdict

FORMAT = 1


@dataclass(frozen=True)
class Report:
    """Findings and figures of one data set.

    Attributes:
        name, source: of the data set.
        summary: its size, in a line.
        findings: one a kind, the worst first.
        splits: number of examples by split.
        labels: number of images by label, the most frequent first.
        together: of the most frequent labels, how many images have both of two.
        languages: number of sampled texts by language, where it could be told.
        texts_judged: how many texts were sampled for it.
        false_negatives: expected in a batch; None without training examples.
    """

    name: str
    source: str
    summary: str
    findings: tuple[Finding, ...]
    splits: Mapping[str, int]
    labels: Mapping[str, int]
    together: tuple[tuple[int, ...], ...]
    languages: Mapping[str, int]
    texts_judged: int
    false_negatives: FalseNegatives | None

    @property
    def verdict(self) -> str:
        """Whether the data is fit for training, in a sentence or a few."""
        return verdict(self.findings, sum(self.splits.values()))

    @property
    def exit_code(self) -> int:
        """0 without an error or a warning, else 1."""
        return int(any(finding.severity != "information" for finding in self.findings))

    def to_json(self) -> dict[str, Any]:
        """The same as plain values; every case of every finding is in it."""
        expected = self.false_negatives
        return {
            "format": FORMAT, "name": self.name, "source": self.source, "verdict": self.verdict,
            "exit_code": self.exit_code, "splits": dict(self.splits), "labels": dict(self.labels),
            "languages": dict(self.languages), "texts_judged_for_languages": self.texts_judged,
            "expected_false_negatives": None if expected is None else vars(expected),
            "findings": [{"kind": finding.kind, "severity": finding.severity, "count": finding.count,
                          "sentence": finding.sentence, "way_out": finding.way_out,
                          "cases": [_case(case) for case in finding.cases]} for finding in self.findings]}


def _case(case: Case) -> dict[str, Any]:
    written: dict[str, Any] = {"file": case.file, "row": case.row, "detail": case.detail}
    if case.split:
        written["split"] = case.split
    if case.partner is not None:
        written["same_as"] = {"file": case.partner_file, "row": case.partner + 1, "split": case.partner_split}
    return written
