"""Which texts are right for an image, and how right: targets that are never written out as a B x B matrix.

Every target here is a distribution q over the texts of the batch, one for each image (and the other way round), that
enters the loss as Σ_j q_ij logit_ij. That is the logit of image i with the *mean of its partners*, Σ_j q_ij text_j, a
vector. Such means come from sums over groups or labels: O(B·D).
"""

from __future__ import annotations

import torch
from torch import Tensor

from vector_universe.losses.label_sets import LabelSets
from vector_universe.losses.ring import Ring


def inverse_document_frequency(labels: LabelSets) -> Tensor:
    """Weight ln(N / n_l) (L,) of a label that n_l of the N rows have: what nearly all share says little.

    A label that no row has weighs ln N. Source: Spärck Jones 1972.
    """
    return (labels.size / labels.counts_per_label().clamp(min=1).float()).log()


def mean_of_sharers(values_MD: Tensor, theirs: LabelSets, ours: LabelSets, weights_L: Tensor | None, ring: Ring,
                    counts_M: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """For each of our N rows the mean of the values of those who share labels with it.

        mean_i = Σ_j o_ij value_j / Σ_j o_ij,   o_ij = Σ_l weight_l [l in ours_i] [l in theirs_j] count_j

    Args:
        values_MD: one row for each of `theirs`.
        theirs: labels of the values.
        ours: labels of the rows that ask.
        weights_L: weight of each label, not negative; None for 1.
        ring: over whose processes the values are spread.
        counts_M: how often each value counts; None for once.

    Returns:
        (N, D) means, and (N,) whether a row shares anything; where not, its mean is 0.
    """
    if counts_M is None:
        sums_LD, counts_L = theirs.sum_over_rows(values_MD), theirs.counts_per_label().to(values_MD.dtype)
    else:
        sums_LD = theirs.sum_over_rows(values_MD * counts_M[:, None])
        counts_L = theirs.sum_over_rows(counts_M[:, None])[:, 0]
    sums_LD, counts_L = ring.sum(sums_LD), ring.sum(counts_L)
    if weights_L is not None:
        sums_LD, counts_L = sums_LD * weights_L[:, None], counts_L * weights_L
    overlaps_N1 = ours.sum_over_labels(counts_L[:, None])
    return ours.sum_over_labels(sums_LD) / torch.where(overlaps_N1 > 0, overlaps_N1, 1), overlaps_N1[:, 0] > 0


def group_sets(image_groups_N: Tensor, text_groups_M: Tensor, ring: Ring) -> tuple[LabelSets, LabelSets]:
    """Groups as labels: whatever integers they are, the same ones in every process.

    Raises:
        ValueError: an image without a text of its group, or a text without an image.
    """
    images, texts = ring.gather(image_groups_N), ring.gather(text_groups_M)
    for name, one, other, what in (("image_groups_N", images, texts, "text"),
                                   ("text_groups_M", texts, images, "image")):
        alone = ~torch.isin(one, other)
        if alone.any():
            row = int(alone.nonzero()[0])
            raise ValueError(f"row {row} of {name} is of group {int(one[row])}, to which no {what} belongs")
    known = images.unique()
    return _one_each(image_groups_N, known), _one_each(text_groups_M, known)


def _one_each(groups: Tensor, known: Tensor) -> LabelSets:
    rows = torch.arange(len(groups), device=groups.device)
    return LabelSets(rows, torch.searchsorted(known, groups), len(groups), len(known))
