"""Towers that are any vision or text `AutoModel` of transformers, read by the model's own rule."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_TEXT_ENCODING_MAPPING,
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForTextEncoding,
    PretrainedConfig,
    PreTrainedModel,
)

from vector_universe.errors import UserError

TEXT_TOWERS_WITH_OWN_POOLING = ("siglip_text_model", "siglip2_text_model", "altclip_text_model")


class AutoImageTower(nn.Module):
    """Pixels (B, 3, S, S) → features (B, W): the pooled output, the [CLS] token where there is none."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = _without_tanh_pooler(model)
        self.width = feature_width(model.config)

    def forward(self, pixels: Tensor) -> Tensor:
        output = self.model(pixel_values=pixels)
        pooled = getattr(output, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)  # ResNet keeps its 1 x 1 map
        states = output.last_hidden_state
        return states.mean(dim=(2, 3)) if states.ndim == 4 else states[:, 0]

    def grid(self, pixels: Tensor) -> Tensor:
        """Features before pooling (B, L, W): of each place of a map, or of each token, [CLS] included."""
        states = self.model(pixel_values=pixels).last_hidden_state
        return states.flatten(2).transpose(1, 2) if states.ndim == 4 else states


class AutoTextTower(nn.Module):
    """Token ids and mask (B, L) → features (B, W), by `pooling`: see `DualEncoderConfig.text_pooling`."""

    def __init__(self, model: PreTrainedModel, pooling: str) -> None:
        super().__init__()
        self.model = model if pooling == "own" else _without_tanh_pooler(model)
        self.pooling = pooling
        self.width = feature_width(model.config)
        self.masked = not model.config.model_type.startswith("siglip")  # trained without a mask

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        output = self.model(input_ids=input_ids, attention_mask=attention_mask if self.masked else None)
        if self.pooling == "own":
            return output.pooler_output
        states = output.last_hidden_state
        if self.pooling == "cls":
            return states[:, 0]
        if self.pooling == "eos":
            return states[torch.arange(len(states), device=states.device), attention_mask.sum(dim=1) - 1]
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def config_of(settings: dict) -> PretrainedConfig:
    """The config object of a dict that holds its `model_type`.

    Raises:
        UserError: no such type is known to transformers.
    """
    try:
        return AutoConfig.for_model(**settings)
    except (ValueError, TypeError) as error:
        raise UserError(f"the model type {settings.get('model_type')!r} is not known to this version of transformers: "
                        "update it, or choose another model") from error


def random_model(config: PretrainedConfig) -> PreTrainedModel:
    """A vision or text model of this config with random weights; of an encoder-decoder the encoder alone.

    Raises:
        UserError: it cannot be built.
    """
    loader = loader_of(config)
    build = loader._from_config if isinstance(loader, type) and issubclass(loader, PreTrainedModel) \
        else loader.from_config
    try:
        return build(config)
    except (ValueError, TypeError, AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"a {config.model_type!r} cannot be built from its config ({reason})") from error


def loader_of(config: PretrainedConfig) -> Any:
    """The class that loads a model of this kind: an `Auto…` class, or the text half of a CLIP, which has none.

    Raises:
        UserError: there is no such model.
    """
    for mapping, loader in ((MODEL_FOR_TEXT_ENCODING_MAPPING, AutoModelForTextEncoding), (MODEL_MAPPING, AutoModel)):
        if type(config) in mapping:
            return loader
    half = getattr(transformers, type(config).__name__.removesuffix("Config") + "Model", None)
    if half is None:
        raise UserError(f"a {config.model_type!r} cannot be a tower: transformers has no model for its config alone")
    return half


def pooling_rule(config: PretrainedConfig) -> str:
    """What stands for a text in a model of this kind: its last token where it is causal, [CLS] where it was trained
    to fill in masks, the mean otherwise."""
    if config.model_type in TEXT_TOWERS_WITH_OWN_POOLING:
        return "own"
    if config.model_type == "clip_text_model":
        return "eos"
    if type(config) in MODEL_FOR_MASKED_LM_MAPPING or config.model_type == "chinese_clip_text_model":
        return "cls"
    return "eos" if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING else "mean"


def text_positions(config: PretrainedConfig) -> int | None:
    """The longest text that the model has positions for; None where there is no limit."""
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions and config.model_type in ("roberta", "xlm-roberta", "camembert", "mpnet", "altclip_text_model"):
        return positions - 2  # two positions stand for padding
    return positions


def feature_width(config: PretrainedConfig) -> int:
    """Width of a tower's features, before any projection.

    Raises:
        UserError: the config does not say.
    """
    if config.model_type in TEXT_TOWERS_WITH_OWN_POOLING:
        projected = getattr(config, "projection_size", None) or getattr(config, "project_dim", None)
        if projected:
            return projected
    width = getattr(config, "hidden_size", None) or (getattr(config, "hidden_sizes", None) or [None])[-1]
    if not width:
        raise UserError(f"a {config.model_type!r} cannot be a tower: its config has no hidden_size")
    return width


def _without_tanh_pooler(model: PreTrainedModel) -> PreTrainedModel:
    """Drop BERT's and ViT's pooler, a layer for next-sentence or class prediction: most checkpoints lack its weights.

    Poolings without a layer of their own (ResNet, ConvNeXt, SigLIP's attention head) stay.
    """
    if hasattr(getattr(model, "pooler", None), "dense"):
        setattr(model, "pooler", None)  # noqa: B010 - transformers allows None, torch's types do not
    return model
