"""`Predictor`: an image tower, and a head that says which text goes with a picture."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedTokenizerBase
from transformers import initialization as init

from vector_universe.errors import UserError
from vector_universe.models.fingerprint import fingerprint_of
from vector_universe.models.image_encoder import ImageEncoder
from vector_universe.models.initialise import initialise
from vector_universe.models.precision import autocast
from vector_universe.models.predictors.bag_of_words import BagOfWordsHead
from vector_universe.models.predictors.captioner import Caption, CaptionerHead
from vector_universe.models.predictors.configuration import PredictorConfig
from vector_universe.models.predictors.decoder import Decoder
from vector_universe.models.predictors.head import Head
from vector_universe.models.predictors.ngram import NgramHead
from vector_universe.models.predictors.output import ZeroLinear
from vector_universe.models.predictors.vocabulary import UNKNOWN_ID, word_ids
from vector_universe.models.pretrained import load_tokenizer
from vector_universe.models.source import HUB_ARGUMENTS, explained, read_config, refuse_misfit
from vector_universe.models.two_towers import build_image_tower

_HEADS: dict[str, type[Head]] = {"bag_of_words": BagOfWordsHead, "ngram": NgramHead,
                                "captioner": CaptionerHead}


class Predictor(ImageEncoder):
    """Predicts the text of a picture: the rivals that CLIP was measured against (Radford et al. 2021, section 2.3).

    The image tower is that of a `DualEncoder`. It embeds no texts; what it has to say of a text and a picture is the
    pointwise mutual information, log p(text | picture) - log p(text): how much more the picture speaks for the text
    than the texts' frequency alone. So a frequent word does not win by being frequent.

    Attributes:
        image_tower: pixels in, features out.
        head: features and texts in, log-probabilities out; one file for each kind.
        tokenizer: texts to ids of words, or of tokens for the captioner.
    """

    config: PredictorConfig
    config_class = PredictorConfig
    base_model_prefix = "predictor"

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__(config)
        config.check()
        self.image_tower, width = build_image_tower(config)
        config.embedding_width = width
        head = _HEADS[config.predicts]
        self.head = head(config, width, 1 if head.pooled else self._places())
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self.post_init()

    # ---- making, saving ----

    @classmethod
    def from_scratch(cls, texts: Sequence[str], config: PredictorConfig) -> Predictor:
        """A new model with random weights that knows the words of `texts`, and how frequent they are.

        Sets the sizes in `config`. Before any training all texts have the same score for all pictures.

        Raises:
            UserError: a setting is impossible, or the texts have fewer than two words to tell pictures apart by.
        """
        config.check()
        tokenizer, learned = _HEADS[config.predicts].learn(texts, config)
        model = cls(config)
        model.tokenizer = tokenizer
        model.head.start(*learned)
        return model

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike | None, *model_args: Any,
                        **kwargs: Any) -> Predictor:
        """Load a predictor with its vocabulary, in evaluation mode.

        Args:
            pretrained_model_name_or_path: a folder that `save_pretrained` wrote, or a name on the hub.
            model_args, kwargs: as of any `transformers` model.

        Raises:
            UserError: there is no such model, it is of another kind, or its files do not fit each other.
        """
        name = str(pretrained_model_name_or_path)
        hub = {key: kwargs.pop(key) for key in HUB_ARGUMENTS if key in kwargs}
        settings = read_config(name, hub)
        if settings["model_type"] != PredictorConfig.model_type:
            raise UserError(f"{name} is a {settings['model_type']!r}, which predicts no words: give what "
                            "`vu train --recipe bag_of_words`, `ngram` or `captioner` wrote")
        with explained(name):
            loaded: Any = super().from_pretrained(name, *model_args, **kwargs | hub | {
                "use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True})
            model, report = loaded
            model.tokenizer = load_tokenizer(name, hub)
        refuse_misfit(name, report)
        return model

    def save_pretrained(self, save_directory: str | PathLike, *args: Any, **kwargs: Any) -> None:
        """Save weights (safetensors), config and vocabulary, as `transformers` does."""
        super().save_pretrained(save_directory, *args, **kwargs)
        self._tokenizer().save_pretrained(save_directory)

    # ---- pictures ----

    def encode_images(self, pixel_values: Tensor) -> Tensor:
        """The image tower's pooled features of normalised pixels (B, 3, S, S), as unit rows (B, W)."""
        return F.normalize(self.image_tower(pixel_values.to(self.dtype)).float(), dim=-1)

    def features(self, pixel_values: Tensor) -> Tensor:
        """What the head reads of normalised pixels (B, 3, S, S): features (B, L, W).

        The captioner looks at all L places of the image tower's last map, the others at its pooled features, L = 1.
        """
        pixel_values = pixel_values.to(self.dtype)
        if self.head.pooled:
            return self.image_tower(pixel_values)[:, None]
        return self.image_tower.grid(pixel_values)

    @torch.inference_mode()
    def read_pixels(self, pixels: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """`features` of prepared pictures, uint8 (N, S, S, 3) RGB, as float32 (N, L, W): for `scores` and `caption`.

        Raises:
            UserError: the array has another shape or type.
        """
        self.check_pixels(pixels)
        with autocast(self):
            parts = [self.features(self.normalise_pixels(torch.tensor(pixels[start:start + batch_size])
                                                         .to(self.device))).float().cpu()
                     for start in range(0, len(pixels), batch_size)]
        return torch.cat(parts).numpy() if parts else np.empty((0, 1, self.config.embedding_width), np.float32)

    # ---- texts ----

    def targets(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """What `row_losses` reads of texts; row i of each tensor is of text i. Uses no weights: fit for a thread."""
        return self.head.targets(self._tokenizer(), texts)

    def row_losses(self, features_BLW: Tensor, *targets: Tensor) -> Tensor:
        """What it costs to predict text i from picture i, (B,), in nats; the mean is the objective.

        A bag of words costs the sum over the vocabulary; n-grams and captions cost the mean over words or tokens.
        """
        return self.head.losses(features_BLW, *targets)

    @torch.inference_mode()
    def scores(self, features_NLW: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """log p(text | picture) - log p(text) of every text for every picture: float32 (N, T), in nats.

        A text without any known word scores 0; see `unknown`.

        Args:
            features_NLW: from `read_pixels`.
            texts: such as the labels to choose from.
        """
        if not len(features_NLW) or not texts:
            return np.zeros((len(features_NLW), len(texts)), np.float32)
        targets = (tensor.to(self.device) for tensor in self.targets(texts))
        with autocast(self):
            return self.head.scores(torch.from_numpy(features_NLW).to(self.device), *targets).float().cpu().numpy()

    @torch.inference_mode()
    def caption(self, features_NLW: np.ndarray, beams: int = 4, max_tokens: int | None = None) -> list[list[Caption]]:
        """The likeliest texts for each picture, best first, at most `beams`.

        Args:
            features_NLW: from `read_pixels`.
            beams: how many beginnings are followed at a time; 1 is greedy search, the fastest.
            max_tokens: the longest text, its end included; by itself as long as the model reads.

        Raises:
            UserError: the model predicts no whole texts, or a number is not positive.
        """
        if not isinstance(self.head, CaptionerHead):
            raise UserError(f"this model predicts {self.config.predicts}, no whole texts: give what `vu train --recipe "
                            "captioner` wrote")
        longest = self.config.max_text_tokens
        for name, value in (("beams", beams), ("max_tokens", longest if max_tokens is None else max_tokens)):
            if value < 1:
                raise UserError(f"{name} is {value}: it must be at least 1")
        with autocast(self):
            found = self.head.decode(torch.from_numpy(features_NLW).to(self.device), beams,
                                     min(max_tokens or longest, longest))
        decode = self._tokenizer().decode
        return [[Caption(str(decode(text.tokens)).strip(), text.log_probability, len(text.tokens) + 1)
                 for text in texts] for texts in found]

    def unknown(self, texts: Sequence[str]) -> list[str]:
        """Those of the texts of which the model knows no word; all their scores are 0."""
        rows = word_ids(self._tokenizer(), texts)
        return [text for text, row in zip(texts, rows, strict=True) if all(number == UNKNOWN_ID for number in row)]

    def count_cut(self, texts: Sequence[str]) -> int:
        """How many of `texts` are longer than the model reads (`config.max_text_tokens`)."""
        return sum(len(row) > self.config.max_text_tokens for row in word_ids(self._tokenizer(), texts))

    # ---- what it is made of ----

    def fingerprint(self) -> str:
        """A hash of config, vocabulary and weights: two models with the same one give the same scores."""
        return fingerprint_of(self.config, self.tokenizer, self.state_dict())

    def _tokenizer(self) -> PreTrainedTokenizerBase:
        assert self.tokenizer is not None, "a predictor without vocabulary reads no texts"
        return self.tokenizer

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, ZeroLinear):
            init.zeros_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, Decoder):
            module.initialise()
        elif not isinstance(module, nn.Embedding):  # the decoder's
            initialise(module, self.config)

    @torch.no_grad()
    def _places(self) -> int:
        """L of the image tower's grid, which an `AutoModel` does not say otherwise."""
        size = self.config.image_size
        return self.image_tower.grid(torch.zeros(1, 3, size, size)).shape[1]


AutoConfig.register(PredictorConfig.model_type, PredictorConfig)  # lets AutoTokenizer read a folder of ours
