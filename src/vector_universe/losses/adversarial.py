"""Adversarial losses: what a discriminator and a generator want of the discriminator's scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def discriminator_hinge(real_B: Tensor, generated_B: Tensor) -> Tensor:
    """The discriminator's hinge loss (Lim & Ye 2017; Miyato et al. 2018, equation 16); scalar.

        mean max(0, 1 - real) + mean max(0, 1 + generated)

    Args:
        real_B: scores of real pictures with their texts.
        generated_B: scores of what it is to tell from them.
    """
    return F.relu(1 - real_B).mean() + F.relu(1 + generated_B).mean()


def mismatch_hinge(mismatched_B: Tensor, differ_B: Tensor) -> Tensor:
    """Mean max(0, 1 + score) over real pictures with the texts of others (Reed et al. 2016); scalar.

    Args:
        mismatched_B: their scores.
        differ_B: bool, whether the other's text differs from the own one; where none does, the loss is 0.
    """
    return (F.relu(1 + mismatched_B) * differ_B).sum() / differ_B.sum().clamp(min=1)


def generator_hinge(generated_B: Tensor) -> Tensor:
    """The generator's loss, -mean score (Miyato et al. 2018, equation 17); scalar."""
    return -generated_B.mean()


def gradient_penalty(real_B: Tensor, pixels_B3SS: Tensor) -> Tensor:
    """R1: ½ mean ‖∂ score / ∂ pixels‖² over real pictures (Mescheder et al. 2018, equation 9); scalar.

    Args:
        real_B: scores, row i of picture i alone.
        pixels_B3SS: the pictures, which require a gradient.
    """
    gradient_B3SS, = torch.autograd.grad(real_B.sum(), pixels_B3SS, create_graph=True)
    return gradient_B3SS.square().sum((1, 2, 3)).mean() / 2
