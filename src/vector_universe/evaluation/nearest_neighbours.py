"""Nearest neighbours: a classifier that learns nothing, so that it judges the features alone."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from vector_universe.errors import UserError

NEIGHBOURS = 20
TEMPERATURE = 0.07
DIGITS = 12  # of a share: sums of the same votes in another order are a tie
TILE = 1024  # queries compared at once: memory is TILE x N, whatever the number of queries


def neighbour_scores(queries_QD: np.ndarray, train_ND: np.ndarray, classes_N: np.ndarray, classes: int,
                     neighbours: int = NEIGHBOURS, temperature: float = TEMPERATURE) -> np.ndarray:
    """The share of each class in the votes of the k nearest, (Q, C), float64; rows add up to 1.

    The vote of a neighbour is exp(cosine / temperature) (Wu et al. 2018, section 3.4). Where several are equally near
    at the k-th place, they share the votes that are left: no figure hangs on the order of the rows.

    Args:
        queries_QD: unit rows.
        train_ND: unit rows.
        classes_N: the class of each of these, from 0.
        classes: how many there are.
        neighbours: k.
        temperature: the smaller, the more the nearest count.

    Raises:
        UserError: k is not between 1 and N.
    """
    if not 1 <= neighbours <= len(train_ND):
        raise UserError(f"{neighbours} neighbours among {len(train_ND)} training images: choose from 1 to "
                        f"{len(train_ND)}")
    train, member_NC = torch.from_numpy(train_ND), F.one_hot(torch.from_numpy(classes_N), classes).double()
    scores_QC = np.empty((len(queries_QD), classes))
    for start in range(0, len(queries_QD), TILE):
        cosines_TN = torch.from_numpy(queries_QD[start:start + TILE]) @ train.T
        nearest = cosines_TN.topk(min(neighbours + 1, len(train)), dim=1)  # one more, to see a tie
        votes_TK = ((nearest.values - nearest.values[:, :1]).double() / temperature).exp()
        scores_TC = (votes_TK[:, :neighbours, None] * member_NC[nearest.indices[:, :neighbours]]).sum(dim=1)
        if neighbours < len(train):
            for row in torch.nonzero(nearest.values[:, neighbours - 1] == nearest.values[:, neighbours])[:, 0].tolist():
                last = nearest.values[row, neighbours - 1]
                nearer_N, level_N = cosines_TN[row] > last, cosines_TN[row] == last
                share_N = nearer_N + level_N * ((neighbours - nearer_N.sum()) / level_N.sum())
                votes_N = ((cosines_TN[row] - nearest.values[row, 0]).double() / temperature).exp()
                scores_TC[row] = (share_N * votes_N) @ member_NC
        scores_QC[start:start + TILE] = (scores_TC / scores_TC.sum(dim=1, keepdim=True)).numpy()
    return scores_QC.round(DIGITS)
