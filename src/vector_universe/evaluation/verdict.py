"""The verdict: what the figures say, in plain sentences that claim no more than the intervals allow."""

from __future__ import annotations

from collections.abc import Sequence

from vector_universe.evaluation.compare import WITHOUT_LEAKS
from vector_universe.evaluation.report import Comparison, Measured
from vector_universe.evaluation.section import Figure

FEW_QUERIES = 100
MEMORY = 0.5  # below this share of the figure on training pictures, the rest was learned by heart
MOST_FREQUENT = "always naming the most frequent label"
NOTHING = "Nothing could be measured: the data has neither texts nor labels in a validation or test split."

WORDS = {
    "text → image R@1": "texts whose right picture comes first",
    "text → image R@10": "texts with a right picture among the first ten",
    "image → text R@1": "pictures whose right text comes first",
    "zero-shot top-1": "pictures that get the right label by its name alone",
    "linear probe top-1": "pictures whose label a linear probe of their vectors tells",
}


def verdict(models: Sequence[Measured], comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Of one model what it reaches; of several what differs, which is why they are measured together. Then warnings.

    Where nothing can be compared picture by picture, what each of them reaches.
    """
    if len(models) == 1:
        return tuple([*_reached(models[0]), *_cautions(models[0])] or [NOTHING])
    lines = _of_differences(comparisons) or [
        f"{measured.name}: {line}" for measured in models for line in _reached(measured)] or [NOTHING]
    return (*lines, *(f"{measured.name}: {line}" for measured in models for line in _cautions(measured)))


def _reached(measured: Measured) -> list[str]:
    return [_sentence(figure) for _, figure in measured.figures() if figure.key]


def _cautions(measured: Measured) -> list[str]:
    """What to mind when reading the figures."""
    keys = [figure for _, figure in measured.figures() if figure.key]
    lines = []
    most = max((figure.count for figure in keys), default=0)
    if 0 < most < FEW_QUERIES:
        lines.append(f"There are no more than {most} queries to judge by: the intervals are wide, and small "
                     "differences between models cannot be seen.")
    if keys and all(figure.test != "test" for figure in keys) and any(figure.test == "validation" for figure in keys):
        lines.append("There is no test split: validation stands in for it, which may have been looked at in training.")
    lines += _memory(measured)
    for section in measured.sections.values():
        lines += section.warnings
    return [*lines, *_leaks(measured)]


def _sentence(figure: Figure) -> str:
    said = f"{_in_words(figure)}: {percent(figure.value)}"
    if figure.low is None or figure.high is None:
        return said + "."
    said += f" (95 % interval {100 * figure.low:.1f} to {100 * figure.high:.1f})"
    if figure.chance is None:
        return said + "."
    of_classes = "top-" in figure.metric
    chance = f"{MOST_FREQUENT if of_classes else 'chance'} ({percent(figure.chance)})"
    if figure.low <= figure.chance <= figure.high:
        return f"{said}, which cannot be told from {chance}."
    if (figure.value < figure.chance) == (figure.better == "higher"):
        return f"{said}, worse than {chance}."
    times = figure.value / figure.chance if figure.chance > 0 else 0
    return f"{said}, {f'{times:,.0f} times' if times >= 2.5 and not of_classes else 'better than'} {chance}."


def _in_words(figure: Figure) -> str:
    if figure.metric not in WORDS:
        return f"{figure.metric} on {figure.test}"
    return f"{figure.test[:1].upper()}{figure.test[1:]}: {WORDS[figure.metric]}"


def _leaks(measured: Measured) -> list[str]:
    """The first key figure once more, without what training has too."""
    section = measured.sections.get("leaks")
    clean = None if section is None else next((figure for figure in section.figures
                                               if figure.test.endswith(WITHOUT_LEAKS)), None)
    whole = next((figure for _, figure in measured.figures() if figure.key), None)
    if clean is None or whole is None:
        return []
    return [f"Without these, {whole.metric} is {percent(clean.value)} instead of {percent(whole.value)}."]


def _memory(measured: Measured) -> list[str]:
    """How much lower retrieval is on pictures that were not trained on, among the same candidates."""
    section = measured.sections.get("retrieval")
    figures = {} if section is None else {(figure.test, figure.metric): figure for figure in section.figures}
    metric = "text → image R@10"
    for split in ("test", "validation"):
        ours, trained = figures.get((f"{split} among all", metric)), figures.get(("train among all", metric))
        if ours is not None and trained is not None:
            if trained.low is not None and ours.high is not None and ours.high < MEMORY * trained.low:
                return [f"Much of it is memory: {metric} among all pictures is {number(trained.value)} for those of "
                        f"train and {number(ours.value)} for those of {split}."]
            return []
    return []


def _of_differences(comparisons: Sequence[Comparison]) -> list[str]:
    """For each pair of models a sentence of what is better, one of what is worse, and one of what cannot be told."""
    said: dict[str, list[str]] = {}
    keys = [comparison for comparison in comparisons if comparison.key]
    for comparison in keys:
        one, other = comparison.one, comparison.other
        outcome = (f"{other} and {one} cannot be told apart in" if comparison.winner is None else
                   f"{other} is better than {one} in" if comparison.winner == other else
                   f"{other} is worse than {one} in")
        said.setdefault(outcome, []).append(f"{comparison.metric} on {comparison.test} ({points(comparison)})")
    lines = [f"{outcome} {'; '.join(changes)}." for outcome, changes in sorted(said.items())]
    if len(keys) > 1:
        lines.append(f"Of {len(keys)} such differences one in twenty would look certain by luck alone.")
    return lines


def points(comparison: Comparison) -> str:
    """The difference with its interval, in hundredths: "+3.1 points, 95 % [1.2, 5.0]"."""
    found = comparison.difference
    return f"{100 * found.value:+.1f} points, 95 % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def percent(value: float) -> str:
    """A share as "29.1 %"."""
    return f"{100 * value:.1f} %"


def number(value: float) -> str:
    """Three decimals below 10, and fewer above."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 1000 else f"{value:,.0f}"


def bounds(figure: Figure) -> str:
    """The 95 % interval as "[.171, .284]", or nothing."""
    return "" if figure.low is None or figure.high is None else f"[{number(figure.low)}, {number(figure.high)}]"
