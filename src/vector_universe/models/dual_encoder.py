"""`DualEncoder`: an image tower and a text tower that meet in one space."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers import initialization as init

from vector_universe.data.images import ImageSource, decode_image, square
from vector_universe.errors import UserError
from vector_universe.models.configuration import IMAGE_TOWERS, TEXT_TOWERS, DualEncoderConfig
from vector_universe.models.image_towers import ConvNet, VisionTransformer
from vector_universe.models.text_towers import BagOfWords, TextTransformer
from vector_universe.models.tokenizer import train_tokenizer


class DualEncoder(PreTrainedModel):
    """Two towers, a linear projection on each, and a learned temperature (CLIP, Radford et al. 2021).

    Embeddings are L2-normalised rows of width D = `config.embedding_width`. The model carries its own preprocessing
    (`config.image_size`, mean, std) and its tokenizer, and saves and loads as any `transformers` model does.

    Attributes:
        logit_scale: scalar parameter t; cosines are multiplied by exp(t), the inverse temperature.
        tokenizer: turns texts into token ids.
    """

    config_class = DualEncoderConfig
    base_model_prefix = "dual_encoder"
    main_input_name = "pixel_values"

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__(config)
        _check(config)
        image_tower = {"convnet": ConvNet, "vit": VisionTransformer}[config.image_tower](config)
        text_tower = {"bag_of_words": BagOfWords, "transformer": TextTransformer}[config.text_tower](config)
        self.image_tower, self.text_tower = image_tower, text_tower
        self.image_projection = nn.Linear(config.image_width, config.embedding_width, bias=False)
        self.text_projection = nn.Linear(config.text_width, config.embedding_width, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(config.logit_scale_init)))
        self.tokenizer: PreTrainedTokenizerFast | None = None
        self.post_init()

    @classmethod
    def from_scratch(cls, texts: Sequence[str], config: DualEncoderConfig) -> DualEncoder:
        """A new model with random weights whose tokenizer is learned from `texts`; sets `config.vocab_size`."""
        _check(config)
        tokenizer = train_tokenizer(texts, config.max_text_tokens)
        config.vocab_size = len(tokenizer)
        model = cls(config)
        model.tokenizer = tokenizer
        return model

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike | None, *model_args: Any,
                        **kwargs: Any) -> DualEncoder:
        """Load a model with its tokenizer, as `transformers` does; weights are read from safetensors only."""
        model = super().from_pretrained(pretrained_model_name_or_path, *model_args,
                                        **kwargs | {"use_safetensors": True})
        model.tokenizer = PreTrainedTokenizerFast.from_pretrained(str(pretrained_model_name_or_path))
        return model

    def save_pretrained(self, save_directory: str | PathLike, *args: Any, **kwargs: Any) -> None:
        """Save weights (safetensors), config and tokenizer, as `transformers` does."""
        super().save_pretrained(save_directory, *args, **kwargs)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(save_directory)

    def encode_images(self, pixel_values: Tensor) -> Tensor:
        """Embed normalised pixels (B, 3, S, S) as unit rows (B, D)."""
        return F.normalize(self.image_projection(self.image_tower(pixel_values)).float(), dim=-1)

    def encode_texts(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embed token ids (B, L) with their mask as unit rows (B, D)."""
        return F.normalize(self.text_projection(self.text_tower(input_ids, attention_mask)).float(), dim=-1)

    def forward(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embed a batch of pairs: unit rows (B, D) of the images and of the texts."""
        return self.encode_images(pixel_values), self.encode_texts(input_ids, attention_mask)

    def normalise_pixels(self, pixels: Tensor) -> Tensor:
        """uint8 (B, S, S, 3) → float (B, 3, S, S), by the model's own mean and standard deviation."""
        mean = torch.tensor(self.config.image_mean, device=pixels.device)
        std = torch.tensor(self.config.image_std, device=pixels.device)
        return ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask (B, L), padded to the longest text of the batch alone."""
        assert self.tokenizer is not None, "a DualEncoder without tokenizer embeds token ids only"
        batch = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        return batch["input_ids"].to(self.device), batch["attention_mask"].to(self.device)

    @torch.inference_mode()
    def embed_pixels(self, pixels: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Embed decoded pictures, uint8 (N, S, S, 3), as float32 unit rows (N, D)."""
        chunks = [self.encode_images(self.normalise_pixels(torch.from_numpy(pixels[i:i + batch_size]).to(self.device)))
                  for i in range(0, len(pixels), batch_size)]
        return self._stack(chunks)

    def embed_images(self, images: Sequence[ImageSource | Image.Image], batch_size: int = 256) -> np.ndarray:
        """Embed images (paths, encoded bytes or PIL) as float32 unit rows (N, D).

        Raises:
            ImageError: one of them cannot be decoded.
        """
        size = self.config.image_size
        rows = [np.asarray(square(image.convert("RGB") if isinstance(image, Image.Image) else
                                  decode_image(image, size), size)) for image in images]
        return self.embed_pixels(np.stack(rows) if rows else np.empty((0, size, size, 3), np.uint8), batch_size)

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str], batch_size: int = 1024) -> np.ndarray:
        """Embed texts as float32 unit rows (N, D)."""
        return self._stack([self.encode_texts(*self.tokenize(texts[i:i + batch_size]))
                            for i in range(0, len(texts), batch_size)])

    def fingerprint(self) -> str:
        """A hash of config, tokenizer and weights: two models with the same one give the same vectors."""
        settings = {key: value for key, value in self.config.to_dict().items()
                    if key not in ("transformers_version", "architectures", "dtype", "_name_or_path")}
        digest = hashlib.sha256(repr(sorted(settings.items())).encode())
        if self.tokenizer is not None:
            digest.update(repr(sorted(self.tokenizer.get_vocab().items())).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _stack(self, chunks: list[Tensor]) -> np.ndarray:
        if not chunks:
            return np.empty((0, self.config.embedding_width), np.float32)
        return torch.cat(chunks).float().cpu().numpy()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            init.normal_(module.weight, std=module.in_features ** -0.5)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=1.0 if self.config.text_tower == "bag_of_words" else 0.02)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, VisionTransformer | TextTransformer):
            init.normal_(module.positions, std=0.02)
        elif isinstance(module, DualEncoder):
            init.constant_(module.logit_scale, math.log(self.config.logit_scale_init))


def _check(config: DualEncoderConfig) -> None:
    for given, allowed, name in ((config.image_tower, IMAGE_TOWERS, "image_tower"),
                                 (config.text_tower, TEXT_TOWERS, "text_tower")):
        if given not in allowed:
            raise UserError(f"{name} is {given!r}: choose one of {', '.join(allowed)}")
    if config.image_size % 16 or not 64 <= config.image_size <= 224:
        raise UserError(f"image_size is {config.image_size}: choose a multiple of 16 between 64 and 224")
