"""A matrix of logits, scale · rows · columnsᵀ, of which one tile exists at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

TILE = {"cpu": 1024, "cuda": 8192}  # on a CPU a tile stays in the cache; a GPU must be kept busy


class Tiles:
    """Computes tiles of logits, and adds products with such tiles to gradients, always in float32 or better.

    Args:
        rows_ND: float32 or float64 rows.
        scale: what each cosine is multiplied with.
        tile: rows and columns of a tile; None chooses by device.
        tile_dtype: the type that matrix products read, such as bfloat16; None keeps that of the rows.
    """

    def __init__(self, rows_ND: Tensor, scale: Tensor, tile: int | None, tile_dtype: torch.dtype | None) -> None:
        self.tile = tile or TILE.get(rows_ND.device.type, max(TILE.values()))
        self.dtype = tile_dtype or rows_ND.dtype
        self.rows_ND = (rows_ND * scale).to(self.dtype)
        self.sum_dtype = rows_ND.dtype

    def zeros(self, size: int) -> Tensor:
        """Zeros (size,) in the precision of the sums."""
        return self.rows_ND.new_zeros(size, dtype=self.sum_dtype)

    def logits(self, columns_MD: Tensor, excluded_K2: Tensor | None = None
               ) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
        """Each tile once: its rows, its columns, its logits, and scratch memory of the same shape.

        Both tensors are overwritten by the next tile. `excluded_K2` are (row, column) pairs whose logits become -∞.
        """
        columns_MD = columns_MD.to(self.dtype)
        largest = min(self.tile, len(self.rows_ND)) * min(self.tile, len(columns_MD))
        buffers = [self.rows_ND.new_empty(largest, dtype=self.sum_dtype) for _ in range(2)]
        excluded = _by_tile(excluded_K2, self.tile, len(columns_MD)) if excluded_K2 is not None else {}
        for i in range(0, len(self.rows_ND), self.tile):
            for j in range(0, len(columns_MD), self.tile):
                rows, columns = (slice(start, min(start + self.tile, size))
                                 for start, size in ((i, len(self.rows_ND)), (j, len(columns_MD))))
                shape = rows.stop - i, columns.stop - j
                logits, scratch = (buffer[:shape[0] * shape[1]].view(shape) for buffer in buffers)
                _product(self.rows_ND[rows], columns_MD[columns].T, logits)
                if (i, j) in excluded:
                    pairs_K2 = excluded[i, j]
                    logits[pairs_K2[:, 0] - i, pairs_K2[:, 1] - j] = -torch.inf
                yield rows, columns, logits, scratch

    def add_to_rows(self, total_ND: Tensor, rows: slice, weights: Tensor, columns_MD: Tensor, columns: slice) -> None:
        """`total_ND[rows] += weights · columns_MD[columns]`; the caller multiplies with the scale at the end."""
        _add_product(total_ND[rows], weights.to(self.dtype), columns_MD[columns].to(self.dtype))

    def add_to_columns(self, total_MD: Tensor, columns: slice, weights: Tensor, rows: slice) -> None:
        """`total_MD[columns] += weightsᵀ · scale · rows[rows]`."""
        _add_product(total_MD[columns], weights.to(self.dtype).T, self.rows_ND[rows])


def _product(left: Tensor, right: Tensor, out: Tensor) -> None:
    if left.dtype == out.dtype:
        torch.mm(left, right, out=out)
    elif left.is_cuda:  # tensor cores add up in float32: keep it
        out.copy_(torch.mm(left, right, out_dtype=out.dtype))
    else:
        out.copy_(left @ right)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    elif left.is_cuda:
        total += torch.mm(left, right, out_dtype=total.dtype)
    else:
        total += left @ right


def _by_tile(pairs_K2: Tensor, tile: int, columns: int) -> dict[tuple[int, int], Tensor]:
    """The pairs of each tile, by the tile's first row and column."""
    across = -(-columns // tile)
    keys_K = pairs_K2[:, 0] // tile * across + pairs_K2[:, 1] // tile
    keys, counts = keys_K.unique(return_counts=True)
    groups = pairs_K2[keys_K.argsort()].split(counts.tolist())
    return {(key // across * tile, key % across * tile): group
            for key, group in zip(keys.tolist(), groups, strict=True)}
