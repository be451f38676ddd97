"""The settings of a `Generator` and of the `Discriminator` that judges its pictures."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from vector_universe.errors import UserError

SIZES = (32, 64, 128)


class GeneratorConfig(PretrainedConfig):
    """Settings of a `Generator`.

    Args:
        size: side S of the pictures in pixels: 32, 64 or 128.
        text_width: D, width of the text embeddings that it is conditioned on.
        noise_width: Z, width of the noise.
        channels: at 4 × 4; halved with every doubling of the side, down to `narrowest`.
        narrowest: least number of channels.
        condition_width: of the vector of text and noise that modulates every block.
    """

    model_type = "vector_universe_generator"

    def __init__(self, size: int = 64, text_width: int = 256, noise_width: int = 64, channels: int = 256,
                 narrowest: int = 32, condition_width: int = 256, **hugging_face: Any) -> None:
        self.size = size
        self.text_width = text_width
        self.noise_width = noise_width
        self.channels = channels
        self.narrowest = narrowest
        self.condition_width = condition_width
        super().__init__(**hugging_face)  # the base class's own settings, as transformers asks of every config

    @property
    def widths(self) -> list[int]:
        """Channels at 4 × 4, 8 × 8, … S/2 × S/2; the last doubling is a rearrangement of channels into pixels."""
        doublings = (self.size // 8).bit_length() - 1
        return [max(self.narrowest, self.channels // 2 ** place) for place in range(doublings + 1)]

    def check(self) -> None:
        """Refuse impossible settings.

        Raises:
            UserError: naming the setting, its value and what is possible.
        """
        if self.size not in SIZES:
            raise UserError(f"the size of generated pictures is {self.size}: choose {', '.join(map(str, SIZES))}")
        for name in ("text_width", "noise_width", "channels", "narrowest", "condition_width"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: it must be at least 1")
