"""Hard negatives: the candidates that come nearest to a query without being right for it."""

from __future__ import annotations

import torch
from torch import Tensor

from vector_universe.losses.checks import check_embeddings
from vector_universe.losses.tiles import Tiles


@torch.no_grad()
def hardest_negatives(queries_ND: Tensor, candidates_MD: Tensor, k: int, query_groups_N: Tensor,
                      candidate_groups_M: Tensor, tile: int | None = None) -> Tensor:
    """Positions (N, k) of the k candidates nearest to each query among those of other groups, nearest first.

    Tiled: O(N·M·D) time, O(N·k) memory. Hand the vectors of the mined texts to `InfoNCE` as `extra_texts_KD`. Very
    near candidates are often unlabelled positives (Robinson et al. 2021): look at some before training on them.

    Args:
        queries_ND: unit rows.
        candidates_MD: unit rows.
        k: candidates a query.
        query_groups_N, candidate_groups_M: integers; equal means right, so not a negative.
        tile: rows and columns of a tile; None chooses by device.

    Raises:
        ValueError: arguments that do not fit, or a query with fewer than k candidates of other groups.
    """
    check_embeddings(queries_ND=queries_ND, candidates_MD=candidates_MD)
    for name, groups, embeddings in (("query_groups_N", query_groups_N, queries_ND),
                               ("candidate_groups_M", candidate_groups_M, candidates_MD)):
        if groups.shape != embeddings.shape[:1]:
            raise ValueError(f"{name} must hold {len(embeddings)} integers: its shape is {tuple(groups.shape)}")
    _, own_N, counts = torch.cat([query_groups_N, candidate_groups_M]).unique(return_inverse=True, return_counts=True)
    right_G = torch.bincount(own_N[len(queries_ND):], minlength=len(counts))
    fewest = len(candidates_MD) - int(right_G[own_N[:len(queries_ND)]].max())
    if not 1 <= k <= fewest:
        raise ValueError(f"k is {k}: some query has {fewest} candidates of other groups")
    precise = torch.promote_types(queries_ND.dtype, torch.float32)
    tiles = Tiles(queries_ND.to(precise), torch.ones((), dtype=precise, device=queries_ND.device), tile, None)
    best_Nk = tiles.zeros(len(queries_ND))[:, None].expand(-1, k).clone().fill_(-torch.inf)
    found_Nk = torch.zeros(best_Nk.shape, dtype=torch.int64, device=queries_ND.device)
    for rows, columns, cosines, _ in tiles.logits(candidates_MD.to(precise)):
        cosines.masked_fill_(query_groups_N[rows, None] == candidate_groups_M[None, columns], -torch.inf)
        nearest = cosines.topk(min(k, cosines.shape[1]))
        values = torch.cat([best_Nk[rows], nearest.values], 1)
        positions = torch.cat([found_Nk[rows], nearest.indices + columns.start], 1)
        best_Nk[rows], order = values.topk(k)
        found_Nk[rows] = positions.gather(1, order)
    return found_Nk
