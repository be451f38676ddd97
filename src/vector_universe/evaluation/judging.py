"""The same questions asked of pictures under different conditions: which class, and which picture for a text?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vector_universe.data import Example
from vector_universe.evaluation.chance import chance_recall
from vector_universe.evaluation.classification import classify
from vector_universe.evaluation.prompts import Prompts, readable
from vector_universe.evaluation.ranks import ranks
from vector_universe.evaluation.robustness import Probe, fit_probes
from vector_universe.evaluation.section import all_single
from vector_universe.evaluation.subject import Subject
from vector_universe.evaluation.zero_shot import zero_shot_classes

ZERO_SHOT, LINEAR_PROBE = "zero-shot top-1", "linear probe top-1"
RECALLS = {"text → image R@1": 1, "text → image R@10": 10}


@dataclass(frozen=True, eq=False)
class Answers:
    """What was right, by metric: a value a unit.

    Attributes:
        values, units: whether each was right, and its name.
        chances: what a random guess or order reaches.
        baselines: accuracies of the probes, fewest images first.
    """

    values: dict[str, np.ndarray]
    units: dict[str, tuple[str, ...]]
    chances: dict[str, float]
    baselines: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Judge:
    """What one model is asked, fixed before any picture is seen.

    Attributes:
        names: the classes, by their readable form; none where pictures have no classes.
        classes_CD: zero-shot vectors of the classes.
        probes: fitted on the train split, the last on all of it.
        texts: the queries.
        texts_QD: their unit rows.
    """

    names: tuple[str, ...] = ()
    classes_CD: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    probes: tuple[Probe, ...] = ()
    texts: tuple[str, ...] = ()
    texts_QD: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    def answers(self, examples: Sequence[Example], images_ND: np.ndarray) -> Answers:
        """Ask it all of these pictures: of those that have one of the classes, and of those that have one of the texts.
        """
        values: dict[str, np.ndarray] = {}
        units: dict[str, tuple[str, ...]] = {}
        chances: dict[str, float] = {}
        baselines: list[float] = []
        number = {name: place for place, name in enumerate(self.names)}
        rows = [row for row, one in enumerate(examples) if one.labels and readable(one.labels[0]) in number]
        if self.names and rows:
            classes_M = np.array([number[readable(examples[row].labels[0])] for row in rows])
            images_MD = images_ND[rows]
            values[ZERO_SHOT] = classify(images_MD @ self.classes_CD.T, classes_M).correct_at_1
            by_probe = [classify(probe.scores(images_MD), classes_M).correct_at_1 for probe in self.probes]
            if by_probe:
                values[LINEAR_PROBE] = by_probe[-1]
            baselines = [float(correct_M.mean()) for correct_M in by_probe]
            units |= dict.fromkeys(values, tuple(examples[row].id for row in rows))
            most_frequent = float(np.bincount(classes_M).max() / len(rows))
            chances |= dict.fromkeys(values, most_frequent)
        right: dict[str, list[int]] = {text: [] for text in self.texts}
        rows = [row for row, one in enumerate(examples) if not right.keys().isdisjoint(one.texts)]
        for place, row in enumerate(rows):
            for text in dict.fromkeys(examples[row].texts):
                if text in right:
                    right[text].append(place)
        asked = [query for query, text in enumerate(self.texts) if right[text]]
        if len(asked) > 1:
            ranks_Q = ranks(self.texts_QD[asked], images_ND[rows],
                            [right[self.texts[query]] for query in asked]).first_A
            for metric, k in RECALLS.items():
                values[metric] = ranks_Q <= k
                units[metric] = tuple(self.texts[query] for query in asked)
                chances[metric] = float(np.mean([chance_recall(len(rows), len(right[text]), k)
                                                 for text in units[metric]]))
        return Answers(values, units, chances, tuple(baselines))


def judge_of(subject: Subject, names: Sequence[str], texts: Sequence[str], prompts: Prompts, seed: int) -> Judge:
    """A judge with zero-shot vectors of these classes, probes fitted on the train split, and these texts."""
    if len(names) < 2:
        return Judge(texts=tuple(texts), texts_QD=subject.embed_texts(texts))
    written = class_forms(subject.examples)
    number = {name: place for place, name in enumerate(names)}
    train = [(place, number[readable(subject.examples[place].labels[0])]) for place in subject.places("train")
             if subject.examples[place].labels and readable(subject.examples[place].labels[0]) in number]
    places = np.array([place for place, _ in train], np.int64)
    probes = fit_probes(subject.images_ND[places], np.array([own for _, own in train], np.int64), len(names), seed)
    classes_CD = zero_shot_classes(subject, [written[name] for name in names], prompts)
    return Judge(tuple(names), classes_CD, tuple(probes), tuple(texts), subject.embed_texts(texts))


def class_forms(examples: Sequence[Example]) -> dict[str, str]:
    """Classes of single-label examples: from their readable form to what is written; none where there are several."""
    if not all_single([example.labels for example in examples]):
        return {}
    found = sorted({example.labels[0] for example in examples if example.labels})
    return {readable(label): label for label in reversed(found)}
