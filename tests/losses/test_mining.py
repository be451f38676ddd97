"""Mined negatives against a full sort."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.losses.references import unit_rows
from vector_universe.losses import InfoNCE, hardest_negatives


@settings(max_examples=40, deadline=None)
@given(queries=st.integers(1, 20), candidates=st.integers(5, 30), tile=st.integers(1, 20), k=st.integers(1, 3),
       seed=st.integers(0, 10**6))
def test_they_are_the_nearest_of_other_groups(queries, candidates, tile, k, seed):
    rows, others = unit_rows(queries, 6, seed).detach(), unit_rows(candidates, 6, seed + 1).detach()
    query_groups, groups = torch.arange(queries), torch.arange(candidates)
    groups[:2] = 0  # two texts of the first image
    found = hardest_negatives(rows, others, k, query_groups, groups, tile)
    for row in range(queries):
        cosines = [(float(rows[row] @ others[j]), j) for j in range(candidates) if groups[j] != query_groups[row]]
        assert found[row].tolist() == [j for _, j in sorted(cosines, reverse=True)[:k]]


def test_mined_texts_make_the_task_harder():
    images, texts = unit_rows(8, 16, 0).detach(), unit_rows(8, 16, 1).detach()
    pool = unit_rows(200, 16, 2).detach()
    groups = torch.arange(8)
    mined = hardest_negatives(images, pool, 2, groups, 100 + torch.arange(200)).flatten().unique()
    scale = torch.tensor(2.0)
    plain = InfoNCE()(images, texts, scale).total
    harder = InfoNCE()(images, texts, scale, extra_texts_KD=pool[mined]).total
    random = InfoNCE()(images, texts, scale, extra_texts_KD=pool[:len(mined)]).total
    assert plain < random < harder


@pytest.mark.parametrize("k", [0, 3])
def test_more_than_there_are_is_refused(k):
    rows = F.normalize(torch.ones(4, 3), dim=1)
    groups = torch.tensor([0, 0, 1, 2])
    with pytest.raises(ValueError, match=f"k is {k}: some query has 2 candidates of other groups"):
        hardest_negatives(rows, rows, k, groups, groups)
    with pytest.raises(ValueError, match="candidate_groups_M must hold 4 integers"):
        hardest_negatives(rows, rows, 1, groups, groups[:3])
