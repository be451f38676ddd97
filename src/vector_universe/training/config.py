"""The settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vector_universe.errors import UserError

IMAGES_SEEN = 54_000  # what `epochs=None` aims at
MIN_EPOCHS, MAX_EPOCHS = 8, 100
Adapt = Literal["auto", "frozen", "lora", "last_k", "full"]
FROM_SCRATCH = ("image_tower", "text_tower", "image_size", "embedding_width")  # settings that a given model has already
OF_A_MODEL = ("adapt_image", "adapt_text", "last_k", "lora_rank", "lora_alpha", "lora_dropout")  # only with a given one


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run. The defaults fit 100 to 20,000 pictures on two CPU cores, from scratch."""

    model: str | None = None
    """The model to start from: a folder or hub name of a CLIP, a SigLIP or one of ours; by itself new, small towers."""
    image_tower: Literal["convnet", "vit"] = "convnet"
    """Image encoder: a compact residual network, or a small vision Transformer."""
    text_tower: Literal["bag_of_words", "transformer"] = "bag_of_words"
    """Text encoder: the mean of word vectors, or a small causal Transformer."""
    image_size: int = 64
    """Side of the square picture in pixels, 64 to 224, a multiple of 16."""
    embedding_width: int = 256
    """Width D of the shared space."""
    adapt_image: Adapt = "auto"
    """What of a given model's image tower learns: nothing, LoRA, its last blocks, all; auto is LoRA where it can go."""
    adapt_text: Adapt = "auto"
    """What of its text tower learns."""
    last_k: int = 2
    """How many blocks learn in a tower that is adapted by last_k; 0 trains what follows them."""
    lora_rank: int = 16
    """Rank r of LoRA's matrices."""
    lora_alpha: int = 64
    """LoRA's updates are multiplied by alpha / r."""
    lora_dropout: float = 0.0
    """Dropout before LoRA's matrices."""
    epochs: int | None = None
    """Passes over the training pictures; by itself about 54,000 pictures in all, within 8 to 100 passes."""
    batch_size: int = 128
    """Pairs compared with each other in one step; at most the number of training pictures."""
    learning_rate: float | None = None
    """Peak learning rate of AdamW; by itself 2e-3 from scratch, 1e-4 from a given model, 1e-5 where a tower is
    adapted in full or by last_k."""
    weight_decay: float = 0.05
    """Decoupled weight decay on matrices."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises; then it falls along a cosine."""
    word_dropout: float = 0.1
    """Probability with which a word of a training text is left out."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the towers; auto is bf16 where the processor has it."""
    seed: int = 0
    """Every random choice of the run follows from it."""

    def check(self) -> None:
        """Refuse impossible values before any work.

        Raises:
            UserError: naming the setting, its value and what is possible.
        """
        for name, low in (("epochs", 1), ("batch_size", 2), ("embedding_width", 1), ("last_k", 0), ("lora_rank", 1),
                          ("lora_alpha", 1)):
            value = getattr(self, name)
            if value is not None and value < low:
                raise UserError(f"{name} is {value}: it must be at least {low}")
        if self.image_size % 16 or not 64 <= self.image_size <= 224:
            raise UserError(f"image_size is {self.image_size}: choose a multiple of 16 between 64 and 224")
        given = [name for name in FROM_SCRATCH if getattr(self, name) != getattr(TrainConfig, name)]
        if self.model is not None and given:
            raise UserError(f"{', '.join(given)}: the model {self.model} brings its own; leave them out")
        adapting = [name for name in OF_A_MODEL if getattr(self, name) != getattr(TrainConfig, name)]
        if self.model is None and adapting:
            raise UserError(f"{', '.join(adapting)}: only a given model is adapted; give --model, or leave them out")
        if (self.adapt_image, self.adapt_text) == ("frozen", "frozen"):
            raise UserError("adapt_image and adapt_text are both frozen: nothing would learn; adapt one of them")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise UserError(f"learning_rate is {self.learning_rate}: it must lie between 0 and 1")
        for name in ("warmup", "word_dropout", "lora_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: it must be at least 0 and below 1")

    @property
    def peak_learning_rate(self) -> float:
        """`learning_rate`, or what suits the start."""
        if self.learning_rate is None and self.model is None:
            return 2e-3
        whole_blocks = {"full", "last_k"} & {self.adapt_image, self.adapt_text}
        return self.learning_rate or (1e-5 if whole_blocks else 1e-4)

    def epochs_for(self, images: int) -> int:
        """`epochs`, or what the number of training images calls for."""
        return self.epochs or min(MAX_EPOCHS, max(MIN_EPOCHS, round(IMAGES_SEEN / max(1, images))))
