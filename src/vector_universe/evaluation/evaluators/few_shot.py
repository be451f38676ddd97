"""Few-shot: how many labelled images a class does it take to beat the class names alone?"""

from __future__ import annotations

from vector_universe.errors import UserError
from vector_universe.evaluation.classification import class_splits, classify
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.few_shot import SAMPLES, STRENGTH, crossing, few_shot, possible_shots
from vector_universe.evaluation.section import Curve, Figure, Plot, Section, all_single
from vector_universe.evaluation.subject import Subject
from vector_universe.evaluation.zero_shot import prompts_for, zero_shot_scores
from vector_universe.progress import StageProgress, counter

TITLE = "Few-shot"
ABOUT = (f"A linear probe on a few training images a class, drawn {SAMPLES} times; the intervals say what the choice "
         "of images leaves open. The dashed line is what the names of the classes reach without any image.")


def evaluate_few_shot(subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
    """The accuracy of linear probes on 1, 2, 4, 8 and 16 images a class, beside zero-shot.

    None for data without single labels, a train split or a split to judge by.

    Raises:
        UserError: it was asked for by name, and the classes cannot be learnt.
    """
    test = subject.test_split
    if test is None or not len(subject.places("train")) or not all_single([one.labels for one in subject.examples]):
        return None
    try:
        learnt, judged, warnings = class_splits(subject.examples, subject.places("train"), subject.places(test))
    except UserError as error:
        if "few_shot" in config.only:
            raise
        return Section("few_shot", TITLE, ABOUT, remarks=(f"Not measured: {error}.",))
    rows_ND, rows_MD = subject.images_ND[learnt.places_N], subject.images_ND[judged.places_N]
    counts = possible_shots(learnt.counts_C)
    points = few_shot(rows_ND, learnt.numbers_N, rows_MD, judged.numbers_N, len(learnt.names), counts, seed=config.seed,
                      advance=counter(progress, TITLE, len(counts) * SAMPLES))
    prompts = prompts_for(subject, config)
    zero_shot = classify(zero_shot_scores(subject.at(judged.places_N), judged.names, prompts), judged.numbers_N).top_1
    shots, means = tuple(float(point.shots) for point in points), tuple(point.mean for point in points)
    crossed = crossing(shots, means, zero_shot)
    images = len(judged.places_N)
    figures = [Figure(test, f"{point.shots}-shot top-1", point.mean, point.low, point.high,
                      judged.counts_C.max() / images, images) for point in points]
    if crossed is not None:
        figures.append(Figure(test, "images a class that equal zero-shot", crossed, better=""))
    band = Curve("linear probe", shots, means, tuple(point.low for point in points),
                 tuple(point.high for point in points))
    line = Curve("zero-shot", (shots[0], shots[-1]), (zero_shot, zero_shot), style="dashed")
    remarks = [_crossing_in_words(crossed, shots, zero_shot)]
    remarks += [f"At {point.shots} images a class, {point.short} of {len(learnt.names)} classes have fewer and give "
                "all they have." for point in points if point.short]
    return Section(
        "few_shot", TITLE, ABOUT, tuple(figures),
        plots=(Plot("Accuracy against images a class", "Mean of the draws with its 95 % interval.", "images a class",
                    "top-1", (band, line), x_log=True),),
        warnings=tuple(warnings), remarks=tuple(remarks),
        settings={"shots": counts, "samples": SAMPLES, "seed": config.seed, "strength": f"{STRENGTH:g} / spread",
                  "zero-shot prompts": prompts.name, "training images": len(learnt.places_N), "test images": images,
                  "chance": "always the most frequent class"},
        details={"zero_shot_top_1": zero_shot,
                 "accuracies": {str(point.shots): list(point.accuracies) for point in points}})


def _crossing_in_words(crossed: float | None, shots: tuple[float, ...], zero_shot: float) -> str:
    if crossed is None:
        return f"The names of the classes alone ({zero_shot:.3f}) are worth more than {shots[-1]:g} images of each."
    if crossed <= shots[0]:
        return f"{shots[0]:g} image of each class is worth as much as its name ({zero_shot:.3f}), or more."
    return f"The names of the classes alone ({zero_shot:.3f}) are worth {crossed:.1f} images of each."
