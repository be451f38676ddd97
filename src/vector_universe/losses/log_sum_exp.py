"""Log-sum-exp over the rows and over the columns of B x B logits: one pass forward, one pass back, memory O(B).

For logits S = scale · rows · columnsᵀ the two results are

    r_i = log Σ_j exp(S_ij),   c_j = log Σ_i exp(S_ij)

Forward, every tile of S is computed once and feeds both sums: 2·N·M·D operations. Backward, every tile is computed
once more and serves both gradients, as with upstream gradients g and h

    dS_ij = g_i exp(S_ij - r_i) + h_j exp(S_ij - c_j)
          = exp(S_ij - offset) · (g_i / Σ_j exp(S_ij - offset) + h_j / Σ_i exp(S_ij - offset)):

6·N·M·D operations, and one exponential a logit, because an offset that all logits share needs no running maximum. It
holds while no sum falls out of float32's range; cosines are at most 1, so this can happen only above a scale of about
75, to rows without any near column. Then both passes take the running maximum of each row and column instead.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vector_universe.losses.ring import Ring
from vector_universe.losses.tiles import Tiles

HEADROOM = 70.0  # exp(70) a logit leaves room for sums of 1e8 of them below float32's largest, exp(88.7)
SMALLEST = -87.0  # exp of less than this is no longer a normal float32
FAITHFUL = math.exp(-55)  # a sum above this loses less than 1e-7 to terms below the smallest, at a million columns


def pairwise_log_sum_exp(rows_ND: Tensor, columns_MD: Tensor, scale: Tensor, excluded_K2: Tensor | None = None,
                         tile: int | None = None, tile_dtype: torch.dtype | None = None, ring: Ring | None = None,
                         below: float = 0.0) -> tuple[Tensor, Tensor]:
    """`(r_N, c_M)` of the logits scale · rows · columnsᵀ, with gradients for rows, columns and scale.

    With a ring of several processes, each brings its own N rows and M columns and receives its own N + M results,
    taken over the columns and rows of all. The columns travel round, so that no process ever holds those of all.
    The gradients for rows and columns are then the whole ones; that for the scale is this process's summand.

    Args:
        rows_ND: unit rows, or others that make no logit above the scale; float32 or float64.
        columns_MD: unit rows of the same width and type.
        scale: positive scalar.
        excluded_K2: (row, column) pairs that are left out of every sum, int64, counted over all processes. A row or
            column must keep at least one logit.
        tile: rows and columns of a tile; None chooses by device.
        tile_dtype: the type that matrix products read; None keeps that of the rows.
        ring: the processes that share the batch; None for this one alone.
        below: how far a logit may lie below -scale, which it does not where rows are of unit length.
    """
    return _PairwiseLogSumExp.apply(rows_ND, columns_MD, scale, excluded_K2, tile, tile_dtype, ring or Ring(),
                                      below)


class _PairwiseLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows_ND, columns_MD, scale, excluded_K2, tile, tile_dtype, ring, below):
        tiles = Tiles(rows_ND, scale, tile, tile_dtype)
        highest = scale.item()
        offset = max(0.0, highest - HEADROOM)
        sums = _with_shared_offset(tiles, columns_MD, excluded_K2, offset, ring)
        if -highest - below - offset < SMALLEST and ring.minimum(torch.cat(sums[:2]).min()) < FAITHFUL:
            offset = None
            sums = _with_running_maximum(tiles, columns_MD, excluded_K2, ring)
        sums_N, sums_M, shifts_N, shifts_M = sums
        # Sums and shifts are kept apart for the way back: log r alone would round them at a high scale.
        ctx.save_for_backward(rows_ND, columns_MD, scale, excluded_K2, *sums)
        ctx.settings = tile, tile_dtype, ring, offset
        return sums_N.log() + shifts_N, sums_M.log() + shifts_M

    @staticmethod
    @once_differentiable
    def backward(ctx, from_rows_N, from_columns_M):
        rows_ND, columns_MD, scale, excluded_K2, sums_N, sums_M, shifts_N, shifts_M = ctx.saved_tensors
        tile, tile_dtype, ring, offset = ctx.settings
        for_rows, for_columns, for_scale = ctx.needs_input_grad[:3]
        for_rows = for_rows or (for_scale and not for_columns)  # the scale's gradient follows from either of them
        tiles = Tiles(rows_ND, scale, tile, tile_dtype)
        gradient_ND, gradient_MD = torch.zeros_like(rows_ND), torch.zeros_like(columns_MD)
        shares_N, shares_M = from_rows_N / sums_N, from_columns_M / sums_M

        for owner in ring.owners():
            pairs_K2 = ring.pairs(excluded_K2, len(rows_ND), len(columns_MD), owner)
            for rows, columns, logits, scratch in tiles.logits(columns_MD, pairs_K2):
                if offset is None:
                    torch.sub(logits, shifts_N[rows, None], out=scratch).exp_().mul_(shares_N[rows, None])
                    weights = logits.sub_(shifts_M[columns]).exp_().mul_(shares_M[columns]).add_(scratch)
                else:
                    torch.add(shares_N[rows, None], shares_M[columns], out=scratch)
                    weights = _shift(logits, offset).exp_().mul_(scratch)
                if for_rows:
                    tiles.add_to_rows(gradient_ND, rows, weights, columns_MD, columns)
                if for_columns:
                    tiles.add_to_columns(gradient_MD, columns, weights, rows)
            columns_MD, shares_M, shifts_M, gradient_MD = ring.turn(columns_MD, shares_M, shifts_M, gradient_MD)
        # S = scale · cosine, so the scale's gradient is the sum of dS · cosine.
        gradient_scale = (rows_ND * gradient_ND).sum() if for_rows else (columns_MD * gradient_MD).sum() / scale
        return (gradient_ND.mul_(scale), gradient_MD, gradient_scale.reshape(scale.shape), *[None] * 5)


def _with_shared_offset(tiles: Tiles, columns_MD: Tensor, excluded_K2: Tensor | None, offset: float, ring: Ring
                        ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sums of exp(logit - shift) over rows and over columns, and the shifts, here all the same."""
    sums_N, sums_M = tiles.zeros(len(tiles.rows_ND)), tiles.zeros(len(columns_MD))
    for owner in ring.owners():
        pairs_K2 = ring.pairs(excluded_K2, len(sums_N), len(sums_M), owner)
        for rows, columns, logits, _ in tiles.logits(columns_MD, pairs_K2):
            _shift(logits, offset).exp_()
            sums_N[rows] += logits.sum(1)
            sums_M[columns] += logits.sum(0)
        columns_MD, sums_M = ring.turn(columns_MD, sums_M)
    return sums_N, sums_M, torch.full_like(sums_N, offset), torch.full_like(sums_M, offset)


def _with_running_maximum(tiles: Tiles, columns_MD: Tensor, excluded_K2: Tensor | None, ring: Ring
                          ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same where each row and column has its largest logit as its shift: two exponentials a logit, any range."""
    sums_N, sums_M = tiles.zeros(len(tiles.rows_ND)), tiles.zeros(len(columns_MD))
    shifts_N, shifts_M = (torch.full_like(sums, torch.finfo(sums.dtype).min) for sums in (sums_N, sums_M))
    for owner in ring.owners():
        pairs_K2 = ring.pairs(excluded_K2, len(sums_N), len(sums_M), owner)
        for rows, columns, logits, scratch in tiles.logits(columns_MD, pairs_K2):
            for sums, shifts, here, across in ((sums_N, shifts_N, rows, 1), (sums_M, shifts_M, columns, 0)):
                higher = torch.maximum(shifts[here], logits.amax(across))
                torch.sub(logits, higher.unsqueeze(across), out=scratch).exp_()
                sums[here] = sums[here] * (shifts[here] - higher).exp() + scratch.sum(across)
                shifts[here] = higher
        columns_MD, sums_M, shifts_M = ring.turn(columns_MD, sums_M, shifts_M)
    return sums_N, sums_M, shifts_N, shifts_M


def _shift(logits: Tensor, offset: float) -> Tensor:
    """Subtract the offset in place; at most scales it is 0."""
    return logits.sub_(offset) if offset else logits
