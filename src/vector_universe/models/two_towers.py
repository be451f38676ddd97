"""Two towers of any kind, each with a projection into the shared space (CLIP, Radford et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from vector_universe.models.auto_towers import AutoImageTower, AutoTextTower, config_of, random_model
from vector_universe.models.configuration import AUTO, DualEncoderConfig
from vector_universe.models.image_towers import ConvNet, VisionTransformer
from vector_universe.models.projection import build_projection
from vector_universe.models.text_towers import BagOfWords, TextTransformer
from vector_universe.models.towers import Side, Towers

ImageTower = ConvNet | VisionTransformer | AutoImageTower


class TwoTowers(Towers):
    """An image tower and a text tower, ours or any `AutoModel`'s, a projection on each, a learned temperature.

    Args:
        config: the settings.
        image: the vision model of an "auto" image tower; with None it is built from the config, at random.
        text: the text model of an "auto" text tower, likewise.
    """

    def __init__(self, config: DualEncoderConfig, image: PreTrainedModel | None = None,
                 text: PreTrainedModel | None = None) -> None:
        super().__init__()
        self.text_tower: nn.Module
        text_width = config.text_width
        self.image_tower, image_width = build_image_tower(config, image)
        if config.text_tower == AUTO:
            model = text or random_model(config_of(config.text_tower_config or {}))
            read = AutoTextTower(model, config.text_pooling)
            self.text_tower, text_width = read, read.width
        else:
            self.text_tower = {"bag_of_words": BagOfWords, "transformer": TextTransformer}[config.text_tower](config)
        self.image_projection = build_projection(config, image_width)
        self.text_projection = build_projection(config, text_width)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(config.logit_scale_init)))
        self.logit_bias = None

    def image_features(self, pixel_values: Tensor) -> Tensor:
        return self.image_projection(self.image_tower(pixel_values))

    def text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.text_projection(self.text_tower(input_ids, attention_mask))

    def modules_of(self, side: Side) -> tuple[str, list[str]]:
        return f"{side}_tower", [f"{side}_projection"]


def build_image_tower(config: DualEncoderConfig, model: PreTrainedModel | None = None) -> tuple[ImageTower, int]:
    """The image tower that a config asks for, and the width W of its features.

    Args:
        config: the settings.
        model: the vision model of an "auto" tower; with None it is built from the config, at random.
    """
    if config.image_tower == AUTO:
        found = AutoImageTower(model or random_model(config_of(config.image_tower_config or {})))
        return found, found.width
    tower: ImageTower = ConvNet(config) if config.image_tower == "convnet" else VisionTransformer(config)
    return tower, config.image_width
