"""Look at a whole data set: one pass over its pictures, then everything that can be said about it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vector_universe.data.dataset import ImageTextDataset
from vector_universe.data.doctor.batch import FalseNegatives, expected_false_negatives
from vector_universe.data.doctor.copies import image_cases, minor_kinds
from vector_universe.data.doctor.copies import label_cases as contradicting_cases
from vector_universe.data.doctor.copies import text_cases as repeated_text_cases
from vector_universe.data.doctor.findings import Finding, gather, note
from vector_universe.data.doctor.kinds import KINDS, SEVERITIES
from vector_universe.data.doctor.labels import label_cases, label_counts, split_cases, split_sizes, together
from vector_universe.data.doctor.languages import languages
from vector_universe.data.doctor.page import report_page
from vector_universe.data.doctor.pictures import picture_cases, remark_cases, skipped_cases
from vector_universe.data.doctor.report import Report
from vector_universe.data.doctor.scan import Seen, scan
from vector_universe.data.doctor.texts import text_cases
from vector_universe.data.duplicates import alike_groups, equal_groups
from vector_universe.errors import UserError
from vector_universe.folders import claim_folder, replace_text
from vector_universe.progress import counter, stages

IN_HEAT_MAP = 20  # labels


def check_data(dataset: ImageTextDataset, out: Path | None = None, batch_size: int = 128, max_tokens: int = 77,
               quiet: bool = False) -> Report:
    """Look for what spoils a training run, and write what was found.

    Args:
        dataset: what to look at.
        out: folder for report.html and report.json, its own from an earlier time included; None writes nothing.
        batch_size: for the expected number of false negatives in a batch.
        max_tokens: how long a text the model reads.
        quiet: no progress.

    Raises:
        UserError: `out` holds something else, or a setting is out of its range.
    """
    if batch_size < 2 or max_tokens < 1:
        raise UserError(f"a batch of {batch_size} and texts of {max_tokens} tokens cannot be: give --batch-size 2 or "
                        f"more and --max-tokens 1 or more")
    if out is not None:
        claim_folder(out, "check")
    with stages(Console(stderr=True, quiet=quiet)) as progress:
        seen = scan(dataset, counter(progress, "images", len(dataset)))
    report = examine(dataset, seen, batch_size, max_tokens)
    if out is not None:
        replace_text(out / "report.json", json.dumps(report.to_json(), ensure_ascii=False, indent=1) + "\n")
        replace_text(out / "report.html", report_page(report, dataset))
    return report


def folder_for(dataset: ImageTextDataset) -> Path:
    """Where a report goes by itself: a folder named after the data set, in the current one."""
    return Path("check-" + (re.sub(r"[^\w.-]+", "-", dataset.name).strip("-.") or "data"))


def examine(dataset: ImageTextDataset, seen: Sequence[Seen], batch_size: int, max_tokens: int) -> Report:
    """Everything that can be said about examples that were looked at."""
    digests = [one.picture.digest for one in seen]
    identical = equal_groups(digests)
    alike = alike_groups([one.picture.look for one in seen], digests)
    cases = [*picture_cases(seen), *skipped_cases(dataset.skipped), *remark_cases(dataset.remarks),
             *image_cases(seen, identical, alike),
             *contradicting_cases(seen, identical), *text_cases(seen, max_tokens), *repeated_text_cases(seen, alike),
             *label_cases(seen), *split_cases(seen)]
    findings = gather(cases, minor_kinds(cases, seen))
    counts = label_counts(seen)
    found, judged = languages([text for one in seen for text in one.texts])
    expected = _expected(seen, identical, batch_size)
    if found:
        findings.append(note("languages", _languages_sentence(found, judged)))
    if expected and expected.any > 0:
        findings.append(note("false_negatives", _false_negatives_sentence(expected)))
    findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), list(KINDS).index(finding.kind)))
    return Report(
        name=dataset.name, source=dataset.source, summary=dataset.summary(), findings=tuple(findings),
        splits=split_sizes(seen), labels=counts,
        together=tuple(map(tuple, together(seen, list(counts)[:IN_HEAT_MAP]))),
        languages=found, texts_judged=judged, false_negatives=expected)


def _expected(seen: Sequence[Seen], identical: Sequence[int], batch_size: int) -> FalseNegatives | None:
    """For the examples that training takes: of the training split, with a picture."""
    train = [(one, group) for one, group in zip(seen, identical, strict=True)
             if one.split == "train" and not one.picture.fault]
    if not train:
        return None
    return expected_false_negatives([group for _, group in train], [one.texts for one, _ in train],
                                    [one.labels for one, _ in train], batch_size)


def _languages_sentence(found: dict[str, int], judged: int) -> str:
    named = ", ".join(f"{language} {count:,}" for language, count in list(found.items())[:8])
    unclear = judged - sum(found.values())
    return f"Languages of {judged:,} texts: {named}" + (f"; too short or unclear {unclear:,}" if unclear else "")


def _false_negatives_sentence(expected: FalseNegatives) -> str:
    return (f"A random batch of {expected.batch_size} holds {expected.any:,.2f} pairs that may be no true negatives: "
            f"{expected.images:,.2f} share an image, {expected.texts:,.2f} a text, {expected.labels:,.2f} all labels")


def print_findings(findings: Sequence[Finding]) -> None:
    """A short table on the console."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("severity", "what", "first"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        first = finding.cases[0].file if finding.cases else ""
        table.add_row(finding.severity, escape(finding.sentence), escape(first))
    Console().print(table)
