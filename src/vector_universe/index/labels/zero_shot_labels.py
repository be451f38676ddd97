"""Zero-shot labels: each picture given the label whose prompts are nearest to it, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vector_universe.errors import UserError
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.prompts import choose_prompts, readable
from vector_universe.evaluation.zero_shot import class_vectors

if TYPE_CHECKING:
    from vector_universe.models import DualEncoder

_BLOCK = 65_536


@dataclass(frozen=True, eq=False)
class Labelled:
    """What zero-shot classification said of N items.

    Attributes:
        labels: of each; None where none of the labels fits.
        probabilities_N: of the likeliest label, given that one of them is right: softmax over the L labels, float32.
        matches_N: how likely its picture matches that label's prompts at all, by the model's calibration, float32;
            None where the model has none.
        all_NL: the probability of every label; None unless asked for.
        cosines_NL: to every label, float32; None unless asked for.
    """

    labels: list[str | None]
    probabilities_N: NDArray[np.float32]
    matches_N: NDArray[np.float32] | None
    all_NL: NDArray[np.float32] | None = None
    cosines_NL: NDArray[np.float32] | None = None


def zero_shot_labels(model: DualEncoder, vectors_ND: NDArray[np.float32], labels: Sequence[str], *,
                     prompts: str = "auto", name: str = "", source: str = "", none: bool = True,
                     every: bool = False) -> Labelled:
    """Give each vector of an image one of the labels, by the prompts that `evaluate` measures with.

        p(l | image) = softmax over l of exp(t) · cos(image, l),    t = the model's `logit_scale`

    where a label is the mean of its prompts' unit vectors (Radford et al. 2021, section 3.1.4). This is the probability
    *if one of the labels is right*: of labels none of which fits, one is still likeliest. "None of these" needs
    another measure, the calibrated probability that a text and an image of this cosine match, among as many labels as
    there are; where that of the best label lies below the calibration's `least_probability`, the item gets None. A
    model without calibration labels everything.

    Args:
        model: made the vectors.
        vectors_ND: (N, D) of images alone, not fused with titles; L2-normalised rows, N >= 0.
        labels: the L names to choose among; of equal scores the first.
        prompts: as `EvaluateConfig.prompts`: the name of a set, "auto", or a file.
        name, source: of the data set, from which "auto" chooses.
        none: False gives every item its likeliest label, however far.
        every: keep the probability of every label and its cosine, (N, L) float32 each.

    Raises:
        UserError: there is no label, one is blank, two are the same to the model, there are no such prompts, the
            vectors are of another width than the model's, or the model returns NaN for a label.
    """
    check_labels(labels)
    chosen = choose_prompts(EvaluateConfig(prompts=prompts), name, source)
    texts = [text for label in labels for text in chosen.texts(label)]
    texts_PD = model.embed_texts(texts)
    if not np.isfinite(texts_PD).all():
        wrong = labels[int((~np.isfinite(texts_PD)).any(axis=1).argmax()) // len(chosen.templates)]
        raise UserError(f"the model gives no vector for the label {wrong!r}: its weights are damaged")
    if vectors_ND.ndim != 2 or vectors_ND.shape[1] != texts_PD.shape[1]:
        raise UserError(f"vectors of shape {vectors_ND.shape} cannot be labelled: the model embeds in "
                        f"{texts_PD.shape[1]} dimensions")
    labels_LD = class_vectors(texts_PD.reshape(len(labels), len(chosen.templates), -1))
    scale = float(model.logit_scale.detach().exp())

    found_N, best_N = np.empty(len(vectors_ND), np.int64), np.empty(len(vectors_ND), np.float64)
    probabilities_N = np.empty(len(vectors_ND), np.float32)
    all_NL, every_NL = np.empty((2, len(vectors_ND), len(labels)), np.float32) if every else (None, None)
    for start in range(0, len(vectors_ND), _BLOCK):
        block = slice(start, start + _BLOCK)
        cosines_BL = vectors_ND[block].astype(np.float32) @ labels_LD.T.astype(np.float32)
        shares_BL = _softmax(scale * cosines_BL)
        found_N[block], best_N[block] = cosines_BL.argmax(axis=1), cosines_BL.max(axis=1)
        probabilities_N[block] = shares_BL.max(axis=1)
        if all_NL is not None and every_NL is not None:
            all_NL[block], every_NL[block] = shares_BL, cosines_BL
    calibration = model.calibration
    if calibration is None:
        return Labelled([labels[place] for place in found_N.tolist()], probabilities_N, None, all_NL,
                        every_NL)
    matches_N = np.asarray(calibration.probability(best_N, len(labels)), np.float32)
    fits_N = np.ones(len(best_N), bool) if not none else matches_N >= np.float32(calibration.least_probability)
    return Labelled([labels[place] if fits else None for place, fits in zip(found_N.tolist(), fits_N, strict=True)],
                    probabilities_N, matches_N, all_NL, every_NL)


def check_labels(labels: Sequence[str]) -> None:
    """Refuse labels that nothing could be told apart by.

    Raises:
        UserError: there is none, one is blank, or two read the same: "Comic_Book" and "comic book".
    """
    if isinstance(labels, str) or not labels:
        raise UserError("there are no labels to choose among: give some, such as: cat dog")
    seen: dict[str, str] = {}
    for place, label in enumerate(labels, 1):
        if not label.strip():
            raise UserError(f"label {place} of {len(labels)} is blank: leave it out or give it a name")
        if (same := seen.setdefault(readable(label), label)) is not label or labels.index(label) != place - 1:
            raise UserError(f"the labels {same!r} and {label!r} are the same to the model: leave one out")


def _softmax(logits_BL: NDArray[np.float32]) -> NDArray[np.float32]:
    raised_BL = np.exp(logits_BL - logits_BL.max(axis=1, keepdims=True))
    shares_BL: NDArray[np.float32] = raised_BL / raised_BL.sum(axis=1, keepdims=True)
    return shares_BL
