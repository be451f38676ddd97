"""The settings of a training run; `recipes` has ready ones."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from vector_universe.errors import UserError

IMAGES_SEEN = 54_000  # what `epochs=None` aims at
MIN_EPOCHS, MAX_EPOCHS = 8, 100
DEFAULT_BATCH = 128
OWN_IMAGE_TOWERS, OWN_TEXT_TOWERS = ("convnet", "vit"), ("bag_of_words", "transformer")
PREDICTIONS = ("bag_of_words", "ngram", "captioner")  # objectives that embed no texts
Adapt = Literal["auto", "frozen", "lora", "last_k", "full"]
LeaveOut = Literal["none", "same_labels", "any_label"]
# Settings that a given model has already, and those that only a given one takes.
FROM_SCRATCH = ("image_tower", "text_tower", "pretrained_towers", "projection", "projection_dropout", "image_size",
                "embedding_width", "max_text_tokens")
OF_A_MODEL = ("adapt_image", "adapt_text", "last_k", "lora_rank", "lora_alpha", "lora_dropout", "lora_targets",
              "retain", "wise_ft")
# Settings of text vectors, which a model that predicts words has none of.
OF_TEXT_VECTORS = ("text_tower", "projection", "projection_dropout", "embedding_width", "learning_rate_text",
                   "word_dropout", "encoder_dropout")
GENERATED_SIZES = (32, 64, 128)
# All that the training of a generator alone looks at.
OF_A_GENERATOR = ("recipe", "model", "objective", "generated_size", "epochs", "batch_size", "learning_rate", "ema",
                  "flip", "colour", "cache", "cache_gb", "tracker", "seed")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run. The defaults fit 100 to 20,000 pictures on two CPU cores, from scratch."""

    recipe: str | None = None
    """The ready run that these settings begin with: scratch, lora, locked_image, alignment, resnet_distilbert, fusion,
    bag_of_words, ngram, captioner, gan; on the command line by itself lora for a given model, else scratch."""

    # ---- the model ----
    model: str | None = None
    """The model to start from: a folder or hub name of a CLIP, a SigLIP or one of ours; by itself new towers."""
    image_tower: str = "convnet"
    """Image encoder of a new model: convnet (a compact residual network), vit (a small vision Transformer), or the
    folder or hub name of any vision model."""
    text_tower: str = "bag_of_words"
    """Text encoder of a new model: bag_of_words (the mean of word vectors), transformer (a small causal one), or the
    folder or hub name of any text model."""
    pretrained_towers: bool = True
    """Towers that are given by name start from their weights; without, from random ones."""
    projection: Literal["linear", "mlp"] = "linear"
    """From a tower to the shared space; mlp has two layers, for towers given by name."""
    projection_dropout: float = 0.0
    """Dropout in an mlp projection."""
    image_size: int | None = None
    """Side of the square picture in pixels; 64 for our own towers (a multiple of 16 up to 224), else the tower's."""
    embedding_width: int = 256
    """Width D of the shared space."""
    max_text_tokens: int | None = None
    """Longer texts are cut; by itself what the text tower can read."""

    # ---- what of a given model learns ----
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
    lora_targets: tuple[str, ...] = ()
    """Last names of the layers that get LoRA, such as q_proj; by itself query, key, value, output of attention."""

    # ---- the objective ----
    objective: Literal["auto", "info_nce", "sigmoid", "alignment", "fusion", "bag_of_words", "ngram", "captioner",
                       "gan"] = "auto"
    """What is asked of the embeddings: CLIP's InfoNCE, SigLIP's sigmoid, alignment + anisotropy over two views, or the
    labels of image and title fused; auto is sigmoid for a SigLIP, else InfoNCE. Or of the image alone, to predict its
    text: a bag_of_words, its n-grams, or the whole of it (captioner). Or to draw pictures from texts that the given
    model embeds (gan)."""
    soft_labels: float = 0.0
    """Share of InfoNCE's target that goes to texts with common labels (rare labels count more)."""
    leave_out: LeaveOut = "none"
    """Pairs of a batch that InfoNCE does not compare: none, those with the same labels, or with any label in common."""
    duplicates: Literal["identical", "near", "off"] = "identical"
    """Images that count as one, so that their texts are right for each other: files with the same content, nearly
    identical pictures too, or none."""
    anisotropy: Literal["mean", "log_sum_exp", "spectral"] = "log_sum_exp"
    """Second term of alignment; mean is known to collapse with a low positive weight."""
    positive_weight: float = 1.0
    """Weight of alignment's first term."""
    temperature: float = 0.05
    """Temperature of alignment, fixed."""
    fusion: Literal["concat", "gated", "bilinear"] = "gated"
    """How image, title and burnt-in text come together."""
    modality_dropout: float = 0.25
    """Fusion: probability with which an input of a training row is hidden; one always stays."""

    # ---- the generator ----
    generated_size: int = 32
    """Side of generated pictures in pixels: 32, 64 or 128."""
    generated_share: float | None = None
    """Generated pairs to a real one at the end of the run, rising from 0; 0 trains a generator beside the model that
    gives it nothing; by itself there is no generator."""
    generated_weight: float = 0.5
    """As how much of a real pair a generated one counts."""

    # ---- batches ----
    epochs: int | None = None
    """Passes over the training pictures; by itself about 54,000 pictures in all, within 8 to 100 passes."""
    batch_size: int | None = None
    """Pairs compared with each other in one step, or pictures whose text is predicted, over all processes; by itself
    128, or all pictures if fewer."""
    micro_batch: int | None = None
    """Pairs that are in memory at once; changes memory and time, not the result; by itself what fits."""

    batches: Literal["random", "apart"] = "random"
    """Which examples meet in a batch: any, or as few as possible that are copies, have equal texts or equal labels."""

    # ---- the optimiser ----
    learning_rate: float | None = None
    """Peak learning rate of AdamW; by itself 2e-3 from scratch, 1e-4 from a given model, 1e-5 where a tower is
    adapted in full or by last_k."""
    learning_rate_image: float | None = None
    """Of the image tower, without its projection; by itself the learning rate."""
    learning_rate_text: float | None = None
    """Of the text tower, without its projection; by itself the learning rate."""
    weight_decay: float = 0.05
    """Decoupled weight decay on matrices."""
    schedule: Literal["cosine", "plateau", "constant"] = "cosine"
    """After the warm-up: fall along a cosine, or whenever validation stops getting better, or stay."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises."""
    plateau_patience: int = 1
    """Plateau: epochs without a better validation loss before the rate falls."""
    plateau_factor: float = 0.8
    """Plateau: what the rate is then multiplied by."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.0
    """Decay of the moving average of the weights that is validated and kept, such as 0.999; 0 is off."""

    # ---- views ----
    image_views: Literal["auto", "none", "gentle", "square_crop", "resized_crop"] = "auto"
    """How a picture varies: not at all, a little zoom, shift and colour, CLIP's random square, or a random part; auto
    is the random square for a model that crops and gentle for others, none where a frozen part is read back."""
    flip: bool = False
    """Mirror half of the views; not for pictures that carry letters."""
    colour: float = 0.0
    """Largest relative change of brightness, contrast and saturation in a view."""
    blur: bool = False
    """Blur half of the views."""
    exact_decoding: bool = False
    """Decode every pixel of large pictures, which is slower and hardly differs; the model keeps to it ever after."""
    word_dropout: float = 0.1
    """Probability with which a word of a training text is left out."""
    encoder_dropout: float = 0.0
    """Dropout after each block that learns; makes two views of one text (SimCSE)."""
    decoder_dropout: float = 0.0
    """Dropout in the captioner's decoder."""
    views: int | None = None
    """Different views of each example; by itself new ones each epoch, but one where a frozen part is read back."""

    # ---- work done once ----
    cache: bool = True
    """Keep decoded pictures, and what frozen parts of a model make of them, in the run folder while it trains."""
    cache_gb: float = 8.0
    """Largest size of what is kept, in GB; beyond it work is done again."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the towers; auto is bf16 where the processor has it."""

    # ---- ending, keeping, watching ----
    early_stopping: int | None = None
    """Epochs without better validation after which training ends; by itself it goes to the end."""
    keep: Literal["last", "best"] = "last"
    """Which weights become the model: the last, or those with the best validation."""
    monitor_every: int = 10
    """Steps between two looks at the geometry of the embeddings, which warn of collapse."""
    zero_shot_points: int = 0
    """How often zero-shot classification of the test split is measured on the way, at places evenly spread on a log
    axis of pictures seen; `vu compare` draws it. See metrics.jsonl."""
    tracker: Literal["none", "tensorboard", "wandb"] = "none"
    """Where figures go besides the run folder; needs the extra 'track'."""
    retain: str | None = None
    """Data set for general skill: measured before and after, and weighed against the gain (WiSE-FT)."""
    wise_ft: float | None = None
    """Share of the trained weights in the model, the rest being the base's; by itself 1; see `retain`."""
    seed: int = 0
    """Every random choice of the run follows from it."""

    def check(self) -> None:
        """Refuse impossible values before any work.

        Raises:
            UserError: naming the setting, its value and what is possible.
        """
        for name, low in (("epochs", 1), ("batch_size", 2), ("micro_batch", 1), ("embedding_width", 1), ("last_k", 0),
                          ("lora_rank", 1), ("lora_alpha", 1), ("max_text_tokens", 1), ("plateau_patience", 0),
                          ("views", 1), ("cache_gb", 0), ("early_stopping", 1), ("monitor_every", 1),
                          ("zero_shot_points", 0)):
            value = getattr(self, name)
            if value is not None and not value >= low:
                raise UserError(f"{name} is {value}: it must be at least {low}")
        for name in ("learning_rate", "learning_rate_image", "learning_rate_text"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1:
                raise UserError(f"{name} is {value}: it must lie between 0 and 1")
        for name in ("warmup", "word_dropout", "lora_dropout", "projection_dropout", "encoder_dropout",
                     "decoder_dropout", "soft_labels", "modality_dropout", "ema", "colour", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: it must be at least 0 and below 1")
        for name in ("gradient_clip", "positive_weight", "temperature", "generated_weight"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} is {getattr(self, name)}: it must be above 0")
        if self.generated_share is not None and not 0 <= self.generated_share <= 1:
            raise UserError(f"generated_share is {self.generated_share}: it must lie between 0 and 1")
        if self.generated_share is not None and self.objective not in ("auto", "info_nce"):
            raise UserError(f"generated_share is {self.generated_share}: only the objective info_nce takes generated "
                            "pairs")
        if not 0 < self.plateau_factor < 1:
            raise UserError(f"plateau_factor is {self.plateau_factor}: it must lie between 0 and 1")
        if self.wise_ft is not None and not 0 <= self.wise_ft <= 1:
            raise UserError(f"wise_ft is {self.wise_ft}: it must lie between 0 and 1")
        self._check_towers()
        self._check_prediction()
        self._check_generator()
        if self.soft_labels and self.objective not in ("auto", "info_nce"):
            raise UserError(f"soft_labels is {self.soft_labels}: only the objective info_nce takes soft targets")
        if self.leave_out != "none" and self.objective not in ("auto", "info_nce"):
            raise UserError(f"leave_out is {self.leave_out}: only the objective info_nce leaves pairs out")
        if self.objective == "fusion" and (self.retain or self.wise_ft is not None):
            raise UserError("retain and wise_ft blend a model with its base, which has no fusion head: leave them out")

    def _check_towers(self) -> None:
        own = self.image_tower in OWN_IMAGE_TOWERS
        if own and self.image_size is not None and (self.image_size % 16 or not 64 <= self.image_size <= 224):
            raise UserError(f"image_size is {self.image_size}: choose a multiple of 16 between 64 and 224")
        given = self._changed(FROM_SCRATCH)
        if self.model is not None and given:
            raise UserError(f"{', '.join(given)}: the model {self.model} brings its own; leave them out")
        adapting = self._changed(OF_A_MODEL)
        if self.model is None and adapting:
            raise UserError(f"{', '.join(adapting)}: only a given model is adapted; give --model, or leave them out")
        if (self.adapt_image, self.adapt_text) == ("frozen", "frozen"):
            raise UserError("adapt_image and adapt_text are both frozen: nothing would learn; adapt one of them")

    def _check_prediction(self) -> None:
        if not self.predicts:
            return
        if self.model is not None:
            raise UserError(f"the objective {self.predicts} makes a new model, which predicts words: leave --model out")
        if given := self._changed(OF_TEXT_VECTORS):
            raise UserError(f"{', '.join(given)}: the objective {self.predicts} predicts words and embeds no texts; "
                            f"leave {'them' if len(given) > 1 else 'it'} out")

    def _check_generator(self) -> None:
        if self.generated_size not in GENERATED_SIZES:
            raise UserError(f"generated_size is {self.generated_size}: choose {', '.join(map(str, GENERATED_SIZES))}")
        if self.objective != "gan":
            return
        if self.model is None:
            raise UserError("the objective gan draws pictures from texts that a given model embeds: give --model, a "
                            "run of vu train on the same pictures")
        if given := self._changed(tuple(field.name for field in fields(self) if field.name not in OF_A_GENERATOR)):
            raise UserError(f"{', '.join(given)}: the objective gan trains a generator alone, and the model stays as "
                            f"it is; leave {'them' if len(given) > 1 else 'it'} out")

    def _changed(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if getattr(self, name) != getattr(TrainConfig, name)]

    @property
    def predicts(self) -> str | None:
        """What is predicted, where the objective is one of prediction: "bag_of_words", "ngram" or "captioner"."""
        return self.objective if self.objective in PREDICTIONS else None

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

    def batch_size_for(self, images: int, processes: int = 1) -> int:
        """`batch_size`, or 128 where there are as many images; a multiple of the number of processes.

        Raises:
            UserError: fewer images than `batch_size`, or than processes.
        """
        if self.batch_size is not None and self.batch_size > images:
            raise UserError(f"batch_size is {self.batch_size}, but there are {images} training images: give at most "
                            f"{images}, or leave it out")
        size = (self.batch_size or min(DEFAULT_BATCH, images)) // processes * processes
        if size < max(2, processes):
            raise UserError(f"{images} training images and batch_size {self.batch_size or 'by itself'} are too few "
                            f"for {processes} processes: each needs one pair a step")
        return size


def read_config(path: str | Path) -> TrainConfig:
    """The settings of an earlier run, from its folder or its config.json.

    Raises:
        UserError: there are none, or they are of another version.
    """
    file = Path(path) / "config.json" if Path(path).is_dir() else Path(path)
    try:
        stored: Any = json.loads(file.read_text(encoding="utf-8"))
        unknown = [name for name in stored if name not in {field.name for field in fields(TrainConfig)}]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{file} holds no settings that can be read ({type(error).__name__}): give a run folder or "
                        "its config.json") from None
    if unknown:
        raise UserError(f"{file} is of another version: it has {', '.join(unknown)}, which this one does not know")
    settings: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
                                for name, value in stored.items()}
    return TrainConfig(**settings)
