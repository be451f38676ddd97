"""Where a run begins: the model that its settings name, new or given, and what of it learns."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PretrainedConfig, PreTrainedTokenizerBase

from vector_universe.errors import UserError
from vector_universe.models import Adaptation, DualEncoder, DualEncoderConfig
from vector_universe.models.adaptation import default_mode
from vector_universe.models.auto_towers import AutoImageTower
from vector_universe.models.predictors import Predictor, PredictorConfig
from vector_universe.models.pretrained import image_part, load_tokenizer, tower_config
from vector_universe.training.config import OWN_IMAGE_TOWERS, OWN_TEXT_TOWERS, TrainConfig

OWN_IMAGE_SIZE = 64


def new_model(config: TrainConfig, texts: Sequence[str]) -> DualEncoder:
    """A model of new towers, or of towers given by name, whose projections are random.

    Args:
        config: its `model` is None.
        texts: of the training pictures; a tokenizer is learned from them where a text tower has none.

    Raises:
        UserError: a tower is not found, or its files do not fit.
    """
    own = config.image_tower in OWN_IMAGE_TOWERS and config.text_tower in OWN_TEXT_TOWERS
    if own:
        shape = DualEncoderConfig(image_tower=config.image_tower, text_tower=config.text_tower,
                                  image_size=config.image_size or OWN_IMAGE_SIZE,
                                  embedding_width=config.embedding_width)
        shape.max_text_tokens = config.max_text_tokens or shape.max_text_tokens
        return DualEncoder.from_scratch(texts, shape)
    image: str | PretrainedConfig = config.image_tower
    text: str | PretrainedConfig = config.text_tower
    tokenizer = None
    if not config.pretrained_towers:
        if config.image_tower not in OWN_IMAGE_TOWERS:
            image = tower_config(config.image_tower)
        if config.text_tower not in OWN_TEXT_TOWERS:
            text, tokenizer = tower_config(config.text_tower), _tokenizer_beside(config.text_tower)
    size = config.image_size or (OWN_IMAGE_SIZE if config.image_tower in OWN_IMAGE_TOWERS else None)
    return DualEncoder.from_towers(
        image, text, projection=config.projection, width=config.embedding_width, dropout=config.projection_dropout,
        max_text_tokens=config.max_text_tokens, image_size=size, tokenizer=tokenizer, texts=texts)


def new_predictor(config: TrainConfig, texts: Sequence[str]) -> Predictor:
    """A model that predicts words, with an image tower as `new_model` makes it.

    Args:
        config: its objective is one of prediction.
        texts: of the training pictures; the words are learned from them.

    Raises:
        UserError: a tower is not found, or the texts have fewer than two words.
    """
    assert config.predicts is not None
    image: str | PretrainedConfig = config.image_tower
    if config.image_tower not in OWN_IMAGE_TOWERS and not config.pretrained_towers:
        image = tower_config(config.image_tower)
    settings, trained = image_part(image, config.image_size)
    shape = PredictorConfig(config.predicts, dropout=config.decoder_dropout, **settings)
    shape.max_text_tokens = config.max_text_tokens or shape.max_text_tokens
    model = Predictor.from_scratch(texts, shape)
    if trained is not None:
        assert isinstance(model.image_tower, AutoImageTower)
        model.image_tower.model.load_state_dict(trained.state_dict())
    return model


def adaptation_of(config: TrainConfig, model: DualEncoder) -> Adaptation:
    """What of a given model learns, `auto` decided."""
    image, text = (default_mode(model, side) if mode == "auto" else mode  # type: ignore[arg-type]
                   for side, mode in (("image", config.adapt_image), ("text", config.adapt_text)))
    return Adaptation(image, text, config.last_k, config.lora_rank, config.lora_alpha, config.lora_dropout,
                      config.lora_targets or None)


def _tokenizer_beside(name: str) -> PreTrainedTokenizerBase | None:
    """The tokenizer of a model; None where only its config is there, and one is learned from the texts."""
    try:
        return load_tokenizer(name, {})
    except (UserError, OSError, ValueError):
        return None
