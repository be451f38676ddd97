"""Differentiable augmentation: the discriminator sees real and generated pictures through the same kind of changes.

DiffAugment (Zhao et al. 2020): colour, translation and cutout. As real pictures are changed too, the generator does
not learn the changes; as gradients pass through, it learns from changed pictures all the same. A discriminator that
never sees a picture twice alike cannot learn a small data set by heart.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BRIGHTNESS = 0.5  # largest shift, of a range of 2
SATURATION = (0.0, 2.0)
CONTRAST = (0.5, 1.5)
TRANSLATION = 1 / 8  # of the side, at most
CUTOUT = 1 / 2  # side of the square that is hidden, of the picture's


def augment(pixels_B3SS: Tensor, seed: int) -> Tensor:
    """Change each picture by draws of its own; differentiable with respect to the pictures.

    Row i is changed in the same way for every batch of the same seed and size: give real and generated pictures
    different seeds for changes of their own.

    Args:
        pixels_B3SS: in [-1, 1].
        seed: of the draws.
    """
    numbers = torch.Generator().manual_seed(seed)
    draws_7B = torch.rand(7, len(pixels_B3SS), generator=numbers).to(pixels_B3SS.device)
    pixels_B3SS = _colour(pixels_B3SS, *draws_7B[:3, :, None, None, None])
    pixels_B3SS = _translate(pixels_B3SS, *draws_7B[3:5])
    return pixels_B3SS * _seen(pixels_B3SS.shape[-1], *draws_7B[5:7, :, None])


def _colour(pixels_B3SS: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    pixels_B3SS = pixels_B3SS + BRIGHTNESS * (2 * brightness - 1)
    grey_B1SS = pixels_B3SS.mean(1, keepdim=True)
    pixels_B3SS = grey_B1SS + (pixels_B3SS - grey_B1SS) * _between(SATURATION, saturation)
    mean_B111 = pixels_B3SS.mean((1, 2, 3), keepdim=True)
    return mean_B111 + (pixels_B3SS - mean_B111) * _between(CONTRAST, contrast)


def _translate(pixels_B3SS: Tensor, right_B: Tensor, down_B: Tensor) -> Tensor:
    """Each picture moved by whole pixels; what comes in is 0."""
    size = pixels_B3SS.shape[-1]
    most = round(TRANSLATION * size)
    padded = F.pad(pixels_B3SS, (most, most, most, most))
    starts_B2 = torch.stack([down_B, right_B], 1).mul(2 * most + 1).long().tolist()
    return torch.stack([picture[:, top:top + size, left:left + size]
                        for picture, (top, left) in zip(padded, starts_B2, strict=True)])


def _seen(size: int, across_B1: Tensor, down_B1: Tensor) -> Tensor:
    """1 where a picture is seen, 0 in a square of it: (B, 1, S, S). The square's centre lies anywhere."""
    half = CUTOUT * size / 2
    places_S = torch.arange(size, device=across_B1.device) + 0.5
    hidden_across, hidden_down = ((places_S - place_B1 * size).abs() < half for place_B1 in (across_B1, down_B1))
    return (~(hidden_down[:, :, None] & hidden_across[:, None])).float()[:, None]


def _between(ends: tuple[float, float], share: Tensor) -> Tensor:
    return ends[0] + (ends[1] - ends[0]) * share
