"""Random weights of our own towers and projections; models of transformers bring their own rule."""

from __future__ import annotations

import math

import torch
from torch import nn
from transformers import initialization as init

from vector_universe.models.configuration import DualEncoderConfig
from vector_universe.models.image_towers import VisionTransformer
from vector_universe.models.text_towers import TextTransformer
from vector_universe.models.two_towers import TwoTowers


@torch.no_grad()
def initialise(module: nn.Module, config: DualEncoderConfig) -> None:
    """Set a module's own weights, not those of its parts; weights that were loaded are left as they are."""
    if isinstance(module, nn.Conv2d):
        init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        init.normal_(module.weight, std=module.in_features ** -0.5)
        if module.bias is not None:
            init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        init.normal_(module.weight, std=1.0 if config.text_tower == "bag_of_words" else 0.02)
    elif isinstance(module, nn.LayerNorm):
        init.ones_(module.weight)
        init.zeros_(module.bias)
    elif isinstance(module, VisionTransformer | TextTransformer):
        init.normal_(module.positions, std=0.02)
    elif isinstance(module, TwoTowers):
        init.constant_(module.logit_scale, math.log(config.logit_scale_init))
