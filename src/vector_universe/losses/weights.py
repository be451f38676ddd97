"""Log-sum-exp where every row and column counts as often as its weight says, in the very same tiles.

With weights w of the rows and v of the columns the two results are

    r_i = log Σ_j v_j exp(S_ij),   c_j = log Σ_i w_i exp(S_ij)

A weight is two more coordinates: the rows (x_i, log w_i / scale, 1) and the columns (y_j, 1, log v_j / scale) have the
logits T_ij = S_ij + log w_i + log v_j, and r_i = log Σ_j exp(T_ij) - log w_i. So the one pass over tiles stays as it
is, and a batch without weights pays nothing for them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vector_universe.losses.log_sum_exp import pairwise_log_sum_exp
from vector_universe.losses.ring import Ring


def weighted_log_sum_exp(rows_ND: Tensor, columns_MD: Tensor, scale: Tensor, row_weights_N: Tensor | None,
                         column_weights_M: Tensor | None, excluded_K2: Tensor | None, tile: int | None,
                         tile_dtype: torch.dtype | None, ring: Ring) -> tuple[Tensor, Tensor]:
    """`(r_N, c_M)`, with gradients for rows, columns and scale; see `pairwise_log_sum_exp` for what is not said here.

    Args:
        row_weights_N: positive; None for 1, as in every process then.
        column_weights_M: positive; None for 1.
    """
    if row_weights_N is None and column_weights_M is None:
        return pairwise_log_sum_exp(rows_ND, columns_MD, scale, excluded_K2, tile, tile_dtype, ring)
    rows_N, largest_row = _logarithms(row_weights_N, rows_ND, ring)
    columns_M, largest_column = _logarithms(column_weights_M, columns_MD, ring)
    lowest = ring.minimum(rows_N.min()) + ring.minimum(columns_M.min())
    rows_ND = torch.cat([rows_ND, rows_N[:, None] / scale, torch.ones_like(rows_ND[:, :1])], dim=1)
    columns_MD = torch.cat([columns_MD, torch.ones_like(columns_MD[:, :1]), columns_M[:, None] / scale], dim=1)
    sums_N, sums_M = pairwise_log_sum_exp(rows_ND, columns_MD, scale, excluded_K2, tile, tile_dtype, ring,
                                          below=-lowest.item())
    return sums_N - rows_N + largest_column, sums_M - columns_M + largest_row


def _logarithms(weights_N: Tensor | None, rows_ND: Tensor, ring: Ring) -> tuple[Tensor, Tensor]:
    """Logarithms of the weights, at most 0, and that of the largest weight in any process, which was taken off."""
    if weights_N is None:
        return rows_ND.new_zeros(len(rows_ND)), rows_ND.new_zeros(())
    logarithms_N = weights_N.to(rows_ND.dtype).log()
    largest = -ring.minimum(-logarithms_N.max())
    return logarithms_N - largest, largest
