"""Geometry: every measure against a slow one in float64, and on what is known without measuring."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vector_universe.evaluation.geometry import geometry, gradient_shares

CLIP_FACTS = Path(__file__).parents[2] / "shared" / "data" / "clip-facts" / "lvis_v1_clip_a+cname.npy"
MEASURES = ("pair_cosine", "off_pair_cosine", "modality_gap", "image_effective_rank", "text_effective_rank",
            "alignment", "image_uniformity", "text_uniformity", "recall_at_1", "chance_at_1")

def pairs(size, width, seed=0, together=1.0):
    """Unit rows with something in common in each pair, and a cone that all share."""
    generator = torch.Generator().manual_seed(seed)
    common, own, images, texts = (torch.randn(rows, width, generator=generator) for rows in (1, size, size, size))
    return [F.normalize(common + together * own + rows, dim=1) for rows in (images, texts)]


def slow(images, texts):
    """The same figures by loops over rows, in the order of MEASURES."""
    images, texts = images.double(), texts.double()
    size = len(images)
    everyone = range(size)
    cosine = [[float(images[i] @ texts[j]) for j in everyone] for i in everyone]
    off = [cosine[i][j] for i in everyone for j in everyone if i != j]
    gap = sum(images[i] - texts[i] for i in everyone) / size

    def effective_rank(rows):
        moment = sum(torch.outer(row, row) for row in rows) / size
        eigenvalues = [max(0.0, float(value)) for value in torch.linalg.eigvalsh(moment)]
        shares = [value / sum(eigenvalues) for value in eigenvalues]
        return math.exp(-sum(share * math.log(share) for share in shares if share > 0))

    def uniformity(rows):
        return math.log(sum(math.exp(-2 * float((rows[i] - rows[j]).square().sum()))
                            for i in everyone for j in everyone if i != j) / (size * (size - 1)))

    hits = sum(all(cosine[i][i] > cosine[i][j] for j in everyone if j != i) for i in everyone)
    hits += sum(all(cosine[j][j] > cosine[i][j] for i in everyone if i != j) for j in everyone)
    return (sum(cosine[i][i] for i in everyone) / size, sum(off) / len(off), float(gap.norm()),
            effective_rank(images), effective_rank(texts),
            sum(float((images[i] - texts[i]).square().sum()) for i in everyone) / size,
            uniformity(images), uniformity(texts), hits / (2 * size), 1 / size)


def assert_close(one, other, tolerance):
    for name in MEASURES:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=tolerance, abs=tolerance), name


@pytest.mark.parametrize(("size", "width"), [(2, 3), (9, 4), (24, 16), (7, 40)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-11)])
def test_every_measure_is_the_slow_one(size, width, dtype, tolerance):
    images, texts = (rows.to(dtype) for rows in pairs(size, width, seed=size))
    images, texts = F.normalize(images, dim=1), F.normalize(texts, dim=1)
    figures = geometry(images, texts)
    for name, expected in zip(MEASURES, slow(images, texts), strict=True):
        assert getattr(figures, name) == pytest.approx(expected, rel=tolerance, abs=tolerance), name
    assert list(figures.as_dict()) == list(MEASURES)
    assert figures.effective_rank == min(figures.image_effective_rank, figures.text_effective_rank)


def test_orthonormal_rows_are_flat():
    rows = torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(1)))[0]
    figures = geometry(rows, rows)
    assert figures.pair_cosine == pytest.approx(1)
    assert figures.off_pair_cosine == pytest.approx(0, abs=1e-6)
    assert figures.modality_gap == figures.alignment == pytest.approx(0, abs=1e-6)
    assert figures.image_effective_rank == figures.text_effective_rank == pytest.approx(32, rel=1e-5)
    assert figures.image_uniformity == pytest.approx(-4, abs=1e-5)  # all squared distances are 2
    assert (figures.recall_at_1, figures.chance_at_1) == (1, 1 / 32)


def test_opposite_poles_have_rank_one_and_score_exactly_chance():
    pole = F.normalize(torch.randn(1, 512, generator=torch.Generator().manual_seed(0)), dim=1)
    figures = geometry(pole.repeat(56, 1), -pole.repeat(56, 1))
    assert figures.pair_cosine == pytest.approx(-1)
    assert figures.off_pair_cosine == pytest.approx(-1)
    assert figures.modality_gap == pytest.approx(2)
    assert figures.alignment == pytest.approx(4)
    assert figures.image_effective_rank == figures.text_effective_rank == pytest.approx(1, abs=1e-3)
    assert figures.image_uniformity == pytest.approx(0, abs=1e-5)
    assert figures.recall_at_1 == pytest.approx(1 / 56)


def test_partners_at_the_same_cosine_share_the_first_place():
    images = torch.eye(4)[[0, 0, 1, 2]]
    figures = geometry(images, images)
    assert figures.recall_at_1 == pytest.approx((1 / 2 + 1 / 2 + 1 + 1) / 4)


def test_a_nearer_stranger_takes_the_first_place():
    figures = geometry(torch.eye(3), torch.eye(3)[[1, 0, 2]])
    assert figures.recall_at_1 == pytest.approx(1 / 3)


def test_a_single_pair_has_no_strangers():
    figures = geometry(torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]]))
    assert figures.pair_cosine == pytest.approx(0.6)
    assert math.isnan(figures.off_pair_cosine)
    assert math.isnan(figures.image_uniformity)
    assert (figures.recall_at_1, figures.chance_at_1) == (1, 1)
    assert figures.effective_rank == pytest.approx(1)


def test_order_and_rotation_change_nothing():
    images, texts = (rows.double() for rows in pairs(50, 12))
    order = torch.randperm(50, generator=torch.Generator().manual_seed(2))
    rotation = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64,
                                           generator=torch.Generator().manual_seed(3)))[0]
    assert_close(geometry(images[order], texts[order]), geometry(images, texts), 1e-11)
    assert_close(geometry(images @ rotation, texts @ rotation), geometry(images, texts), 1e-11)


def test_rows_of_any_length_and_of_half_precision_have_their_true_cosines():
    images, texts = pairs(40, 64)
    assert_close(geometry(images * 3, texts / 7), geometry(images, texts), 1e-5)
    rounded = geometry(images.bfloat16(), texts.bfloat16())
    assert_close(rounded, geometry(images, texts), 5e-3)
    assert geometry(images.bfloat16(), images.bfloat16()).pair_cosine == pytest.approx(1, abs=1e-6)


def test_of_a_large_batch_only_some_rows_are_compared_pair_by_pair():
    images, texts = pairs(1000, 8)
    figures, seen = geometry(images, texts), geometry(images[torch.arange(256) * 1000 // 256],
                                                      texts[torch.arange(256) * 1000 // 256])
    assert figures.chance_at_1 == 1 / 256
    assert (figures.recall_at_1, figures.image_uniformity) == pytest.approx((seen.recall_at_1, seen.image_uniformity))
    cosines = images.double() @ texts.double().T
    assert figures.off_pair_cosine == pytest.approx(float((cosines.sum() - cosines.trace()) / (1000 * 999)), abs=1e-6)
    assert geometry(*pairs(600, 500)).chance_at_1 == 1 / 500


def test_nothing_is_asked_of_the_graph():
    images, texts = (rows.requires_grad_() for rows in pairs(5, 4))
    geometry(images, texts)
    assert images.grad is None


@pytest.mark.parametrize(("images", "texts"), [(torch.ones(3, 4), torch.ones(2, 4)), (torch.ones(3), torch.ones(3)),
                                               (torch.ones(0, 4), torch.ones(0, 4))])
def test_shapes_that_are_no_pairs_are_refused(images, texts):
    with pytest.raises(ValueError, match="row i of both must be a pair"):
        geometry(images, texts)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_embedding_that_is_no_number_is_refused(value):
    images, texts = pairs(4, 4)
    texts[2, 1] = value
    with pytest.raises(FloatingPointError, match="NaN or infinite"):
        geometry(images, texts)


@pytest.mark.skipif(not CLIP_FACTS.is_file(), reason="needs the vectors of ../shared/data/clip-facts")
def test_real_clip_vectors_have_the_figures_that_are_known_of_them():
    vectors = F.normalize(torch.from_numpy(np.load(CLIP_FACTS)).float(), dim=1)
    raw = geometry(vectors, vectors)
    assert raw.off_pair_cosine == pytest.approx(0.743, abs=5e-4)
    assert raw.effective_rank == pytest.approx(6.8, abs=0.05)
    moved = vectors - vectors.mean(dim=0)
    centred = geometry(moved, moved)
    assert centred.effective_rank == pytest.approx(193, abs=0.5)
    assert centred.off_pair_cosine == pytest.approx(0, abs=2e-3)


def test_gradient_shares_follow_the_pull_of_each_part():
    images, texts = (rows.requires_grad_() for rows in pairs(6, 4))
    parts = {"one": (images * texts).sum(), "three": -3 * (images * texts).sum()}
    assert gradient_shares(parts, (images, texts)) == pytest.approx({"one": 0.25, "three": 0.75})
    sum(parts.values()).backward()  # the graph is still there
    assert images.grad is not None


def test_a_part_that_reaches_one_kind_or_none_has_its_share():
    images, texts = (rows.requires_grad_() for rows in pairs(6, 4))
    parts = {"images": images.sum(), "both": images.sum() + texts.sum(), "constant": torch.tensor(2.0)}
    shares = gradient_shares(parts, (images, texts))
    assert shares == pytest.approx({"images": 1 / (1 + 2**0.5), "both": 2**0.5 / (1 + 2**0.5), "constant": 0})
    assert gradient_shares({"constant": torch.tensor(2.0)}, (images, texts)) == {"constant": 0}
