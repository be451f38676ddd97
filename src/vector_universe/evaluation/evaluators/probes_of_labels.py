"""Probes of images with several labels: one linear probe a label, all of one strength."""

from __future__ import annotations

import numpy as np

from vector_universe.errors import UserError
from vector_universe.evaluation.classification import listed
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.probe_parts import HELD_OUT, edge_of, held_out, plot_of, settings_of
from vector_universe.evaluation.label_figures import label_cases, label_figures, label_table
from vector_universe.evaluation.label_ranking import average_precision_by_label, average_precisions
from vector_universe.evaluation.linear_probe import STRENGTHS, suited, sweep
from vector_universe.evaluation.section import Section
from vector_universe.evaluation.subject import Subject
from vector_universe.losses.label_sets import LabelSets
from vector_universe.progress import StageProgress, counter

TITLE = "Probes"
ABOUT = ("A linear classifier for each label, learnt from the image vectors of the train split: how well it ranks the "
         "labels of an image (by image) and the images of a label (by label). Chance is a random order.")


def probe_labels(subject: Subject, test: str, config: EvaluateConfig, progress: StageProgress) -> Section:
    """The linear probe of every label with a training image, its strength chosen by the mAP by label.

    Raises:
        UserError: there is but one label or training image, or no test image has a label that the train split has.
    """
    train = _labelled(subject, subject.places("train"))
    names = sorted({label for place in train for label in subject.examples[place].labels})
    judged = _labelled(subject, subject.places(test), set(names))
    if len(names) < 2 or len(train) < 2 or not len(judged):
        raise UserError(f"{len(train)} training images have the labels {listed(names) or 'none'}, {len(judged)} test "
                        "images have one of these: it takes two labels on two training images, and a test image")
    warnings = _strange(subject, subject.places(test), set(names))
    validation = _labelled(subject, subject.places("validation") if test == "test" else train[:0], set(names))
    chosen_on = "validation split"
    if not len(validation):
        out_N = held_out(np.zeros(len(train), np.int64), config.seed)
        train, validation = train[~out_N], train[out_N]
        chosen_on = f"{HELD_OUT:.0%} of the train split"
    number = {name: place for place, name in enumerate(names)}
    true_NL, true_ML, true_QL = (_multi_hot(subject, places, number) for places in (train, validation, judged))
    train_ND = subject.images_ND[train]
    found = sweep(train_ND, true_NL, subject.images_ND[validation], true_ML, _macro, suited(STRENGTHS, train_ND),
                  advance=counter(progress, TITLE, len(STRENGTHS) + 1))
    likely_QL = found.probe.probabilities(subject.images_ND[judged])
    sets = _label_sets(true_QL)
    frequent_QL = np.broadcast_to((true_NL.sum(axis=0) + true_ML.sum(axis=0)).astype(np.float32), true_QL.shape)
    units = [subject.examples[place].id for place in judged]
    return Section(
        "probes", TITLE, ABOUT,
        tuple(label_figures(likely_QL, sets, test, "linear probe", units, config, key=True)),
        (label_table(likely_QL, sets, names, "Linear probe by label"),), (plot_of(found, "mAP by label"),),
        tuple(label_cases(likely_QL, sets, names, judged, config.seed)), tuple(warnings),
        (*edge_of(found), "Ranking the labels of every image by how frequent they are in the train split reaches a mAP "
                          f"by image of {average_precisions(frequent_QL, true_QL).mean():.3f}."),
        settings=settings_of(found, chosen_on, train, validation, judged) | {"labels": len(names)},
        details={"steps": found.probe.iterations})


def _labelled(subject: Subject, places: np.ndarray, names: set[str] | None = None) -> np.ndarray:
    """Places of examples with a label, or with one of `names`."""
    return np.array([place for place in places if subject.examples[place].labels
                     and (names is None or names & set(subject.examples[place].labels))], np.int64)


def _strange(subject: Subject, places: np.ndarray, names: set[str]) -> list[str]:
    strange = sorted({label for place in places for label in subject.examples[place].labels} - names)
    return [f"{len(strange)} label{'s' if len(strange) > 1 else ''} of the test images without a training image: "
            f"{listed(strange)}; not ranked"] if strange else []


def _multi_hot(subject: Subject, places: np.ndarray, number: dict[str, int]) -> np.ndarray:
    true_NL = np.zeros((len(places), len(number)), bool)
    for row, place in enumerate(places):
        true_NL[row, [number[label] for label in subject.examples[place].labels if label in number]] = True
    return true_NL


def _label_sets(true_QL: np.ndarray) -> LabelSets:
    return LabelSets.from_lists([np.flatnonzero(row).tolist() for row in true_QL], true_QL.shape[1])


def _macro(logits_ML: np.ndarray, true_ML: np.ndarray) -> float:
    return float(np.nanmean(average_precision_by_label(logits_ML, _label_sets(true_ML))))
