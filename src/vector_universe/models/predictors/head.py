"""What the heads of a `Predictor` have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from vector_universe.models.predictors.configuration import PredictorConfig


class Head(nn.Module):
    """Features of pictures and targets of texts in, losses and scores out.

    Attributes:
        pooled: whether it reads the image tower's pooled features (L = 1), or those of each place.
    """

    pooled: bool

    @abstractmethod
    def __init__(self, config: PredictorConfig, width: int, places: int) -> None:
        """Weights for features of this width at so many places, L."""
        super().__init__()

    @staticmethod
    @abstractmethod
    def learn(texts: Sequence[str], config: PredictorConfig) -> tuple[PreTrainedTokenizerBase, tuple[Tensor, ...]]:
        """From the training texts the vocabulary, and the arguments of `start`; sets the config's sizes."""

    @abstractmethod
    def start(self, *learned: Tensor) -> None:
        """Take what was learned as prior, and as what a new model predicts."""

    @abstractmethod
    def targets(self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> tuple[Tensor, ...]:
        """What `losses` and `scores` read of texts, row i of text i; reads no weights."""

    @abstractmethod
    def losses(self, features_BLW: Tensor, *targets: Tensor) -> Tensor:
        """What text i costs with picture i: (B,), in nats."""

    @abstractmethod
    def scores(self, features_NLW: Tensor, *targets: Tensor) -> Tensor:
        """log p(text | picture) - log p(text) of every text for every picture: (N, T)."""
