"""Whether centring or whitening its vectors makes a model better: fitted on the train split, judged on validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vector_universe.errors import UserError
from vector_universe.evaluation.bootstrap import DRAWS, Difference, Sample, difference
from vector_universe.evaluation.queries import TextQueries, text_queries
from vector_universe.evaluation.ranks import ranks_both_ways
from vector_universe.evaluation.section import Table
from vector_universe.evaluation.subject import Subject
from vector_universe.models.post_processing import KINDS, PostProcessing, fit_post_processing

FIT_ROWS = 20_000  # of each side, evenly spaced: a mean and a covariance of 512 dimensions need no more


@dataclass(frozen=True)
class Judged:
    """Retrieval on the validation split with one kind of post-processing.

    Attributes:
        kind: "none", "centre" or "whiten".
        text_to_image_mrr, text_to_image_at_10, image_to_text_mrr, image_to_text_at_10: mean reciprocal rank, recall@10.
        gain: of the MRR, the mean of both directions, against "none", on the same pictures; None for "none" itself.
    """

    kind: str
    text_to_image_mrr: float
    text_to_image_at_10: float
    image_to_text_mrr: float
    image_to_text_at_10: float
    gain: Difference | None = None


@dataclass(frozen=True)
class Judgement:
    """What was tried, and what is worth keeping.

    Attributes:
        rows: of each kind; none where nothing could be judged.
        kept: to be given to `DualEncoder.set_post_processing`; None where nothing is better than none.
        remarks: what a reader should know, such as why nothing was judged.
        fit_images, fit_texts: how many vectors of each side it was fitted on.
    """

    rows: tuple[Judged, ...]
    kept: PostProcessing | None
    remarks: tuple[str, ...] = ()
    fit_images: int = 0
    fit_texts: int = 0

    def table(self) -> Table | None:
        """For the report; None where nothing was judged."""
        if not self.rows:
            return None
        kept = "none" if self.kept is None else self.kept.kind
        columns = ("kind", "text → image MRR", "text → image R@10", "image → text MRR",
                   "image → text R@10", "MRR against none", "best")
        return Table("Post-processing", columns,
                     tuple((row.kind, row.text_to_image_mrr, row.text_to_image_at_10, row.image_to_text_mrr,
                            row.image_to_text_at_10, _shown(row.gain), "yes" if row.kind == kept else "")
                           for row in self.rows),
                     note="On the validation split; the difference is of both directions' mean, with its 95 % "
                          "interval. Only what is above 0 with certainty is better than none.")


def judge_post_processing(subject: Subject, draws: int = DRAWS, seed: int = 0) -> Judgement:
    """Fit "centre" and "whiten" on the train split and weigh them against the vectors as they are.

    Nothing is embedded but texts that have not been yet: x' = unit((x − μ) W). The best is kept only if the 95 %
    interval of its MRR's difference to none, by the paired bootstrap over pictures, lies above 0.

    Args:
        subject: a model with its data.
        draws, seed: of the bootstrap.
    """
    model = subject.encoder
    if model.post_processing is not None:
        return Judgement((), None, (f"The model's vectors go through {model.post_processing.describe()} "
                                    "already: nothing further was tried.",))
    train, validation = subject.places("train"), subject.places("validation")
    missing = [name for name, places in (("train", train), ("validation", validation)) if len(places) < 2]
    if missing:
        return Judgement((), None, (f"Post-processing was not judged: the data has no {' and no '.join(missing)} "
                                    "split to do it on.",))
    images_ND = subject.images_ND[_spread(train)]
    texts = text_queries(subject, train).texts
    texts_MD = subject.embed_texts([texts[place] for place in _spread(np.arange(len(texts)))])
    try:
        candidates = [fit_post_processing(kind, images_ND, texts_MD) for kind in KINDS]  # type: ignore[arg-type]
    except UserError as error:
        return Judgement((), None, (f"Post-processing was not judged: {error}.",))
    width, remarks = images_ND.shape[1], []
    if min(len(images_ND), len(texts_MD)) < 2 * width:
        remarks.append(f"Whitening was fitted on {len(images_ND)} images and {len(texts_MD)} texts for {width} "
                       "dimensions, which is few: its spectrum is shrunk towards a flat one.")
    asked = text_queries(subject, validation)
    queries_QD, members_MD = subject.embed_texts(asked.texts), subject.images_ND[validation]
    none, before = _measured("none", queries_QD, members_MD, asked)
    rows, better = [none], []
    for found in candidates:
        row, after = _measured(found.kind, found.apply_to(queries_QD, "text"), found.apply_to(members_MD, "image"),
                               asked)
        gain = difference(before, after, draws, seed)
        rows.append(Judged(**vars(row) | {"gain": gain}))
        if gain is not None and gain.low > 0:
            better.append((after.mean, found))
    kept = max(better, key=lambda pair: pair[0])[1] if better else None
    if kept is not None and model.fusion is not None:
        kept = None
        remarks.append("The model has a fusion head, which was trained on vectors as they are: nothing can be kept.")
    return Judgement(tuple(rows), kept, tuple(remarks), len(images_ND), len(texts_MD))


def _measured(kind: str, queries_QD: np.ndarray, members_MD: np.ndarray, asked: TextQueries) -> tuple[Judged, Sample]:
    """Figures, and the MRR of both directions together as a sample by picture."""
    forth, back = ranks_both_ways(queries_QD, members_MD, asked.right)
    ranks_Q, ranks_M = forth.first_A, back.first_A
    row = Judged(kind, float(np.mean(1 / ranks_Q)), float(np.mean(ranks_Q <= 10)), float(np.mean(1 / ranks_M)),
                 float(np.mean(ranks_M <= 10)))
    # Weights make the ratio of sums the mean of the two directions' means, however many queries each has.
    place = {id: number for number, id in enumerate(dict.fromkeys(asked.images))}
    owners = np.array([place[id] for id in [*asked.units, *asked.images]])
    weights = np.repeat([len(ranks_M) / len(ranks_Q), 1.0], [len(ranks_Q), len(ranks_M)])
    totals_U = np.bincount(owners, weights / np.concatenate([ranks_Q, ranks_M]))
    return row, Sample(tuple(place), totals_U, np.bincount(owners, weights))


def _spread(places: np.ndarray) -> np.ndarray:
    size = min(len(places), FIT_ROWS)
    return places[np.arange(size) * len(places) // size]


def _shown(gain: Difference | None) -> str:
    return "" if gain is None else f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
