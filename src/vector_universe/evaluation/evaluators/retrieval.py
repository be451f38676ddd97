"""Retrieval as a section of the report: figures by split and direction, by label, the curve of ranks, and cases."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import numpy as np

from vector_universe.evaluation.bootstrap import Sample
from vector_universe.evaluation.chance import (
    chance_average_precision,
    chance_median_rank,
    chance_recall,
    chance_reciprocal_rank,
    mean_chance,
    missed,
)
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.evaluators.retrieval_cases import retrieval_cases
from vector_universe.evaluation.geometry import TIE
from vector_universe.evaluation.retrieval import Retrieval, median_interval
from vector_universe.evaluation.retrieval_tests import (
    IMAGE_TO_TEXT,
    TEXT_TO_IMAGE,
    RetrievalTest,
    count_queries,
    retrieval_tests,
)
from vector_universe.evaluation.section import Curve, Figure, Plot, Section, Table
from vector_universe.evaluation.subject import Subject
from vector_universe.progress import StageProgress, counter

RECALLS = (1, 5, 10)
KEYS = {f"{TEXT_TO_IMAGE} R@1", f"{TEXT_TO_IMAGE} R@10", f"{IMAGE_TO_TEXT} R@1"}
LEAST, MOST = 10, 30  # queries of a label, and labels, in the table
POINTS = 80  # of the curve of ranks


@dataclass(frozen=True)
class RetrievalBySplit:
    """Figures by name of the test: a split's name, "… among all", or "unseen texts among all"."""

    text_to_image: dict[str, Retrieval]
    image_to_text: dict[str, Retrieval]

    @classmethod
    def of(cls, tests: list[RetrievalTest]) -> RetrievalBySplit:
        """The figures of tests."""
        return cls(*({test.name: Retrieval.of(test.ranks) for test in tests if test.direction == direction}
                     for direction in (TEXT_TO_IMAGE, IMAGE_TO_TEXT)))


def retrieval_by_split(subject: Subject) -> RetrievalBySplit:
    """Retrieval in both directions, on each split by itself and with each split's texts among all images."""
    return RetrievalBySplit.of(retrieval_tests(subject))


def evaluate_retrieval(subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
    """Text → image and image → text retrieval; None where no image could be read."""
    total = count_queries(subject)
    advance = counter(progress, "ranking", total)
    tests = retrieval_tests(subject, advance)
    progress("ranking", total, total)
    if not tests:
        return None
    judged = subject.test_split or tests[0].name
    found = RetrievalBySplit.of(tests)
    shown = next(test for test in tests if (test.name, test.direction) == (judged, TEXT_TO_IMAGE))
    return Section(
        "retrieval", "Retrieval",
        "How often the right image is among the first found for a text, and the right text for an image. A tie counts "
        "against the model; other right answers do not. Intervals are 95 % bootstrap intervals over images.",
        figures=tuple(figure for test in tests for figure in _figures(test, config, test.name == judged)),
        tables=tuple(table for table in [_by_label(subject, shown)] if table.rows),
        plots=(_plot(shown),),
        cases=tuple(case for test in tests if test.name == judged for case in retrieval_cases(subject, test)),
        warnings=() if subject.test_split else (
            f"There is no validation or test split: retrieval is of the {judged} split, which says nothing about new "
            "images if the model was trained on it.",),
        remarks=tuple(_remarks(tests)),
        settings={"tie": TIE, "draws": config.draws, "seed": config.seed, "judged by": judged,
                  "queries": "each distinct text once; images without a text are asked for by their labels"},
        details={"text_to_image": {name: figures.as_dict() for name, figures in found.text_to_image.items()},
                 "image_to_text": {name: figures.as_dict() for name, figures in found.image_to_text.items()}})


def _figures(test: RetrievalTest, config: EvaluateConfig, judged: bool) -> list[Figure]:
    """Recalls, mean reciprocal rank, mean average precision and median rank of one test."""
    found = test.ranks
    first_A, candidates = found.first_A, found.candidates
    means: dict[str, tuple[np.ndarray, float]] = {
        f"R@{k}": (first_A <= k, mean_chance(partial(chance_recall, candidates, k=k), found.right_A))
        for k in RECALLS if k < candidates}
    means["MRR"] = 1 / first_A, mean_chance(partial(chance_reciprocal_rank, candidates), found.right_A)
    means["mAP"] = found.average_precision_A, mean_chance(partial(chance_average_precision, candidates), found.right_A)
    figures = [Figure.mean(test.name, f"{test.direction} {name}", Sample.of(values_A, test.units), chance=chance,
                           key=judged and f"{test.direction} {name}" in KEYS, draws=config.draws, seed=config.seed)
               for name, (values_A, chance) in means.items()]
    median = median_interval(first_A, test.units, config.draws, config.seed)
    return [*figures, Figure(test.name, f"{test.direction} median rank", float(np.median(first_A)), median.low,
                             median.high, chance_median_rank(candidates, found.right_A), len(first_A), "lower")]


def _by_label(subject: Subject, test: RetrievalTest) -> Table:
    """Text → image figures of the queries whose image carries a label, among the same candidates."""
    ranks = test.ranks
    labels_A: list[set[str]] = [set() for _ in ranks.asked_A]
    row = {query: number for number, query in enumerate(ranks.asked_A)}
    for query, candidate in zip(ranks.queries_P, ranks.candidates_P, strict=True):
        labels_A[row[query]].update(subject.examples[test.places[candidate]].labels)
    rows_of: dict[str, list[int]] = defaultdict(list)
    for number, labels in enumerate(labels_A):
        for label in labels:
            rows_of[label].append(number)
    enough = sorted((label for label, rows in rows_of.items() if len(rows) >= LEAST),
                    key=lambda label: (-len(rows_of[label]), label))
    shown, first_A = enough[:MOST], ranks.first_A
    columns: tuple[str, ...] = "label", "queries", "R@10", "MRR"
    rows: list[tuple[str | float | int, ...]] = [
        (label, len(rows_of[label]), float(np.mean(first_A[rows_of[label]] <= 10)),
         float(np.mean(1 / first_A[rows_of[label]]))) for label in shown]
    if ranks.candidates <= 10:
        columns, rows = (*columns[:2], columns[3]), [(*row[:2], row[3]) for row in rows]
    left_out = [f"{len(enough) - MOST} less frequent labels" if len(enough) > MOST else "",
                f"{len(rows_of) - len(enough)} with fewer than {LEAST} queries" if len(rows_of) > len(enough) else ""]
    note = f"{TEXT_TO_IMAGE} on {test.name}, for texts whose image carries the label, among the same candidates."
    if any(left_out):
        note += f" Left out: {' and '.join(part for part in left_out if part)}."
    return Table("By label", columns, tuple(rows), note=note)


def _plot(test: RetrievalTest) -> Plot:
    """Share of texts with a right image among the first k, over k."""
    ranks = test.ranks
    firsts = np.unique(np.geomspace(1, ranks.candidates, POINTS).round().astype(int))
    found = np.searchsorted(np.sort(ranks.first_A), firsts, side="right") / len(ranks.first_A)
    counts, times = np.unique(ranks.right_A, return_counts=True)
    by_chance = 1 - np.average([missed(ranks.candidates, int(count))[firsts] for count in counts], axis=0,
                               weights=times)
    x = tuple(firsts.tolist())
    return Plot("Rank of the first right image", f"{TEXT_TO_IMAGE} on {test.name}: how many texts find a right image "
                f"among the first k of {ranks.candidates:,}.", "k", "share of texts",
                (Curve(TEXT_TO_IMAGE, x, tuple(found.tolist())),
                 Curve("chance", x, tuple(by_chance.tolist()), style="dashed")), x_log=True)


def _remarks(tests: list[RetrievalTest]) -> list[str]:
    """Which recalls are left out, and why."""
    remarks = []
    for test in tests:
        if trivial := [f"R@{k}" for k in RECALLS if k >= test.ranks.candidates]:
            remarks.append(f"{test.name}, {test.direction}: {', '.join(trivial)} left out, as there are only "
                           f"{test.ranks.candidates} candidates.")
    return remarks
