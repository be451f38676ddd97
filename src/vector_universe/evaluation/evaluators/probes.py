"""Probes: what do the image vectors know about the labels, whatever the texts make of it?"""

from __future__ import annotations

import numpy as np

from vector_universe.errors import UserError
from vector_universe.evaluation.class_figures import class_cases, class_figures, class_table, confusion_table
from vector_universe.evaluation.classification import Classes, class_splits, classes_of, classify
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.probe_parts import HELD_OUT, edge_of, held_out, plot_of, settings_of
from vector_universe.evaluation.evaluators.probes_of_labels import probe_labels
from vector_universe.evaluation.linear_probe import STRENGTHS, suited, sweep
from vector_universe.evaluation.nearest_neighbours import NEIGHBOURS, TEMPERATURE, neighbour_scores
from vector_universe.evaluation.section import Section, all_single
from vector_universe.evaluation.subject import Subject
from vector_universe.progress import StageProgress, counter

TITLE = "Probes"
ABOUT = ("A linear classifier and the nearest neighbours, learnt from the image vectors of the train split: how well "
         "they tell the classes apart, whatever the texts make of them. Chance is always naming the most "
         "frequent classes; for balanced accuracy, the mean over the classes of their recall, it is 1 / classes.")


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
    confusions = confusion_table(linear, learnt.names, "Linear probe: which class is taken for which")
    remarks = edge_of(found)
    if neighbours < NEIGHBOURS:
        remarks.append(f"There are {neighbours} training images: all of them are neighbours.")
    return Section(
        "probes", TITLE, ABOUT,
        (*class_figures(linear, test, "linear probe", units, config, key=True),
         *class_figures(nearest, test, "k-NN", units, config)),
        (class_table(linear, learnt.names, "Linear probe by class"), *([confusions] if confusions else [])),
        (plot_of(found, "top-1"),),
        tuple(class_cases(found.probe.probabilities(rows_ND), linear, learnt.names, judged.places_N, config.seed)),
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
