"""A whole pretrained model with both towers in it: CLIP, SigLIP, and models shaped like them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import MODEL_MAPPING, AutoModel, PretrainedConfig, PreTrainedModel

from vector_universe.errors import UserError
from vector_universe.models.towers import Side, Towers


class WholeModel(Towers):
    """The model of `transformers` as it is, so that its weights keep their names and can be saved back."""

    model: Any  # get_image_features and get_text_features, which PreTrainedModel does not declare

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self.masked = not is_siglip(model.config)

    @property
    def logit_scale(self) -> nn.Parameter:  # type: ignore[override]
        return self.model.logit_scale

    @property
    def logit_bias(self) -> nn.Parameter | None:  # type: ignore[override]
        return getattr(self.model, "logit_bias", None)

    def image_features(self, pixel_values: Tensor) -> Tensor:
        return self.model.get_image_features(pixel_values=pixel_values).pooler_output

    def text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask if self.masked else None  # SigLIP reads its padding: it was trained without a mask
        return self.model.get_text_features(input_ids=input_ids, attention_mask=mask).pooler_output

    def modules_of(self, side: Side) -> tuple[str, list[str]]:
        tower, projection = {"image": ("vision_model", "visual_projection"),
                             "text": ("text_model", "text_projection")}[side]
        return f"model.{tower}", [f"model.{projection}"] if hasattr(self.model, projection) else []


def whole_model(config: PretrainedConfig) -> PreTrainedModel:
    """A model of this config with random weights.

    Raises:
        UserError: it is none with an image and a text tower.
    """
    refuse_unless_dual(config, config.model_type)
    return AutoModel.from_config(config)


def refuse_unless_dual(config: PretrainedConfig, name: str) -> None:
    """Check that a config describes a model with an image and a text tower in one space.

    Raises:
        UserError: it does not; with the way out.
    """
    kind = MODEL_MAPPING.get(type(config), None)
    dual = kind is not None and all(hasattr(kind, f"get_{side}_features") for side in ("image", "text"))
    if config.model_type == "siglip2":
        raise UserError(f"{name} is a SigLIP 2 of variable resolution (NaFlex), which is not supported: take the model "
                        "of the same name with a fixed resolution, such as google/siglip2-base-patch16-224")
    if not dual or not hasattr(config, "vision_config"):
        raise UserError(f"{name} holds no trained model for images and texts (it is a {config.model_type!r}): give a "
                        "CLIP or SigLIP, or join it with another by DualEncoder.from_towers")


def is_siglip(config: PretrainedConfig) -> bool:
    """Whether texts must be padded to their full length and are read without a mask."""
    return config.model_type.startswith("siglip")


def shared_width(model: Any) -> int:
    """D, the width of the space of a whole model: found by embedding one token, as each kind names it differently."""
    token = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    with torch.no_grad():
        return model.get_text_features(input_ids=token).pooler_output.shape[-1]
