"""Leaks: which test examples the model has met in training."""

from __future__ import annotations

from collections import Counter

from vector_universe.data.doctor.scan import Seen, scan
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.leaks import KINDS, Leak, find_leaks
from vector_universe.evaluation.section import Case, Figure, Section, Table
from vector_universe.evaluation.subject import Subject
from vector_universe.evaluation.trained_on import TrainedOn, trained_on
from vector_universe.progress import StageProgress, counter

SHOWN = 6
ABOUT = ("Whether pictures and texts of the test are among those that the model was trained on, exactly or nearly. "
         "Such examples test its memory; the figures that matter most are given without them too.")


def evaluate_leaks(subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
    """Compare the test split with what the model was trained on; None without a test split or anything to compare."""
    split, known = subject.test_split, trained_on(subject)
    if split is None or known is None:
        return None
    tested = subject.dataset.split(split)
    leaks = find_leaks(_scan(known, progress), scan(tested, counter(progress, "looking for leaks in the test",
                                                                    len(tested))))
    trained_here = sorted(known.ids.intersection(tested.table["id"]))
    warnings = []
    if trained_here:
        warnings.append(f"{len(trained_here):,} of {len(tested):,} pictures of {split} were trained on: the data is "
                        "split in another way than it was for training; give the same options.")
    counts = Counter(kind for kind, _ in {(leak.kind, leak.id) for leak in leaks})
    by_image = {leak.id for leak in leaks if leak.of_image} - set(trained_here)
    if by_image:
        warnings.append(f"{len(by_image):,} of {len(tested):,} pictures of {split} are in training too, or nearly the "
                        "same: what is found with them is remembered.")
    leaked = sorted({leak.id for leak in leaks}.union(trained_here))
    return Section(
        "leaks", "Leaks", ABOUT,
        figures=(Figure(split, "share that training has too", len(leaked) / len(tested), count=len(tested),
                        better="lower"),),
        tables=(Table("What training has too", ("what", f"examples of {split}", "share"), tuple(
            (KINDS[kind], counts[kind], counts[kind] / len(tested)) for kind in KINDS),
            note=f"Compared: {len(known.dataset):,} training examples with {len(tested):,} of {split}."),),
        cases=_cases(subject, leaks),
        warnings=tuple(warnings),
        remarks=(known.remark,),
        settings={"trained_on": known.dataset.source, "trained_on_is_known": known.known,
                  "trained": len(known.dataset), "tested": len(tested)},
        details={"leaked": leaked, "examples": [{"id": leak.id, "trained_id": leak.trained_id, "kind": leak.kind}
                                                for leak in leaks]})


def _scan(known: TrainedOn, progress: StageProgress) -> list[Seen]:
    return scan(known.dataset, counter(progress, "looking at training pictures", len(known.dataset)))


def _cases(subject: Subject, leaks: list[Leak]) -> tuple[Case, ...]:
    place = {example.id: number for number, example in enumerate(subject.examples)}
    shown = [leak for leak in leaks if leak.of_image and leak.id in place and leak.trained_id in place][:SHOWN]
    return tuple(Case("miss", KINDS[leak.kind], place[leak.id], (place[leak.trained_id],),
                      note=f"{leak.id}, in training as {leak.trained_id}") for leak in shown)
