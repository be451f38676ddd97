"""The settings of a `Predictor`."""

from __future__ import annotations

from typing import Any

from vector_universe.errors import UserError
from vector_universe.models.configuration import DualEncoderConfig

PREDICTS = ("bag_of_words", "ngram", "captioner")


class PredictorConfig(DualEncoderConfig):
    """Settings of a `Predictor`; those of pictures, the image tower and texts are as in `DualEncoderConfig`.

    Args:
        predicts: "bag_of_words" (which words), "ngram" (1- to n-grams with smoothing), or "captioner" (the text).
        min_count: how often a word must occur in the training texts to be known; None chooses by their number: 1 up to
            10,000 texts, 2 above. Longer n-grams must occur twice at least. The captioner knows every text.
        vocabulary_limit: the most words that are known, and the most longer n-grams.
        ngram_order: words of the longest n-gram.
        smoothing: λ of the n-grams' Jelinek–Mercer smoothing.
        dropout: in the captioner's decoder.
        dictionary_size: what is predicted: words, and n-grams; set from the training texts.
        text_width, text_layers: of the captioner's decoder.
        max_text_tokens: longer texts are cut: tokens of the captioner, words of the others.
        others: as in `DualEncoderConfig`; `embedding_width` is that of the image tower.
    """

    model_type = "vector_universe_predictor"

    def __init__(self, predicts: str = "bag_of_words", min_count: int | None = None, vocabulary_limit: int = 20_000,
                 ngram_order: int = 5, smoothing: float = 0.2, dropout: float = 0.1, text_layers: int = 2,
                 dictionary_size: int = 0, **others: Any) -> None:
        self.predicts = predicts
        self.min_count = min_count
        self.vocabulary_limit = vocabulary_limit
        self.ngram_order = ngram_order
        self.smoothing = smoothing
        self.dropout = dropout
        self.dictionary_size = dictionary_size
        super().__init__(text_layers=text_layers, **others)

    def check(self) -> None:
        """Refuse impossible settings.

        Raises:
            UserError: naming the setting, its value and what is possible.
        """
        super().check()
        if self.pretrained_config is not None:
            raise UserError("a predictor of words takes an image tower, not a whole pretrained model: choose "
                            "image_tower convnet, vit or auto")
        if self.predicts not in PREDICTS:
            raise UserError(f"predicts is {self.predicts!r}: choose one of {', '.join(PREDICTS)}")
        for name, low in (("min_count", 1), ("vocabulary_limit", 2), ("ngram_order", 1)):
            value = getattr(self, name)
            if value is not None and value < low:
                raise UserError(f"{name} is {value}: it must be at least {low}")
        if not 0 < self.smoothing < 1:
            raise UserError(f"smoothing is {self.smoothing}: it must be between 0 and 1")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout is {self.dropout}: it must be at least 0 and below 1")
