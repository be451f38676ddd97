"""The verdict: who ends higher, as far as it can be told, and whether the expected order holds here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from vector_universe.evaluation.bootstrap import Difference, difference
from vector_universe.training.comparison.config import EXPECTED, NAMES, Objective
from vector_universe.training.comparison.efficiency import above_chance, end_sample, factor
from vector_universe.training.comparison.results import Results

FIGURES = {"name_top_1": "names, top-1", "name_top_10": "names, top-10", "label_top_1": "labels, top-1",
           "label_macro_map": "labels, macro mAP"}
Said = Literal["higher", "lower", "cannot tell"]


@dataclass(frozen=True)
class Pair:
    """Two objectives at their ends.

    Attributes:
        one, other: which.
        by_seed: one − other, seed by seed.
        paired: one − other by the means over seeds, with its interval over the same test pictures; None for a figure
            that is no share of pictures.
        said: whether `one` is higher. Told only where the interval leaves out 0 and every seed agrees.
    """

    one: Objective
    other: Objective
    by_seed: tuple[float, ...]
    paired: Difference | None
    said: Said


def judge(results: Results, one: Objective, other: Objective, figure: str) -> Pair:
    """Compare the ends of two objectives."""
    by_seed = results.values(one, figure)[:, -1] - results.values(other, figure)[:, -1]
    samples = end_sample(results, other, figure), end_sample(results, one, figure)
    paired = difference(samples[0], samples[1]) if samples[0] is not None and samples[1] is not None else None
    certain = paired is None or paired.is_certain
    said: Said = "cannot tell"
    if certain and np.all(by_seed > 0):
        said = "higher"
    elif certain and np.all(by_seed < 0):
        said = "lower"
    return Pair(one, other, tuple(float(value) for value in by_seed), paired, said)


def verdict(results: Results) -> list[str]:
    """In plain words: whether the expected order holds by the main figure, who is where, and by how much."""
    ends = {objective: float(results.values(objective, results.main)[:, -1].mean())
            for objective in results.objectives}
    ranking = sorted(results.objectives, key=lambda objective: -ends[objective])
    lines = _order(results, [objective for objective in EXPECTED if objective in results.objectives])
    lines.append(f"{capitalised(FIGURES[results.main])}, after {results.images:,} pictures each: "
                 + ", ".join(f"{NAMES[objective]} {ends[objective]:.3f}" for objective in ranking)
                 + f"; chance {results.any_run.chances[results.main]:.3f}.")
    at_chance = [NAMES[objective] for objective in ranking if not above_chance(results, objective, results.main)]
    if at_chance:
        lines.append(f"Not told from chance: {', '.join(at_chance)}.")
    factors = [factor(results, ranking[0], slower, results.main) for slower in ranking[1:]
               if judge(results, ranking[0], slower, results.main).said == "higher"]
    reached = [f"{'at least ' if found.at_least else ''}{found.value:.1f} times fewer than {NAMES[found.slower]}"
               for found in factors if found.value is not None and found.above_chance]
    if reached:
        lines.append(f"To get where the others end, {NAMES[ranking[0]]} needs fewer pictures: {', '.join(reached)}.")
    if results.seeds == 1:
        lines.append("There was one seed: how much another start would change is not known.")
    return lines


def _order(results: Results, expected: Sequence[Objective]) -> list[str]:
    """Whether the order of the literature holds here."""
    if len(expected) < 2:
        return []
    pairs = [judge(results, one, other, results.main) for one, other in combinations(expected, 2)]
    order = " > ".join(NAMES[objective] for objective in expected)
    if against := [f"{NAMES[pair.one]} ends below {NAMES[pair.other]}" for pair in pairs if pair.said == "lower"]:
        return [f"The order {order} does not hold here: {', '.join(against)}."]
    if close := [f"{NAMES[pair.one]} and {NAMES[pair.other]}" for pair in pairs if pair.said == "cannot tell"]:
        return [f"Whether the order {order} holds cannot be told here: too close are {', '.join(close)}."]
    return [f"The order {order} holds here."]


def capitalised(text: str) -> str:
    """With a capital at its beginning, and otherwise as it is."""
    return text[:1].upper() + text[1:]
