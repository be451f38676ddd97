"""What is shown of a classification: figures, a table of classes, confusions, and pictures as examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vector_universe.evaluation.bootstrap import Sample
from vector_universe.evaluation.classification import Classification
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.section import Case, Figure, Table

MOST_CONFUSIONS = 30  # classes up to which a table of all confusions can be read
ROWS = 50  # of the table by class
CASES = 6  # hits, and as many misses
LIKELIEST = 3


def class_figures(found: Classification, test: str, name: str, units: Sequence[str], config: EvaluateConfig,
                  key: bool = False) -> list[Figure]:
    """Top-1, top-5 (of more than five classes) and balanced accuracy, with intervals.

    Chance is always naming the most frequent classes, without a look at the image; for balanced accuracy 1 / classes.

    Args:
        found: of N rows.
        test: where they are from.
        name: of the classifier, before the metric: "zero-shot" gives "zero-shot top-1".
        units: id of each row.
        config: draws and seed.
        key: whether the verdict speaks of top-1.
    """
    shares_C = np.sort(found.count_C)[::-1] / len(found.classes_N)
    measured = [("top-1", Sample.of(found.correct_at_1, units), float(shares_C[0]), key)]
    if found.classes > 5:
        measured.append(("top-5", Sample.of(found.correct_at_5, units), float(shares_C[:5].sum()), False))
    balanced = Sample.of(found.correct_at_1, units, found.classes_N)
    measured.append(("balanced accuracy", balanced, 1 / found.classes, False))
    return [Figure.mean(test, f"{name} {metric}", sample, chance=chance, key=is_key, draws=config.draws,
                        seed=config.seed) for metric, sample, chance, is_key in measured]


def class_table(found: Classification, names: Sequence[str], title: str) -> Table:
    """Count, recall, precision and most frequent confusion of each class that occurs or is predicted, worst first."""
    confusion_CC, predicted_C = found.confusion_CC, np.bincount(found.predicted_N, minlength=found.classes)
    rows = []
    order = [number for number in np.argsort(found.recall_C, kind="stable").tolist()
             if found.count_C[number] or predicted_C[number]]
    for number in order[:ROWS]:
        wrong_C = confusion_CC[number] * (np.arange(found.classes) != number)
        other = int(wrong_C.argmax())
        taken = f"{names[other]} ({wrong_C[other]})" if wrong_C[other] else "–"
        rows.append((names[number], int(found.count_C[number]), float(found.recall_C[number]),
                     float(found.precision_C[number]), taken))
    note = f"The {ROWS} of {len(order)} classes with the lowest recall." if len(order) > ROWS else ""
    return Table(title, ("class", "images", "recall", "precision", "most often taken for"), tuple(rows), note=note)


def confusion_table(found: Classification, names: Sequence[str], title: str) -> Table | None:
    """True classes down, predicted ones across; None where there are too many to be read."""
    if found.classes > MOST_CONFUSIONS:
        return None
    occurs = [number for number in range(found.classes) if found.count_C[number]]
    return Table(title, ("true class", *names),
                 tuple((names[number], *map(int, found.confusion_CC[number])) for number in occurs), heat=True)


def class_cases(scores_NC: np.ndarray, found: Classification, names: Sequence[str], places_N: np.ndarray,
                seed: int) -> list[Case]:
    """Some hits and some misses, drawn at random, each with its three likeliest classes."""
    cases = []
    for kind, chosen in (("hit", found.correct_at_1), ("miss", ~found.correct_at_1)):
        rows = np.flatnonzero(chosen)
        for row in np.sort(np.random.default_rng(seed).permutation(rows)[:CASES]):
            true = int(found.classes_N[row])
            order = np.lexsort((np.arange(len(names)) == true, -scores_NC[row]))[:LIKELIEST].tolist()
            texts = tuple((names[number], float(scores_NC[row, number]), number == true) for number in order)
            cases.append(Case("hit" if kind == "hit" else "miss", query=names[true], query_image=int(places_N[row]),
                              found_texts=texts, note=f"rank {found.ranks_N[row]} of {len(names)}"))
    return cases
