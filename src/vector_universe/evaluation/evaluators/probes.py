"""Probes: what do the image vectors know about the labels, whatever the texts make of it?"""

from __future__ import annotations

import numpy as np
import torch

from vector_universe.errors import UserError
from vector_universe.evaluation.bootstrap import Sample
from vector_universe.evaluation.classification import Classes, Classification, class_splits, classes_of, classify
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.probe_parts import HELD_OUT, edge_of, held_out, plot_of, settings_of
from vector_universe.evaluation.evaluators.probes_of_labels import probe_labels
from vector_universe.evaluation.linear_probe import STRENGTHS, suited, sweep
from vector_universe.evaluation.nearest_neighbours import NEIGHBOURS, TEMPERATURE, neighbour_scores
from vector_universe.evaluation.section import Case, Figure, Section, Table, all_single
from vector_universe.evaluation.subject import Subject
from vector_universe.progress import StageProgress, counter

TITLE = "Probes"
ABOUT = ("A linear classifier and the nearest neighbours, learnt from the image vectors of the train split: how well "
         "they tell the classes apart, whatever the texts make of them. Chance is always naming the most "
         "frequent classes; for balanced accuracy, the mean over the classes of their recall, it is 1 / classes.")
HEAT = 30  # classes that a confusion can show
ROWS = 50  # of the table by class
CASES = 6  # hits, and misses
LIKELIEST = 3  # classes that a case names


def evaluate_probes(subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
    """A linear probe with its strength chosen on a validation part, and k nearest neighbours.

    Images with several labels have one linear probe a label, judged by its ranking. None for data without labels, a
    train split or a split to judge by.

    Raises:
        UserError: it was asked for by name, and the classes cannot be learnt.
    """
    labels, test = [example.labels for example in subject.examples], subject.test_split
    if test is None or not len(subject.places("train")) or not any(labels):
        return None
    try:
        return (_probe_classes if all_single(labels) else probe_labels)(subject, test, config, progress)
    except UserError as error:
        if "probes" in config.only:
            raise
        return Section("probes", TITLE, ABOUT, remarks=(f"Not measured: {error}.",))


def _probe_classes(subject: Subject, test: str, config: EvaluateConfig, progress: StageProgress) -> Section:
    learnt, judged, warnings = class_splits(subject.examples, subject.places("train"), subject.places(test))
    train, validation, chosen_on = _parts(subject, test, learnt, config.seed)
    count = len(learnt.names)
    train_ND = subject.images_ND[train.places_N]
    found = sweep(train_ND, train.numbers_N, subject.images_ND[validation.places_N],
                  validation.numbers_N, lambda logits, true: classify(logits, true).top_1,
                  suited(STRENGTHS, train_ND), count,
                  counter(progress, TITLE, len(STRENGTHS) + 1))
    rows_ND = subject.images_ND[judged.places_N]
    linear = classify(found.probe.logits(rows_ND), judged.numbers_N)
    places = np.concatenate([train.places_N, validation.places_N])
    neighbours = min(NEIGHBOURS, len(places))
    nearest = classify(neighbour_scores(rows_ND, subject.images_ND[places],
                                        np.concatenate([train.numbers_N, validation.numbers_N]), count, neighbours),
                       judged.numbers_N)
    units = [subject.examples[place].id for place in judged.places_N]
    remarks = edge_of(found)
    if neighbours < NEIGHBOURS:
        remarks.append(f"There are {neighbours} training images: all of them are neighbours.")
    return Section(
        "probes", TITLE, ABOUT,
        (*_figures(test, "linear probe", linear, units, config, key=True),
         *_figures(test, "k-NN", nearest, units, config)),
        (_by_class(learnt.names, linear), *_confusion(learnt.names, linear)),
        (plot_of(found, "top-1"),), _cases(subject, judged, linear, found.probe.probabilities(rows_ND), config.seed),
        tuple(warnings), tuple(remarks),
        settings=settings_of(found, chosen_on, train.places_N, validation.places_N, judged.places_N)
        | {"classes": count, "neighbours": neighbours, "temperature": TEMPERATURE},
        details={"linear_probe": {"steps": found.probe.iterations, "objective": found.probe.objective}})


def _parts(subject: Subject, test: str, learnt: Classes, seed: int) -> tuple[Classes, Classes, str]:
    """What to fit on, what to choose the strength on, and what that is in words."""
    if test == "test" and len(subject.places("validation")):
        try:
            return learnt, classes_of(subject.examples, subject.places("validation"), learnt.names), "validation split"
        except UserError:
            pass  # it shares no class with the train split: hold some of that out
    out_N = held_out(learnt.numbers_N, seed)
    parts = [Classes(learnt.names, learnt.places_N[chosen], learnt.numbers_N[chosen]) for chosen in (~out_N, out_N)]
    return parts[0], parts[1], f"{HELD_OUT:.0%} of the train split, by class"


def _figures(test: str, name: str, found: Classification, units: list[str], config: EvaluateConfig,
             key: bool = False) -> list[Figure]:
    shares_C = np.sort(found.count_C)[::-1] / len(found.classes_N)
    figures = [Figure.mean(test, f"{name} top-1", Sample.of(found.correct_at_1, units), chance=float(shares_C[0]),
                           key=key, draws=config.draws, seed=config.seed)]
    if found.top_5 is not None:
        figures.append(Figure.mean(test, f"{name} top-5", Sample.of(found.correct_at_5, units),
                                   chance=float(shares_C[:5].sum()), draws=config.draws, seed=config.seed))
    balanced = Sample.of(found.correct_at_1, units, found.classes_N)
    return [*figures, Figure.mean(test, f"{name} balanced accuracy", balanced, chance=1 / found.classes,
                                  draws=config.draws, seed=config.seed)]


def _by_class(names: tuple[str, ...], found: Classification) -> Table:
    """Recall and precision of each class that occurs, the worst first."""
    others_CC = found.confusion_CC - np.diag(np.diag(found.confusion_CC))
    recall_C, precision_C = found.recall_C, found.precision_C
    order = [int(number) for number in np.argsort(recall_C, kind="stable") if found.count_C[number]]
    rows = tuple((names[number], int(found.count_C[number]), float(recall_C[number]),
                  "–" if np.isnan(precision_C[number]) else float(precision_C[number]),
                  names[int(others_CC[number].argmax())] if others_CC[number].any() else "–")
                 for number in order[:ROWS])
    note = f"The {ROWS} of {len(order)} classes with the lowest recall." if len(order) > ROWS else ""
    return Table("Linear probe by class", ("class", "test images", "recall", "precision", "most often taken for"), rows,
                 note=note)


def _confusion(names: tuple[str, ...], found: Classification) -> list[Table]:
    if len(names) > HEAT:
        return []
    rows: tuple[tuple[str | int, ...], ...] = tuple(
        (name, *row_C.tolist()) for name, row_C in zip(names, found.confusion_CC, strict=True))
    return [Table("Confusions of the linear probe", ("true \\ predicted", *names), rows, heat=True)]


def _cases(subject: Subject, judged: Classes, found: Classification, likely_NC: np.ndarray,
           seed: int) -> tuple[Case, ...]:
    """The misses that the probe is surest of, and hits drawn by chance."""
    wrong, right = np.flatnonzero(~found.correct_at_1), np.flatnonzero(found.correct_at_1)
    surest = wrong[np.argsort(-likely_NC[wrong, found.predicted_N[wrong]], kind="stable")][:CASES]
    drawn = np.random.default_rng(seed).permutation(right)[:CASES]
    return tuple(_case(subject, judged, row, bool(found.correct_at_1[row]), likely_NC[row])
                 for row in (*drawn.tolist(), *surest.tolist()))


def _case(subject: Subject, judged: Classes, row: int, hit: bool, likely_C: np.ndarray) -> Case:
    own = int(judged.numbers_N[row])
    best = torch.from_numpy(likely_C).topk(min(LIKELIEST, len(likely_C))).indices.tolist()
    place = int(judged.places_N[row])
    return Case("hit" if hit else "miss", judged.names[own], place,
                found_texts=tuple((judged.names[number], float(likely_C[number]), number == own) for number in best),
                note=f"{subject.examples[place].id}: {likely_C[own]:.0%} for its own class")
