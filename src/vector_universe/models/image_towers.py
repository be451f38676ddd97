"""Two compact image towers: pixels (B, 3, S, S) in, features (B, width) out; `grid` gives them before pooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vector_universe.models.configuration import DualEncoderConfig
from vector_universe.models.transformer import TransformerBlock


class ConvNet(nn.Module):
    """A residual network in three stages at 1/4, 1/8 and 1/16 of the input.

    Norms look at one image alone (LayerNorm over channels), never at the batch, so that an embedding depends on
    nothing else and a batch may be split at will.
    """

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        widths = [config.image_width // 4, config.image_width // 2, config.image_width]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], kernel_size=7, stride=4, padding=3)]
        for stage, width in enumerate(widths):
            if stage > 0:
                layers += [ChannelNorm(widths[stage - 1]), nn.Conv2d(widths[stage - 1], width, kernel_size=2, stride=2)]
            layers += [ResidualBlock(width) for _ in range(config.image_layers)]
        self.stages = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(widths[-1])

    def forward(self, pixels: Tensor) -> Tensor:
        return self.norm(self._map(pixels).mean(dim=(2, 3)))

    def grid(self, pixels: Tensor) -> Tensor:
        """Features of each place of the last stage (B, L, W), L = (S/16)², row by row."""
        return self.norm(self._map(pixels).flatten(2).transpose(1, 2))

    def _map(self, pixels: Tensor) -> Tensor:
        return self.stages(pixels.contiguous(memory_format=torch.channels_last))


class ResidualBlock(nn.Module):
    """Norm, convolution, ReLU, convolution, plus the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.conv_in = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.conv_out = nn.Conv2d(width, width, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_out(torch.relu(self.conv_in(torch.relu(self.norm(x)))))


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of a (B, C, H, W) map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class VisionTransformer(nn.Module):
    """A small pre-norm ViT (Dosovitskiy et al. 2021) over patches of S/8 pixels, read as the mean of its patches."""

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        width = config.image_width
        patch = config.image_size // 8
        self.patches = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.positions = nn.Parameter(torch.zeros(64, width))
        self.blocks = nn.ModuleList(TransformerBlock(width) for _ in range(config.image_layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.grid(pixels).mean(dim=1)

    def grid(self, pixels: Tensor) -> Tensor:
        """Features of each patch (B, 64, W), row by row."""
        x = self.patches(pixels).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.norm(x)
