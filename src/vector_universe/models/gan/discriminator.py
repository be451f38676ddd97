"""`Discriminator`: a picture in, how real it looks and how well it fits a text out."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from vector_universe.models.gan.configuration import GeneratorConfig


class Discriminator(nn.Module):
    """Residual downsampling and a projection head: ψ(φ(x)) + ⟨V e, φ(x)⟩ (Miyato & Koyama 2018, equation 3).

    Every layer is spectrally normalised (Miyato et al. 2018): it stretches nothing by more than 1. Each forward pass in
    training mode goes one step on with the estimate of the norms; in evaluation mode nothing changes.

    Args:
        config: the generator's; the discriminator's blocks mirror the generator's.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        widths = config.widths[::-1]
        self.text_width, self.width = config.text_width, widths[-1]
        self.from_pixels = spectral_norm(nn.Conv2d(3 * 4, widths[0], kernel_size=3, padding=1))
        self.blocks = nn.Sequential(*(DownsamplingBlock(before, after)
                                      for before, after in itertools.pairwise(widths)))
        self.conv_out = spectral_norm(nn.Conv2d(self.width, self.width, kernel_size=3, padding=1))
        self.features_of = spectral_norm(nn.Linear(self.width * 16, self.width))
        self.realness = spectral_norm(nn.Linear(self.width, 1))
        self.projection = spectral_norm(nn.Linear(config.text_width, self.width, bias=False))

    def features(self, pixels_B3SS: Tensor) -> Tensor:
        """φ (B, W) of pictures in [-1, 1]."""
        x = F.pixel_unshuffle(pixels_B3SS, 2).contiguous(memory_format=torch.channels_last)
        x = self.blocks(self.from_pixels(x))
        x = x + self.conv_out(F.leaky_relu(x, 0.2))
        return F.leaky_relu(self.features_of(F.leaky_relu(x, 0.2).flatten(1)), 0.2)

    def score(self, features_BW: Tensor, texts_BD: Tensor) -> Tensor:
        """Scores (B,) of φ with text embeddings, unit rows: high for real pictures with their own texts."""
        projected_BW = self.projection(texts_BD * math.sqrt(self.text_width))
        return self.realness(features_BW)[:, 0] + (projected_BW * features_BW).sum(1)

    def forward(self, pixels_B3SS: Tensor, texts_BD: Tensor) -> Tensor:
        """Scores (B,) of pictures (B, 3, S, S) in [-1, 1] with text embeddings (B, D), unit rows."""
        return self.score(self.features(pixels_B3SS), texts_BD)


class DownsamplingBlock(nn.Module):
    """A strided convolution beside a pooled shortcut: half the side."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = spectral_norm(nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1))
        self.shortcut = spectral_norm(nn.Conv2d(before, after, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(F.avg_pool2d(x, 2)) + self.conv(F.leaky_relu(x, 0.2))
