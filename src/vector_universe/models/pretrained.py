"""Put a `DualEncoder`'s parts together from pretrained models, or from configs for random weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Literal

import torch
from transformers import AutoModel, AutoTokenizer, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from vector_universe.data.framing import Framing
from vector_universe.errors import UserError
from vector_universe.models import auto_towers
from vector_universe.models.configuration import AUTO, OWN_IMAGE_TOWERS, OWN_TEXT_TOWERS, DualEncoderConfig
from vector_universe.models.preprocessing import framing_by_kind, framing_from_processor
from vector_universe.models.source import explained, read_config, read_json, refuse_misfit
from vector_universe.models.tokenizer import train_tokenizer
from vector_universe.models.towers import Towers
from vector_universe.models.two_towers import TwoTowers
from vector_universe.models.whole import WholeModel, is_siglip, refuse_unless_dual, shared_width, whole_model

Source = str | PathLike | PretrainedConfig
DEFAULT_TEXT_TOKENS = 77
_UNLIMITED = 10_000  # tokenizers without a limit say 1e30


@dataclass(frozen=True)
class Parts:
    """What a `DualEncoder` is made of."""

    config: DualEncoderConfig
    towers: Towers
    tokenizer: PreTrainedTokenizerBase | None


def build_towers(config: DualEncoderConfig) -> Towers:
    """The towers of a config, with random weights."""
    if config.pretrained_config is not None:
        return WholeModel(whole_model(auto_towers.config_of(config.pretrained_config)))
    return TwoTowers(config)


def load_whole(name: str | PathLike, settings: dict, hub: dict[str, Any], model_arguments: dict[str, Any]) -> Parts:
    """A pretrained CLIP, SigLIP or one like them, with its tokenizer and its preparation of pictures.

    Raises:
        UserError: it is of another kind, or its files do not fit each other.
    """
    config = auto_towers.config_of(settings)
    refuse_unless_dual(config, str(name))
    model = _load(AutoModel, name, hub, model_arguments)
    with explained(name):
        tokenizer = load_tokenizer(name, hub)
        text_config = config.text_config
        _refuse_foreign_tokens(name, tokenizer, text_config)
        framing = _framing(name, hub) or framing_by_kind(config.model_type, config.vision_config.image_size)
        limit = min(_limit(tokenizer), auto_towers.text_positions(text_config) or _UNLIMITED)
        return Parts(DualEncoderConfig(
            pretrained_config=plain(model.config), max_text_tokens=limit, pad_texts_to_max=is_siglip(config),
            embedding_width=shared_width(model), **_framing_settings(framing)), WholeModel(model), tokenizer)


def join_towers(image: Source, text: Source, *, projection: Literal["linear", "mlp"], width: int, dropout: float,
                max_text_tokens: int | None, text_pooling: str, image_size: int | None,
                tokenizer: PreTrainedTokenizerBase | None, texts: Sequence[str] | None) -> Parts:
    """Two towers, pretrained (by name or folder), of a config, or our own by name; see `DualEncoder.from_towers`."""
    settings: dict[str, Any] = {"projection": projection, "projection_dropout": dropout, "embedding_width": width}
    text_model = None
    of_image, image_model = image_part(image, image_size)
    if isinstance(text, str) and text in OWN_TEXT_TOWERS:
        limit = max_text_tokens or 64
        tokenizer = tokenizer or _learned(texts, limit, text)
        settings |= {"text_tower": text, "vocab_size": len(tokenizer)}
    else:
        if isinstance(text, PretrainedConfig):
            if not hasattr(getattr(text, "text_config", text), "vocab_size"):
                raise UserError(f"a {text.model_type!r} cannot be a text tower: it has no vocabulary")
            tokenizer = tokenizer or _learned(texts, max_text_tokens or DEFAULT_TEXT_TOKENS, text.model_type)
            text_model = auto_towers.random_model(_with_vocabulary(text, tokenizer))
        else:
            text_model, found = _text_tower(text)
            tokenizer = tokenizer or found
            _refuse_foreign_tokens(text, tokenizer, text_model.config)
            text_pooling = _declared_pooling(text) if text_pooling == "auto" else text_pooling
        positions = auto_towers.text_positions(text_model.config) or _UNLIMITED
        limit = min(max_text_tokens or _limit(tokenizer), positions)
        settings |= {"text_tower": AUTO, "text_tower_config": plain(text_model.config),
                     "pad_texts_to_max": is_siglip(text_model.config),
                     "text_pooling": auto_towers.pooling_rule(text_model.config)
                     if text_pooling == "auto" else text_pooling}
    config = DualEncoderConfig(max_text_tokens=limit, **settings, **of_image)
    config.check()
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Parts(config, TwoTowers(config, image_model, text_model), tokenizer)


def image_part(image: Source, image_size: int | None) -> tuple[dict[str, Any], PreTrainedModel | None]:
    """What a config says of an image tower and its pictures, and the tower's model; None for one of our own.

    Raises:
        UserError: there is no such model, or it is of no known kind.
    """
    if isinstance(image, str) and image in OWN_IMAGE_TOWERS:
        return {"image_tower": image, **_framing_settings(Framing(image_size or 64))}, None
    model, framing = _image_tower(image, image_size)
    return {"image_tower": AUTO, "image_tower_config": plain(model.config),
            "freeze_batch_norm": not isinstance(image, PretrainedConfig), **_framing_settings(framing)}, model


def load_tokenizer(name: str | PathLike, hub: dict[str, Any]) -> PreTrainedTokenizerBase:
    """The tokenizer beside a model.

    Raises:
        UserError: it has no vocabulary: transformers makes an empty one where its files are missing.
    """
    tokenizer = AutoTokenizer.from_pretrained(str(name), **hub)
    if len(tokenizer) <= len(set(tokenizer.all_special_tokens)):
        raise UserError(f"the model in {name} cannot be loaded: its tokenizer's files are missing (tokenizer.json, or "
                        "a vocabulary); fetch the whole model again")
    return tokenizer


def tower_config(name: str | PathLike) -> PretrainedConfig:
    """The config of a model, without its weights.

    Raises:
        UserError: there is no such model, or transformers does not know its kind.
    """
    return auto_towers.config_of(read_config(name, {}))


def plain(config: PretrainedConfig) -> dict:
    """A config as JSON would give it back, without what says nothing about the model."""
    settings = json.loads(json.dumps(config.to_dict()))
    for level in (settings, *(value for value in settings.values() if isinstance(value, dict))):
        for key in ("_name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype"):
            level.pop(key, None)
    return settings


def _load(loader: type, name: str | PathLike, hub: dict[str, Any], model_arguments: dict[str, Any] | None = None,
          may_have_more: bool = False) -> PreTrainedModel:
    with explained(name):
        model, report = loader.from_pretrained(  # type: ignore[attr-defined]
            str(name), **{"dtype": torch.float32} | (model_arguments or {}) | hub
            | {"use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True})
    refuse_misfit(name, report, may_miss=("pooler.dense",), may_have_more=may_have_more)
    return model


def _image_tower(source: Source, size: int | None) -> tuple[PreTrainedModel, Framing]:
    hub: dict[str, Any] = {}
    framing = None
    if isinstance(source, PretrainedConfig):
        model = auto_towers.random_model(getattr(source, "vision_config", source))
    else:
        read_config(source, hub)
        model = _load(AutoModel, source, hub, may_have_more=True)
        framing = _framing(source, hub)
        model = getattr(model, "vision_model", model)  # of a CLIP, its image tower
    trained_at = getattr(model.config, "image_size", None)
    framing = framing or framing_by_kind(model.config.model_type, trained_at if isinstance(trained_at, int) else None)
    return model, framing.resized(size) if size else framing


def _text_tower(source: str | PathLike) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    hub: dict[str, Any] = {}
    config = auto_towers.config_of(read_config(source, hub))
    whole = hasattr(config, "text_config") and hasattr(config, "vision_config")
    model = _load(AutoModel if whole else auto_towers.loader_of(config), source, hub, may_have_more=True)
    with explained(source):
        return getattr(model, "text_model", model) if whole else model, load_tokenizer(source, hub)


def _declared_pooling(source: str | PathLike) -> str:
    """What sentence-transformers writes beside its models; "auto" where it says nothing."""
    settings = read_json(source, "1_Pooling/config.json", {})
    for key, pooling in (("pooling_mode_mean_tokens", "mean"), ("pooling_mode_cls_token", "cls"),
                         ("pooling_mode_lasttoken", "eos")):
        if settings.get(key):
            return pooling
    return "auto"


def _learned(texts: Sequence[str] | None, max_tokens: int, what: str) -> PreTrainedTokenizerBase:
    if texts is None:
        raise UserError(f"the text tower {what!r} brings no tokenizer: give `tokenizer`, or `texts` to learn one from")
    return train_tokenizer(texts, max_tokens)


def _with_vocabulary(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """A copy of a text config with the tokenizer's vocabulary: nothing was learned that another one would spoil."""
    config = type(config).from_dict(getattr(config, "text_config", config).to_dict()
                                    if hasattr(config, "vision_config") else config.to_dict())
    config.vocab_size = len(tokenizer)
    for name in ("bos", "eos", "pad"):
        setattr(config, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id"))
    return config


def _framing(name: str | PathLike, hub: dict[str, Any]) -> Framing | None:
    settings = (read_json(name, "preprocessor_config.json", hub)
                or read_json(name, "processor_config.json", hub).get("image_processor"))
    return framing_from_processor(settings) if settings else None


def _framing_settings(framing: Framing) -> dict[str, Any]:
    return {"image_size": framing.size, "image_fit": framing.fit, "image_shortest_edge": framing.shortest_edge,
            "image_resampling": framing.resampling, "image_mean": framing.mean, "image_std": framing.std,
            "image_exact": framing.exact}


def _refuse_foreign_tokens(name: str | PathLike, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    if len(tokenizer) > config.vocab_size:
        raise UserError(f"the model in {name} cannot be loaded: its tokenizer has {len(tokenizer)} tokens and its text "
                        f"tower {config.vocab_size}; fetch both again from one place")


def _limit(tokenizer: PreTrainedTokenizerBase) -> int:
    return tokenizer.model_max_length if tokenizer.model_max_length < _UNLIMITED else _UNLIMITED
