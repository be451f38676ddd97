"""Sigmoid: every image-text pair is a yes-or-no question of its own (SigLIP), in one pass and O(B) memory."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed import ProcessGroup

from vector_universe.losses.base import LossOutput, Objective
from vector_universe.losses.checks import check_embeddings, check_groups, check_scalar
from vector_universe.losses.ring import Ring
from vector_universe.losses.targets import group_sets
from vector_universe.losses.tiles import Tiles


class Sigmoid(Objective):
    """Binary cross-entropy over all pairs (Zhai et al. 2023, equation 1).

        logits = images · textsᵀ · exp(t) + b
        total  = -1/N Σ_ij log σ(z_ij logit_ij),   z_ij = 1 for a positive, -1 for any other pair
               = 1/N [Σ_ij softplus(logit_ij) - Σ_positives logit_ij]

    The parts are these two sums. No pair's gradient depends on another pair, so value and gradients come from a single
    pass over the tiles: 6·N·M·D operations, O((N + M)·D) memory.

    Args:
        tile, tile_dtype, process_group: as in `InfoNCE`.
    """

    def __init__(self, tile: int | None = None, tile_dtype: torch.dtype | None = None,
                 process_group: ProcessGroup | None = None) -> None:
        super().__init__()
        self.tile, self.tile_dtype, self.process_group = tile, tile_dtype, process_group

    def forward(self, images_ND: Tensor, texts_MD: Tensor, logit_scale: Tensor, logit_bias: Tensor,
                image_groups_N: Tensor | None = None, text_groups_M: Tensor | None = None) -> LossOutput:
        """Compare N images with M texts; without groups N = M and row i of both is a pair.

        Args:
            images_ND: unit rows.
            texts_MD: unit rows.
            logit_scale: scalar t; the paper starts at ln 10.
            logit_bias: scalar b; the paper starts at -10, so that at first nearly every answer is no.
            image_groups_N, text_groups_M: integers, equal where an image and a text are positives; both or neither.

        Raises:
            ValueError, FloatingPointError: as `InfoNCE`.
        """
        check_embeddings(images_ND=images_ND, texts_MD=texts_MD)
        check_scalar("logit_scale", logit_scale)
        check_scalar("logit_bias", logit_bias)
        check_groups(images_ND, texts_MD, image_groups_N, text_groups_M)
        ring = Ring(self.process_group)
        for name, rows in (("the number of images", images_ND), ("the number of texts", texts_MD)):
            ring.check_equal(name, len(rows), rows.device)
        precise = torch.promote_types(images_ND.dtype, torch.float32)
        images_ND, texts_MD = images_ND.to(precise), texts_MD.to(precise)
        scale, bias = logit_scale.to(precise).exp().squeeze(), logit_bias.to(precise).squeeze()

        if image_groups_N is not None and text_groups_M is not None:
            images, texts = group_sets(image_groups_N, text_groups_M, ring)
            right_texts_ND = images.sum_over_labels(ring.sum(texts.sum_over_rows(texts_MD)))
            positives_N = images.sum_over_labels(ring.sum(texts.counts_per_label())[:, None])
        else:
            right_texts_ND, positives_N = texts_MD, torch.ones(len(images_ND), device=images_ND.device)
        positives = scale * (images_ND * right_texts_ND).sum() + bias * positives_N.sum()
        pairs = _SoftplusSum.apply(images_ND, texts_MD, scale, bias, self.tile, self.tile_dtype, ring,
                                   torch.is_grad_enabled())
        size = len(images_ND) * ring.size
        return LossOutput.of(all_pairs=ring.total(pairs / size), positives=ring.total(-positives / size))


class _SoftplusSum(torch.autograd.Function):
    """Σ softplus(scale · rows · columnsᵀ + bias), and its gradients in the same pass, σ of the same logits."""

    @staticmethod
    def forward(ctx, rows_ND, columns_MD, scale, bias, tile, tile_dtype, ring, with_gradients):
        tiles = Tiles(rows_ND, scale, tile, tile_dtype)
        total, gradient_bias = tiles.zeros(len(rows_ND)), tiles.zeros(len(rows_ND))
        gradient_ND, gradient_MD = torch.zeros_like(rows_ND), torch.zeros_like(columns_MD)
        for _ in ring.owners():
            for rows, columns, logits, _ in tiles.logits(columns_MD):
                total[rows] += F.softplus(logits.add_(bias)).sum(1)
                if with_gradients:
                    weights = logits.sigmoid_()
                    gradient_bias[rows] += weights.sum(1)
                    tiles.add_to_rows(gradient_ND, rows, weights, columns_MD, columns)
                    tiles.add_to_columns(gradient_MD, columns, weights, rows)
            columns_MD, gradient_MD = ring.turn(columns_MD, gradient_MD)
        gradient_scale = (rows_ND * gradient_ND).sum()
        ctx.save_for_backward(gradient_ND.mul_(scale), gradient_MD, gradient_scale, gradient_bias.sum())
        return total.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream):
        return (*(upstream * gradient for gradient in ctx.saved_tensors), *[None] * 4)
