"""The settings of a `DualEncoder`: what embeds images, what embeds texts, and how both are prepared."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from vector_universe.data.framing import Fit, Framing
from vector_universe.data.resize import RESAMPLING
from vector_universe.errors import UserError

OWN_IMAGE_TOWERS = ("convnet", "vit")
OWN_TEXT_TOWERS = ("bag_of_words", "transformer")
FUSION_SETTINGS = ("kind", "hidden_width", "rank")
POST_PROCESSING_SETTINGS = ("kind",)
AUTO = "auto"  # a tower that is any `AutoModel`, built from its own config


class DualEncoderConfig(PretrainedConfig):
    """Settings of a `DualEncoder`; people rarely write one, the constructors of `DualEncoder` do.

    Args:
        pretrained_config: config, as a dict, of a whole model with both towers in it (CLIP, SigLIP, Chinese-CLIP,
            AltCLIP); the settings of single towers below then do not count.
        image_tower: "convnet" (compact residual network), "vit" (small vision Transformer), or "auto".
        image_tower_config: with "auto", the config of any vision `AutoModel`, as a dict.
        image_size: side of the square input in pixels; for our own towers 64 to 224, a multiple of 16.
        image_width: channels of the convnet's last stage, or the ViT's width; a multiple of 64.
        image_layers: residual blocks a stage (convnet), or Transformer layers (ViT).
        text_tower: "bag_of_words" (mean of token vectors, CLIP's CBOW), "transformer" (causal, read at [EOS]), or
            "auto".
        text_tower_config: with "auto", the config of any text `AutoModel`, as a dict.
        text_pooling: with "auto", what stands for a text: "cls", "mean", "eos" (last token), or "own" (the model's).
        text_width: width of the token vectors.
        text_layers: Transformer layers; not used by the bag of words.
        vocab_size: number of tokens of our own towers; set from the tokenizer.
        max_text_tokens: longer texts are cut.
        pad_texts_to_max: every text is padded to `max_text_tokens`, as SigLIP was trained.
        projection: from a tower to the shared space, "linear" (CLIP) or "mlp" (two layers, residual, normalised).
        projection_dropout: in the "mlp" projection.
        embedding_width: D, the width of the shared space.
        freeze_batch_norm: leave the statistics of batch norms as they are (pretrained ResNets), so that in training
            too an embedding depends on nothing but its own input.
        logit_scale_init: starting value of the learned exp(t) that multiplies cosines (CLIP: 1/0.07).
        image_fit, image_shortest_edge, image_resampling, image_mean, image_std, image_exact: see `Framing`.
        fusion: kind, hidden_width and rank of the `FusionHead` that the model carries; None without one.
        post_processing: kind of the `PostProcessing` that the model carries; None without one.
    """

    model_type = "vector_universe_dual_encoder"

    def __init__(self, pretrained_config: dict | None = None, image_tower: str = "convnet",
                 image_tower_config: dict | None = None, image_size: int = 64, image_width: int = 192,
                 image_layers: int = 1, text_tower: str = "bag_of_words", text_tower_config: dict | None = None,
                 text_pooling: str = "own", text_width: int = 256, text_layers: int = 4, vocab_size: int = 0,
                 max_text_tokens: int = 64, pad_texts_to_max: bool = False, projection: str = "linear",
                 projection_dropout: float = 0.0, embedding_width: int = 256, freeze_batch_norm: bool = False,
                 logit_scale_init: float = 14.2857, image_fit: Fit = "pad", image_shortest_edge: int | None = None,
                 image_resampling: str = "bicubic", image_mean: tuple[float, ...] = (0.5, 0.5, 0.5),
                 image_std: tuple[float, ...] = (0.25, 0.25, 0.25), image_exact: bool = False,
                 fusion: dict | None = None, post_processing: dict | None = None, **hugging_face: Any) -> None:
        self.pretrained_config = pretrained_config
        self.image_tower = image_tower
        self.image_tower_config = image_tower_config
        self.image_size = image_size
        self.image_width = image_width
        self.image_layers = image_layers
        self.text_tower = text_tower
        self.text_tower_config = text_tower_config
        self.text_pooling = text_pooling
        self.text_width = text_width
        self.text_layers = text_layers
        self.vocab_size = vocab_size
        self.max_text_tokens = max_text_tokens
        self.pad_texts_to_max = pad_texts_to_max
        self.projection = projection
        self.projection_dropout = projection_dropout
        self.embedding_width = embedding_width
        self.freeze_batch_norm = freeze_batch_norm
        self.logit_scale_init = logit_scale_init
        self.image_fit = image_fit
        self.image_shortest_edge = image_shortest_edge
        self.image_resampling = image_resampling
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        self.image_exact = image_exact
        self.fusion = fusion
        self.post_processing = post_processing
        super().__init__(**hugging_face)  # the base class's own settings, as transformers asks of every config

    @property
    def framing(self) -> Framing:
        """How pictures are prepared."""
        return Framing(self.image_size, self.image_fit, self.image_shortest_edge, self.image_resampling,
                       tuple(self.image_mean), tuple(self.image_std), self.image_exact)

    def check(self) -> None:
        """Refuse impossible settings.

        Raises:
            UserError: naming the setting, its value and what is possible.
        """
        choices = {"image_fit": ("pad", "crop", "stretch"), "image_resampling": tuple(RESAMPLING)}
        if self.pretrained_config is None:
            choices |= {"image_tower": (*OWN_IMAGE_TOWERS, AUTO), "text_tower": (*OWN_TEXT_TOWERS, AUTO),
                        "text_pooling": ("own", "cls", "mean", "eos"), "projection": ("linear", "mlp")}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise UserError(f"{name} is {getattr(self, name)!r}: choose one of {', '.join(allowed)}")
        if self.fusion is not None and set(self.fusion) != set(FUSION_SETTINGS):
            raise UserError(f"fusion has {', '.join(sorted(self.fusion)) or 'no settings'}: give "
                            f"{', '.join(FUSION_SETTINGS)}, or None for no fusion head")
        if self.post_processing is not None and set(self.post_processing) != set(POST_PROCESSING_SETTINGS):
            raise UserError(f"post_processing has {', '.join(sorted(self.post_processing)) or 'no settings'}: give "
                            f"{', '.join(POST_PROCESSING_SETTINGS)}, or None for none")
        own_tower = self.pretrained_config is None and self.image_tower in OWN_IMAGE_TOWERS
        if own_tower and (self.image_size % 16 or not 64 <= self.image_size <= 224):
            raise UserError(f"image_size is {self.image_size}: choose a multiple of 16 between 64 and 224")
