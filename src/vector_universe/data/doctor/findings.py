"""What was found: cases gathered under their kinds, and the verdict that follows from them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from vector_universe.data.doctor.kinds import KINDS, Severity


@dataclass(frozen=True)
class Case:
    """One occurrence of a finding.

    Attributes:
        kind: a name of `KINDS`.
        file: id of the example, file of a row that was left out, or the label or split concerned.
        row: for an example its position in the loaded data, from 1; for a row left out its row in the source.
        detail: what exactly, in a few words.
        split: of the example; "" where there is none.
        example: the example's place from 0, for a thumbnail; None where there is no picture to show.
        partner: the example that this one repeats, likewise; None without one.
        partner_file: its id.
        partner_split: its split.
    """

    kind: str
    file: str
    row: int | None
    detail: str
    split: str = ""
    example: int | None = None
    partner: int | None = None
    partner_file: str = ""
    partner_split: str = ""


@dataclass(frozen=True)
class Finding:
    """All cases of one kind; figures without cases, such as languages, have none."""

    kind: str
    severity: Severity
    count: int
    sentence: str
    way_out: str
    cases: tuple[Case, ...]


def gather(cases: Iterable[Case], minor: Collection[str] = ()) -> list[Finding]:
    """One finding a kind, the worst first; each kind keeps the order of its cases.

    Args:
        cases: of all kinds.
        minor: kinds that are only information this time.
    """
    of_kind: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        of_kind[case.kind].append(case)
    return [Finding(name, "information" if name in minor else kind.severity, len(of_kind[name]),
                    _sentence(name, of_kind[name]), kind.way_out, tuple(of_kind[name]))
            for name, kind in KINDS.items() if name in of_kind]


def note(kind: str, sentence: str) -> Finding:
    """A finding that is a figure rather than a list of cases."""
    return Finding(kind, KINDS[kind].severity, 1, sentence, KINDS[kind].way_out, ())


def verdict(findings: Iterable[Finding], examples: int) -> str:
    """Whether the data is fit for training, in a sentence or a few, the worst first."""
    bad = [finding for finding in findings if finding.severity != "information"]
    if not bad:
        return f"Nothing was found that spoils training on these {examples:,} images."
    sentence = f"{bad[0].sentence}: {_first_lower(bad[0].way_out)}"
    if bad[1:]:
        sentence += f" Also: {'; '.join(finding.sentence for finding in bad[1:])}."
    return sentence


def _sentence(name: str, cases: list[Case]) -> str:
    if name.endswith("_across_splits"):
        return _across(name, cases)
    kind = KINDS[name]
    sentence = (kind.one if len(cases) == 1 else kind.many).format(n=f"{len(cases):,}")
    if name == "image_mode":
        modes = Counter(mode for case in cases for mode in case.detail.split(", "))
        sentence += f": {', '.join(f'{mode} {count:,}' for mode, count in modes.most_common())}"
    if name == "split_unknown":
        splits = Counter(case.detail.partition("“")[2].partition("”")[0] for case in cases)
        sentence += f": {', '.join(f'“{split}” {count:,}' for split, count in splits.most_common())}"
    return sentence


def _across(name: str, cases: list[Case]) -> str:
    """ "171 test images also occur in train", by the pairs of splits that are concerned."""
    what = name.split("_")[0]
    verbs = {"image_identical": ("also occurs in", "also occur in"),
             "image_alike": ("looks like one of", "look like one of"),
             "text_identical": ("also occurs in", "also occur in"),
             "text_alike": ("is almost one of", "are almost one of")}[name.removesuffix("_across_splits")]
    counts = Counter((case.split, case.partner_split) for case in cases)
    parts = [f"{count:,} {split} {what}{'s' if count > 1 else ''} {verbs[count > 1]} {other}"
             for (split, other), count in sorted(counts.items(), key=lambda item: (item[0][1] != "train", item[0]))]
    return ", ".join(parts)


def _first_lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
