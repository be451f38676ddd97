"""The settings of a `DualEncoder` trained from scratch: two towers and the space that they share."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

IMAGE_TOWERS = ("convnet", "vit")
TEXT_TOWERS = ("bag_of_words", "transformer")


class DualEncoderConfig(PretrainedConfig):
    """Settings of both towers.

    Args:
        image_tower: "convnet" (compact residual network) or "vit" (small vision Transformer).
        image_size: side of the square input in pixels, 64 to 224, a multiple of 16.
        image_width: channels of the convnet's last stage, or the ViT's width; a multiple of 64.
        image_layers: residual blocks a stage (convnet), or Transformer layers (ViT).
        text_tower: "bag_of_words" (mean of token vectors, CLIP's CBOW) or "transformer" (causal, read at [EOS]).
        text_width: width of the token vectors.
        text_layers: Transformer layers; not used by the bag of words.
        vocab_size: number of tokens; set from the tokenizer.
        max_text_tokens: longer texts are cut.
        embedding_width: D, the width of the shared space.
        logit_scale_init: starting value of the learned exp(t) that multiplies cosines (CLIP: 1/0.07).
        image_mean, image_std: per-channel normalisation of pixels in [0, 1].
    """

    model_type = "vector_universe_dual_encoder"

    def __init__(self, image_tower: str = "convnet", image_size: int = 64, image_width: int = 192,
                 image_layers: int = 1, text_tower: str = "bag_of_words", text_width: int = 256, text_layers: int = 4,
                 vocab_size: int = 0, max_text_tokens: int = 64, embedding_width: int = 256,
                 logit_scale_init: float = 14.2857, image_mean: tuple[float, ...] = (0.5, 0.5, 0.5),
                 image_std: tuple[float, ...] = (0.25, 0.25, 0.25), **hugging_face: Any) -> None:
        self.image_tower = image_tower
        self.image_size = image_size
        self.image_width = image_width
        self.image_layers = image_layers
        self.text_tower = text_tower
        self.text_width = text_width
        self.text_layers = text_layers
        self.vocab_size = vocab_size
        self.max_text_tokens = max_text_tokens
        self.embedding_width = embedding_width
        self.logit_scale_init = logit_scale_init
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        super().__init__(**hugging_face)  # the base class's own settings, as transformers asks of every config
