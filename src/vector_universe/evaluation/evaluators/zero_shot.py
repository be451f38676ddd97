"""Zero-shot classification as a section: labels asked as texts, with prompts around them and without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vector_universe.data.sources.clip_benchmark import class_names
from vector_universe.errors import UserError
from vector_universe.evaluation.bootstrap import difference
from vector_universe.evaluation.class_figures import class_cases, class_figures, class_table, confusion_table
from vector_universe.evaluation.classification import classify, listed
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.label_figures import label_cases, label_figures, label_table
from vector_universe.evaluation.prompts import PLAIN, readable
from vector_universe.evaluation.section import Figure, Section, all_single
from vector_universe.evaluation.subject import Subject
from vector_universe.evaluation.zero_shot import prompts_for, zero_shot_scores
from vector_universe.losses.label_sets import LabelSets
from vector_universe.models.predictors import Predictor
from vector_universe.progress import StageProgress

TITLE = "Zero-shot classification"
ABOUT = ("Each label is made texts by prompts, and an image is given the label whose texts are nearest to it; no image "
         "of a class is needed (Radford et al. 2021, section 3.1). A model that predicts words gives the label that "
         "the image makes likeliest, against how frequent the label is anyway. ")

SAME, LEAST_JUDGED = 0.95, 20  # so large a share of at least so many images with one label is worth a warning


def evaluate_zero_shot(subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
    """Zero-shot classification of the test split; of images with several labels, the ranking of all labels.

    Candidates are all labels of the data set, also those without an image in the split.

    Raises:
        UserError: the prompts cannot be used; or this evaluation was asked for by name, and there is but one label, or
            no label in the test split.
    """
    names = label_names(subject)
    if not names:
        return None
    prompts = prompts_for(subject, config)
    test = subject.test_split or "train"
    places_N = np.array([place for place in subject.places(test) if subject.examples[place].labels], np.int64)
    if len(names) < 2:
        return _unusable(config, f"every image has the label {names[0]!r}: there is nothing to tell apart, give a data "
                                 "set of two or more labels")
    if not len(places_N):
        return _unusable(config, f"no image of the {test} split has a label, only others do: give a data set whose "
                                 f"{test} split has labels too")
    number = {name: place for place, name in enumerate(names)}
    labels = [[number[label] for label in subject.examples[place].labels] for place in places_N]
    single = all_single([example.labels for example in subject.examples])
    figures: list[Figure] = []
    scores_NC = np.empty((0, 0))
    units = [subject.examples[place].id for place in places_N]
    chosen = [prompts] if prompts.templates == PLAIN.templates else [PLAIN, prompts]
    for stage, tried in enumerate(chosen):
        progress("zero-shot", stage, len(chosen))
        scores_NC = zero_shot_scores(subject.at(places_N), names, tried)
        name = "zero-shot" if tried is prompts else "zero-shot, bare label,"
        figures = _figures(scores_NC, labels, single, test, name, units, config, tried is prompts) + figures
    progress("zero-shot", len(chosen), len(chosen))
    parts = _single_parts if single else _multiple_parts
    tables, cases = parts(scores_NC, labels, names, places_N, config.seed)
    return Section(
        "zero_shot", TITLE, ABOUT + (
            "Top-1 is the share of images that get their own label." if single else
            "Images have several labels: mAP by label is how well each label ranks all images, by image how well each "
            "image ranks all labels."), tuple(figures), tuple(tables), cases=tuple(cases),
        warnings=(*_warnings(subject, names), *_one_for_all(scores_NC, names)),
        remarks=tuple(_remarks(subject, names, places_N, figures, len(chosen) > 1)),
        settings={"split": test, "prompts": prompts.name, "templates": list(prompts.templates),
                  "literal": prompts.literal, "texts": {name: prompts.texts(name) for name in names}})


def label_names(subject: Subject) -> list[str]:
    """All labels of the data set: those of classnames.txt in its order, where it has one, then others, sorted."""
    found = {label for example in subject.examples for label in example.labels}
    listed_names = [name for name in dict.fromkeys(class_names(subject.dataset.source)) if name] if found else []
    return [*listed_names, *sorted(found - set(listed_names))]


def _figures(scores_NC: np.ndarray, labels: Sequence[Sequence[int]], single: bool, test: str, name: str,
             units: Sequence[str], config: EvaluateConfig, key: bool) -> list[Figure]:
    if single:
        return class_figures(classify(scores_NC, np.array([own[0] for own in labels])), test, name, units, config, key)
    return label_figures(scores_NC, LabelSets.from_lists(labels, scores_NC.shape[1]), test, name, units, config, key)


def _single_parts(scores_NC, labels, names, places_N, seed):
    found = classify(scores_NC, np.array([own[0] for own in labels]))
    confusions = confusion_table(found, names, "Zero-shot: which class is taken for which")
    return ([class_table(found, names, "Zero-shot by class"), *([confusions] if confusions else [])],
            class_cases(scores_NC, found, names, places_N, seed))


def _multiple_parts(scores_NL, labels, names, places_N, seed):
    sets = LabelSets.from_lists(labels, len(names))
    return ([label_table(scores_NL, sets, names, "Zero-shot by label")],
            label_cases(scores_NL, sets, names, places_N, seed))


def _warnings(subject: Subject, names: Sequence[str]) -> list[str]:
    warnings = []
    if subject.test_split is None:
        warnings.append("There is no test split: zero-shot classification was measured on the train split, which the "
                        "model may have learnt from.")
    if isinstance(subject.model, Predictor) and (unknown := subject.model.unknown([readable(name) for name in names])):
        warnings.append(f"The model knows no word of the label{'s' if len(unknown) > 1 else ''} {listed(unknown)}: no "
                        "training text has one, so no image speaks for it or against it.")
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(readable(name), []).append(name)
    for same in alike.values():
        if len(same) > 1:
            warnings.append(f"The labels {listed(same)} read alike: no text can tell them apart.")
    return warnings


def _one_for_all(scores_NC: np.ndarray, names: Sequence[str]) -> list[str]:
    """A warning where nearly every image is given one and the same label: no judgement, whatever the figures say."""
    given_C = np.bincount(scores_NC.argmax(axis=1), minlength=len(names))
    if len(names) < 3 or len(scores_NC) < LEAST_JUDGED or given_C.max() < SAME * len(scores_NC):
        return []
    return [f"Zero-shot classification gives {given_C.max()} of {len(scores_NC)} images the label "
            f"{names[int(given_C.argmax())]!r}: it does not tell the labels apart."]


def _remarks(subject: Subject, names: Sequence[str], places_N: np.ndarray, figures: Sequence[Figure],
             both: bool) -> list[str]:
    remarks = []
    seen = {label for place in places_N for label in subject.examples[place].labels}
    if absent := [name for name in names if name not in seen]:
        remarks.append(f"Without an image in the split, but candidates all the same: {listed(absent)}.")
    if without := len(subject.places(subject.test_split or "train")) - len(places_N):
        remarks.append(f"{without} images of the split have no label and were left out.")
    half = len(figures) // 2
    ones = next((place for place in range(half) if figures[place].sample is not None), None)
    if both and ones is not None:
        with_prompts, bare = figures[ones].sample, figures[half + ones].sample
        if with_prompts and bare and (gain := difference(bare, with_prompts)):
            remarks.append(f"Prompts change {figures[ones].metric} by {gain.value:+.3f} over the bare label (95 % "
                           f"interval {gain.low:+.3f} to {gain.high:+.3f}).")
    return remarks


def _unusable(config: EvaluateConfig, reason: str) -> Section:
    """Raises UserError where this evaluation was asked for by name; else the report says why it is missing."""
    if "zero_shot" in config.only:
        raise UserError(f"zero-shot classification: {reason}")
    return Section("zero_shot", TITLE, "Not measured.", remarks=(f"Not measured: {reason}.",))
