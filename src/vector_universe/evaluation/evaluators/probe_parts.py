"""What the probes of classes and those of labels have in common."""

from __future__ import annotations

import numpy as np

from vector_universe.evaluation.linear_probe import Sweep
from vector_universe.evaluation.section import Curve, Plot

HELD_OUT = 0.2  # of the train split, to choose a strength on where there is no validation split


def held_out(classes_N: np.ndarray, seed: int) -> np.ndarray:
    """Which rows choose the strength, bool (N,): a fifth of each class, one at least, and none of a class of one."""
    generator = np.random.default_rng(seed)
    out_N = np.zeros(len(classes_N), bool)
    for number in np.unique(classes_N):
        places = generator.permutation(np.flatnonzero(classes_N == number))
        if len(places) > 1:
            out_N[places[:max(1, round(HELD_OUT * len(places)))]] = True
    return out_N


def settings_of(found: Sweep, chosen_on: str, train: np.ndarray, validation: np.ndarray,
                judged: np.ndarray) -> dict[str, object]:
    """What a linear probe depends on."""
    return {"strengths": list(found.strengths), "strength": found.probe.strength, "strength chosen on": chosen_on,
            "training images": len(train), "validation images": len(validation), "test images": len(judged)}


def edge_of(found: Sweep) -> list[str]:
    """A remark where a better strength may lie beyond those tried."""
    return [f"The best strength, {found.probe.strength:g}, is at the edge of those tried."] if found.at_the_edge else []


def plot_of(found: Sweep, metric: str) -> Plot:
    """How the validation part judged the strengths."""
    curve = Curve("linear probe", found.strengths, found.scores)
    return Plot("Strength of the linear probe", f"The last fit is with C = {found.probe.strength:g}.",
                "C, weight of the data", f"validation {metric}", (curve,), x_log=True)
