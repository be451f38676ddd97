"""Views: what the model sees of a picture and of a text in one step of training."""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor

ZOOM = (0.8, 1.1)  # share of the picture's side that is seen
SHIFT = 0.1  # in half sides
COLOUR = 0.15  # largest relative change of brightness and of contrast


def augment_images(pixels_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Zoom, shift and recolour each picture a little, by its own random draw; the edge's colour fills what is new.

    No flip: pictures here often carry letters.
    """
    batch = len(pixels_BCHW)

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return (low + (high - low) * torch.rand(batch, *shape, generator=generator)).to(pixels_BCHW.device)

    affine = torch.zeros(batch, 2, 3, device=pixels_BCHW.device)
    affine[:, 0, 0] = affine[:, 1, 1] = draw(*ZOOM)
    affine[:, :, 2] = draw(-SHIFT, SHIFT, 2)
    grid = F.affine_grid(affine, list(pixels_BCHW.shape), align_corners=False)
    moved = F.grid_sample(pixels_BCHW, grid, padding_mode="border", align_corners=False)
    contrast, brightness = draw(1 - COLOUR, 1 + COLOUR, 1, 1, 1), draw(-COLOUR, COLOUR, 1, 1, 1)
    return moved * contrast + brightness


def drop_words(text: str, probability: float, choices: random.Random) -> str:
    """Leave out each word with `probability`; a text keeps at least one word."""
    words = text.split()
    kept = [word for word in words if choices.random() >= probability]
    return " ".join(kept) if kept else text
