"""InfoNCE: CLIP's symmetric contrastive objective, exact at any batch size in O(B) memory."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed import ProcessGroup

from vector_universe.losses.base import LossOutput, Objective
from vector_universe.losses.checks import check_embeddings, check_groups, check_scalar, check_weights
from vector_universe.losses.label_sets import LabelSets
from vector_universe.losses.ring import Ring
from vector_universe.losses.targets import group_sets, mean_of_sharers
from vector_universe.losses.weights import weighted_log_sum_exp


class InfoNCE(Objective):
    """Cross-entropy over all texts for each image and over all images for each text (Radford et al. 2021, figure 3).

        logits = images · textsᵀ · exp(t)
        total  = (Σ_i [log Σ_j exp(logit_ij) - Σ_j q_ij logit_ij] / N  +  the same over columns / M) / 2

    q_i is the target of image i: its own text (one-hot), or, with groups, all texts of its group alike (L_out of
    Khosla et al. 2020), or, with labels, a mix of that with the texts that share labels with it, weighted by what the
    labels say. A batch without knowledge costs ln B. Computed in one pass over tiles, without a B x B matrix: 8·B²·D
    operations a step where two dense products take 12, and O(B·D) memory (see `log_sum_exp`).

    A row may count for more or less than one: with weights w of the images and v of the texts, the loss is what it
    would be if image i stood there w_i times and text j v_j times,

        Σ_i w_i [log Σ_j v_j exp(logit_ij) - Σ_j q_ij logit_ij] / Σ_i w_i,   q_ij in proportion to v_j,

    and the same over columns. So contrastive(real ∪ λ·generated) gives generated rows the weight λ.

    Args:
        soft_share: share of the target that is given to texts with common labels, from 0 (off) to below 1.
        label_weights_L: weight of each label in this; None for 1. See `inverse_document_frequency`.
        tile: rows and columns of a tile; None chooses by device.
        tile_dtype: the type that matrix products read, such as `torch.bfloat16`; None keeps float32.
        process_group: the processes that share a batch, each with its own pairs; None for this one alone. Every
            process receives the whole loss, and gradients for its own embeddings that are those of the whole loss.
            Gradients of parameters are to be *summed* over the processes (where they are averaged, multiply the loss
            by the number of processes).

    Raises:
        ValueError: a setting out of range.
    """

    label_weights_L: Tensor | None

    def __init__(self, soft_share: float = 0.0, label_weights_L: Tensor | None = None, tile: int | None = None,
                 tile_dtype: torch.dtype | None = None, process_group: ProcessGroup | None = None) -> None:
        super().__init__()
        if not 0 <= soft_share < 1:
            raise ValueError(f"soft_share is {soft_share}: it must be at least 0 and below 1")
        if label_weights_L is not None and (label_weights_L.ndim != 1 or not (label_weights_L >= 0).all()):
            raise ValueError("label_weights_L must hold one weight a label, none of them negative")
        self.soft_share, self.tile, self.tile_dtype, self.process_group = soft_share, tile, tile_dtype, process_group
        self.register_buffer("label_weights_L", label_weights_L, persistent=False)

    def forward(self, images_ND: Tensor, texts_MD: Tensor, logit_scale: Tensor, image_groups_N: Tensor | None = None,
                text_groups_M: Tensor | None = None, image_labels: LabelSets | None = None,
                text_labels: LabelSets | None = None, false_negatives_K2: Tensor | None = None,
                extra_images_KD: Tensor | None = None, extra_texts_KD: Tensor | None = None,
                image_weights_N: Tensor | None = None, text_weights_M: Tensor | None = None) -> LossOutput:
        """Compare N images with M texts; without groups N = M and row i of both is a pair.

        Args:
            images_ND: unit rows.
            texts_MD: unit rows.
            logit_scale: scalar t, of which the temperature is exp(-t).
            image_groups_N: integers; an image and a text are positives of each other where their groups are equal
                (several captions of an image, copies of an image, equal titles).
            text_groups_M: integers; both groups or neither.
            image_labels: labels of the images, needed when `soft_share` is above 0.
            text_labels: labels of the texts; None takes those of the images.
            false_negatives_K2: (image, text) pairs, int64, counted over all processes, that are neither right nor to
                be held against anyone: they are left out of both sums. A soft target keeps its share in them.
            extra_images_KD: further candidates for the texts, for which no text asks.
            extra_texts_KD: further candidates for the images, such as mined hard negatives (`hardest_negatives`).
            image_weights_N: how often each image counts, as a query and as a candidate; positive, None for 1. A row
                that should not count is to be left out. In all processes or in none.
            text_weights_M: the same of the texts. Extra candidates count as 1.

        Raises:
            ValueError: an argument of the wrong shape, type or device, rows not of unit length, labels or pairs that
                do not fit. FloatingPointError: NaN or infinity. Both name the argument.
        """
        _check(self, images_ND, texts_MD, logit_scale, image_groups_N, text_groups_M, image_labels, text_labels,
               extra_images_KD, extra_texts_KD)
        check_weights("image_weights_N", image_weights_N, images_ND)
        check_weights("text_weights_M", text_weights_M, texts_MD)
        ring = Ring(self.process_group)
        for name, rows in (("the number of images", images_ND), ("the number of texts", texts_MD)):
            ring.check_equal(name, len(rows), rows.device)
        size, width = len(images_ND), len(texts_MD)
        precise = torch.promote_types(images_ND.dtype, torch.float32)
        images_ND, texts_MD = images_ND.to(precise), texts_MD.to(precise)
        scale = logit_scale.to(precise).exp().squeeze()
        image_weights_N, text_weights_M = (None if weights is None else weights.to(precise)
                                           for weights in (image_weights_N, text_weights_M))

        right_texts_ND, right_images_MD = texts_MD, images_ND
        groups = None
        if image_groups_N is not None and text_groups_M is not None:
            groups = group_sets(image_groups_N, text_groups_M, ring)
            right_texts_ND, _ = mean_of_sharers(texts_MD, groups[1], groups[0], None, ring, text_weights_M)
            right_images_MD, _ = mean_of_sharers(images_ND, groups[0], groups[1], None, ring, image_weights_N)
        if self.soft_share and image_labels is not None:
            text_labels = text_labels or image_labels
            right_texts_ND = self._soften(right_texts_ND, texts_MD, text_labels, image_labels, ring, text_weights_M)
            right_images_MD = self._soften(right_images_MD, images_ND, image_labels, text_labels, ring, image_weights_N)

        candidates_ND, candidates_MD = images_ND, texts_MD
        if extra_images_KD is not None:
            candidates_ND = torch.cat([images_ND, extra_images_KD.to(precise)])
        if extra_texts_KD is not None:
            candidates_MD = torch.cat([texts_MD, extra_texts_KD.to(precise)])
        if false_negatives_K2 is not None:
            _check_false_negatives(false_negatives_K2, groups, size, width, ring)
            false_negatives_K2 = torch.stack([_among(false_negatives_K2[:, 0], size, len(candidates_ND)),
                                              _among(false_negatives_K2[:, 1], width, len(candidates_MD))], 1)
        sums_N, sums_M = weighted_log_sum_exp(
            candidates_ND, candidates_MD, scale, _with_extra(image_weights_N, candidates_ND),
            _with_extra(text_weights_M, candidates_MD), false_negatives_K2, self.tile, self.tile_dtype, ring)
        image_to_text = _mean(sums_N[:size] - scale * (images_ND * right_texts_ND).sum(1), image_weights_N, ring)
        text_to_image = _mean(sums_M[:width] - scale * (texts_MD * right_images_MD).sum(1), text_weights_M, ring)
        return LossOutput.of(image_to_text=ring.total(image_to_text / 2), text_to_image=ring.total(text_to_image / 2))

    def _soften(self, right_ND: Tensor, values_MD: Tensor, theirs: LabelSets, ours: LabelSets, ring: Ring,
                weights_M: Tensor | None) -> Tensor:
        """Mix in those who share labels; rows that share none keep their own target."""
        sharers_ND, shared_N = mean_of_sharers(values_MD, theirs, ours, self.label_weights_L, ring, weights_M)
        share_N1 = self.soft_share * shared_N[:, None].to(right_ND.dtype)
        return (1 - share_N1) * right_ND + share_N1 * sharers_ND


def _among(indices_K: Tensor, size: int, with_extra: int) -> Tensor:
    """Positions counted over all processes, when each process brings extra rows after its own `size`."""
    return indices_K // size * with_extra + indices_K % size


def _with_extra(weights_N: Tensor | None, candidates_ND: Tensor) -> Tensor | None:
    """The weights of all candidates, of which the extra ones count as 1."""
    if weights_N is None or len(weights_N) == len(candidates_ND):
        return weights_N
    return torch.cat([weights_N, weights_N.new_ones(len(candidates_ND) - len(weights_N))])


def _mean(losses_N: Tensor, weights_N: Tensor | None, ring: Ring) -> Tensor:
    """This process's summand of the weighted mean over all processes."""
    if weights_N is None:
        return losses_N.sum() / (len(losses_N) * ring.size)
    return (weights_N * losses_N).sum() / ring.sum(weights_N.sum())


def _check(objective: InfoNCE, images_ND: Tensor, texts_MD: Tensor, logit_scale: Tensor,
           image_groups_N: Tensor | None, text_groups_M: Tensor | None, image_labels: LabelSets | None,
           text_labels: LabelSets | None, extra_images_KD: Tensor | None, extra_texts_KD: Tensor | None) -> None:
    extras = {"extra_images_KD": extra_images_KD, "extra_texts_KD": extra_texts_KD}
    check_embeddings(images_ND=images_ND, texts_MD=texts_MD,
                     **{name: rows for name, rows in extras.items() if rows is not None})
    check_scalar("logit_scale", logit_scale)
    check_groups(images_ND, texts_MD, image_groups_N, text_groups_M)
    if (objective.soft_share > 0) != (image_labels is not None):
        raise ValueError(f"image_labels and soft_share go together: soft_share is {objective.soft_share}")
    for name, labels, rows in (("image_labels", image_labels, images_ND),
                               ("text_labels", text_labels or image_labels, texts_MD)):
        if labels is not None and labels.size != len(rows):
            raise ValueError(f"{name} has {labels.size} rows for {len(rows)} embeddings")
        weights = objective.label_weights_L
        if labels is not None and weights is not None and labels.vocabulary != len(weights):
            raise ValueError(f"{name} is of {labels.vocabulary} labels, label_weights_L of {len(weights)}")
    if image_labels is not None and text_labels is not None and image_labels.vocabulary != text_labels.vocabulary:
        raise ValueError(f"image_labels is of {image_labels.vocabulary} labels, "
                         f"text_labels of {text_labels.vocabulary}")


def _check_false_negatives(pairs_K2: Tensor, groups: tuple[LabelSets, LabelSets] | None, size: int, width: int,
                           ring: Ring) -> None:
    if pairs_K2.ndim != 2 or pairs_K2.shape[1] != 2 or pairs_K2.dtype != torch.int64:
        raise ValueError(f"false_negatives_K2 must be (image, text) pairs of int64: it is {pairs_K2.dtype} "
                         f"{tuple(pairs_K2.shape)}")
    limits = torch.tensor([size, width], device=pairs_K2.device) * ring.size
    outside = ((pairs_K2 < 0) | (pairs_K2 >= limits)).any(1)
    if outside.any():
        raise ValueError(f"false_negatives_K2 holds {tuple(pairs_K2[outside][0].tolist())}: there are "
                         f"{limits[0]} images and {limits[1]} texts")
    images, texts = pairs_K2.unbind(1)
    if groups is not None:
        images, texts = ring.gather(groups[0].labels_K)[images], ring.gather(groups[1].labels_K)[texts]
    if (images == texts).any():
        pair = tuple(pairs_K2[images == texts][0].tolist())
        raise ValueError(f"false_negatives_K2 holds {pair}, which is a positive")
