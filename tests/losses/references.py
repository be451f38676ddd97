"""Objectives once more, slow and obvious: dense, in float64, straight from their equations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor


def unit_rows(size: int, width: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Random rows of length 1 that ask for gradients."""
    rows = torch.randn(size, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return F.normalize(rows, dim=1).to(dtype).requires_grad_()


def in_float64(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The very same numbers, as leaves of another graph."""
    return [tensor.detach().double().requires_grad_() for tensor in tensors]


def assert_equal_to(reference: Callable[..., Tensor], objective: Callable[..., Tensor], inputs: Sequence[Tensor],
                    scale: float, tolerance: float = 1e-5, floor: float = 0.05) -> None:
    """Value and gradients of every input, relative to the reference in float64; no logit is known better than its type
    can say it.

    Where gradients cancel, the error is measured against `floor` times that of a batch without one right pair: a
    logit of 100 in float32 is known to 4e-6, and so is its exponential, however little is left of the difference.
    """
    precise = in_float64(inputs)
    expected, found = reference(*precise), objective(*inputs)
    rounding = scale * torch.finfo(found.dtype).eps
    assert found.item() == pytest.approx(expected.item(), rel=tolerance, abs=max(tolerance, rounding))
    gradients = torch.autograd.grad(found, inputs)
    for ours, theirs in zip(gradients, torch.autograd.grad(expected, precise), strict=True):
        least = floor * (scale / math.sqrt(len(ours)) if ours.ndim else scale)
        assert (ours.double() - theirs).norm() <= tolerance * max(theirs.norm().item(), least)


def one_hot(size: int) -> Tensor:
    """Targets when row i of both sides is a pair."""
    return torch.eye(size, dtype=torch.float64)


def group_targets(ours: Sequence[int], theirs: Sequence[int]) -> Tensor:
    """Uniform over those of the same group."""
    same = torch.tensor([[float(a == b) for b in theirs] for a in ours], dtype=torch.float64)
    return same / same.sum(1, keepdim=True)


def soften(targets: Tensor, ours: Sequence[Sequence[int]], theirs: Sequence[Sequence[int]], weights: Sequence[float],
           share: float) -> Tensor:
    """Give `share` of each row to those with common labels, in proportion to the weight of what is common."""
    rows = []
    for target, mine in zip(targets, ours, strict=True):
        overlap = torch.tensor([sum(weights[label] for label in set(mine) & set(other)) for other in theirs],
                               dtype=torch.float64)
        rows.append((1 - share) * target + share * overlap / overlap.sum() if overlap.sum() > 0 else target)
    return torch.stack(rows)


def info_nce(images: Tensor, texts: Tensor, t: Tensor, image_targets: Tensor, text_targets: Tensor,
             false_negatives: Sequence[tuple[int, int]] = (), extra_images: Tensor | None = None,
             extra_texts: Tensor | None = None) -> Tensor:
    """Mean over images of -Σ target · log softmax over the texts, and the same over texts, halved.

    A false negative leaves the sum of the softmax, while a target keeps what it gives to it.
    """
    all_images = images if extra_images is None else torch.cat([images, extra_images])
    all_texts = texts if extra_texts is None else torch.cat([texts, extra_texts])
    logits = all_images @ all_texts.T * t.exp()
    kept = logits.clone()
    for image, text in false_negatives:
        kept[image, text] = -torch.inf
    own = logits[:len(images), :len(texts)]
    from_images = kept[:len(images)].logsumexp(1) - (image_targets * own).sum(1)
    from_texts = kept[:, :len(texts)].logsumexp(0) - (text_targets * own.T).sum(1)
    return (from_images.mean() + from_texts.mean()) / 2


def weighted_info_nce(images: Tensor, texts: Tensor, t: Tensor, image_weights: Sequence[float],
                      text_weights: Sequence[float], same: Callable[[int, int], bool]) -> Tensor:
    """Both means, every sum written out: row i counts for weight i wherever it stands."""
    def direction(ours: Tensor, theirs: Tensor, own: Sequence[float], other: Sequence[float],
                  right: Callable[[int, int], bool]) -> Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for i in range(len(ours)):
            logits = [ours[i] @ theirs[j] * t.exp() for j in range(len(theirs))]
            everyone = torch.stack([math.log(other[j]) + logits[j] for j in range(len(theirs))]).logsumexp(0)
            partners = [j for j in range(len(theirs)) if right(i, j)]
            target = sum(other[j] * logits[j] for j in partners) / sum(other[j] for j in partners)
            total = total + own[i] * (everyone - target)
        return total / sum(own)

    return (direction(images, texts, image_weights, text_weights, same)
            + direction(texts, images, text_weights, image_weights, lambda j, i: same(i, j))) / 2


def sigmoid(images: Tensor, texts: Tensor, t: Tensor, b: Tensor, positive: Callable[[int, int], bool]) -> Tensor:
    """Equation 1 of Zhai et al. 2023, pair by pair."""
    total = torch.zeros((), dtype=torch.float64)
    for i in range(len(images)):
        for j in range(len(texts)):
            z = 1 if positive(i, j) else -1
            total = total - F.logsigmoid(z * (t.exp() * images[i] @ texts[j] + b))
    return total / len(images)


def alignment(views: Sequence[Tensor], positive_weight: float, temperature: float, cross_modal_only: bool) -> Tensor:
    """A sum over the rows, divided by their number."""
    images, texts, other_images, other_texts = views
    total = torch.zeros((), dtype=torch.float64)
    for i in range(len(images)):
        total = total - images[i] @ texts[i] - other_images[i] @ other_texts[i]
        if not cross_modal_only:
            total = total - images[i] @ other_images[i] - texts[i] @ other_texts[i]
    return positive_weight / temperature * total / len(images)


def anisotropy(views: Sequence[Tensor], form: str, temperature: float, cross_modal_only: bool) -> Tensor:
    """The second term in nested loops."""
    images, texts, other_images, other_texts = views
    across, within = [(images, texts), (other_images, other_texts)], [(images, images), (other_texts, other_texts)]
    size = len(images)
    total = torch.zeros((), dtype=torch.float64)
    if form == "spectral":
        for both in ((images, other_images), (texts, other_texts)):
            rows = torch.cat(both)
            moment = sum(torch.outer(row, row) for row in rows) / len(rows)
            total = total + rows.shape[1] * (moment ** 2).sum()
        return total
    for a, b in across if cross_modal_only else within + across:
        for i in range(size):
            forward = [a[i] @ b[j] for j in range(size) if j != i]
            backward = [a[j] @ b[i] for j in range(size) if j != i]
            if form == "mean":
                total = total + sum(forward) / size / size
            else:
                both = sum(torch.log(sum(torch.exp(cosine / temperature) for cosine in one))
                           for one in (forward, backward))
                total = total + both / 2 / size
    return total
