"""`Generator`: a text embedding and noise in, a picture out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init

from vector_universe.models.gan.configuration import GeneratorConfig

_AT_ONCE = 64  # pictures that are drawn together


class Generator(PreTrainedModel):
    """Residual upsampling blocks, modulated by text and noise: what is drawn is decided in every block.

    The text embedding and the noise become one condition; it gives the 4 × 4 start, and in each block a scale and a
    shift of every channel (conditional normalisation, Dumoulin et al. 2017), with norms over the channels of one
    place of one picture, so that a picture depends on nothing but its own text and noise. The last doubling rearranges
    channels into pixels (Shi et al. 2016), which costs a quarter of a convolution at full size. A sketch at a quarter
    of the side, linear in the condition, is added to what the blocks draw: layout and colours are learned sooner.
    """

    config: GeneratorConfig
    config_class = GeneratorConfig
    base_model_prefix = "generator"
    main_input_name = "texts_BD"

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        config.check()
        widths = config.widths
        self.condition = nn.Sequential(nn.Linear(config.text_width + config.noise_width, config.condition_width),
                                       nn.LeakyReLU(0.2))
        self.start = nn.Linear(config.condition_width, widths[0] * 16)
        self.blocks = nn.ModuleList(UpsamplingBlock(before, after, config.condition_width)
                                    for before, after in itertools.pairwise(widths))
        self.sketch = QuietLinear(config.condition_width, 3 * (config.size // 4) ** 2)
        self.norm = ConditionalNorm(widths[-1], config.condition_width)
        self.to_pixels = nn.Conv2d(widths[-1], 3 * 4, kernel_size=3, padding=1)
        self.post_init()

    def forward(self, texts_BD: Tensor, noise_BZ: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) in [-1, 1] of text embeddings, unit rows, and noise, standard normal rows."""
        texts_BD = texts_BD * math.sqrt(self.config.text_width)  # entries as large as the noise's
        condition_BC = self.condition(torch.cat([texts_BD, noise_BZ], 1))
        x = self.start(condition_BC).unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x, condition_BC)
        x = F.leaky_relu(self.norm(x, condition_BC), 0.2)
        side = self.config.size // 4
        small_B3HW = self.sketch(condition_BC).unflatten(1, (3, side, side))
        sketch_B3SS = F.interpolate(small_B3HW, scale_factor=4.0, mode="bilinear")
        return torch.tanh(F.pixel_shuffle(self.to_pixels(x), 2) + sketch_B3SS)

    @torch.inference_mode()
    def sample(self, texts_BD: Tensor, seeds: Sequence[int], truncation: float = 1.0) -> Tensor:
        """One picture for each text: uint8 (B, S, S, 3), RGB; a function of its own text, seed and truncation.

        Args:
            texts_BD: unit rows.
            seeds: one for each text; another seed is another picture.
            truncation: the noise is drawn anew where it lies beyond two standard deviations and multiplied by this:
                below 1 for more typical pictures that differ less, 0 for the same one from every seed.
        """
        noise_BZ = truncation * torch.stack([noise_of(seed, self.config.noise_width) for seed in seeds])
        return torch.cat([to_bytes(self(texts.to(self.device), noise.to(self.device)))
                          for texts, noise in zip(texts_BD.split(_AT_ONCE), noise_BZ.split(_AT_ONCE), strict=True)])

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, QuietLinear | QuietConv2d):
            init.zeros_(module.weight)
        elif isinstance(module, nn.Linear | nn.Conv2d):
            init.kaiming_normal_(module.weight, a=0.2, nonlinearity="leaky_relu")
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            init.zeros_(module.bias)


class QuietLinear(nn.Linear):
    """Begins at 0, so that it disturbs nothing before it has learned something."""


class QuietConv2d(nn.Conv2d):
    """Likewise: a residual block begins as its shortcut."""


class UpsamplingBlock(nn.Module):
    """Channels mixed, side doubled; then norm, ReLU and convolution twice beside a shortcut."""

    def __init__(self, before: int, after: int, condition_width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(before, after, kernel_size=1)  # before the doubling, at a quarter of the cost
        self.norm_in = ConditionalNorm(after, condition_width)
        self.conv_in = nn.Conv2d(after, after, kernel_size=3, padding=1)
        self.norm_out = ConditionalNorm(after, condition_width)
        self.conv_out = QuietConv2d(after, after, kernel_size=3, padding=1)

    def forward(self, x: Tensor, condition_BC: Tensor) -> Tensor:
        x = F.interpolate(self.mix(x), scale_factor=2.0, mode="bilinear")
        y = self.conv_in(F.leaky_relu(self.norm_in(x, condition_BC), 0.2))
        return x + self.conv_out(F.leaky_relu(self.norm_out(y, condition_BC), 0.2))


class ConditionalNorm(nn.Module):
    """LayerNorm over the channels of each place of a (B, C, H, W) map, then a scale and shift by the condition."""

    def __init__(self, width: int, condition_width: int) -> None:
        super().__init__()
        self.width = width
        self.modulation = QuietLinear(condition_width, 2 * width)

    def forward(self, x: Tensor, condition_BC: Tensor) -> Tensor:
        scale_B1C, shift_B1C = self.modulation(condition_BC)[:, None, None].chunk(2, -1)
        normed_BHWC = F.layer_norm(x.permute(0, 2, 3, 1), (self.width,))
        return torch.addcmul(shift_B1C, normed_BHWC, 1 + scale_B1C).permute(0, 3, 1, 2)


def noise_of(seed: int, width: int) -> Tensor:
    """Noise (Z,), standard normal cut at two standard deviations: a function of the seed, on any device the same."""
    numbers = torch.Generator().manual_seed(seed)
    return nn.init.trunc_normal_(torch.empty(width), a=-2, b=2, generator=numbers)


def to_bytes(pixels_B3SS: Tensor) -> Tensor:
    """float (B, 3, S, S) in [-1, 1] → uint8 (B, S, S, 3)."""
    return pixels_B3SS.permute(0, 2, 3, 1).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def to_pixels(bytes_BSS3: Tensor) -> Tensor:
    """uint8 (B, S, S, 3) → float (B, 3, S, S) in [-1, 1]."""
    return bytes_BSS3.permute(0, 3, 1, 2).contiguous().float().div_(127.5).sub_(1)
