"""Recipes: functions that return the settings of a ready run; every setting can be changed afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vector_universe.errors import UserError
from vector_universe.training.config import TrainConfig


def scratch(model: str | None = None) -> TrainConfig:
    """New, small towers by InfoNCE: for 100 to 20,000 pictures on a laptop."""
    _refuse(model, "scratch")
    return TrainConfig()


def lora(model: str | None = None) -> TrainConfig:
    """A pretrained model by LoRA on both towers, with the objective that it was trained by."""
    return TrainConfig(model=_needed(model, "lora"), word_dropout=0.0, warmup=0.05)


def locked_image(model: str | None = None) -> TrainConfig:
    """The image tower stays as it is, so an index stays valid; the text tower learns (LiT, Zhai et al. 2022)."""
    return TrainConfig(model=_needed(model, "locked_image"), adapt_image="frozen", word_dropout=0.0, warmup=0.05)


def alignment(model: str | None = None) -> TrainConfig:
    """Two views of image and text by alignment + anisotropy; 15 epochs to 5e-5, then a cosine, for a given model.

    New towers learn too little at that rate and take the usual one. Words left out and dropout make the second view of
    a text. The full log-sum-exp form is the default: the mean, its bound, collapses with a low positive weight.
    """
    shared = TrainConfig(model=model, objective="alignment", encoder_dropout=0.1)
    if model is None:
        return shared
    return TrainConfig(model=model, objective="alignment", encoder_dropout=0.1, epochs=15, learning_rate=5e-5)


def resnet_distilbert(model: str | None = None) -> TrainConfig:
    """ResNet-50 and DistilBERT with projection heads, three learning rates, and a rate that falls on a plateau."""
    _refuse(model, "resnet_distilbert")
    return TrainConfig(
        image_tower="microsoft/resnet-50", text_tower="distilbert-base-uncased", projection="mlp",
        projection_dropout=0.1, embedding_width=256, max_text_tokens=200, batch_size=32, word_dropout=0.0,
        learning_rate=1e-3, learning_rate_image=1e-4, learning_rate_text=1e-5, weight_decay=1e-3, schedule="plateau",
        warmup=0.0, plateau_patience=1, plateau_factor=0.8)


def fusion(model: str | None = None) -> TrainConfig:
    """Image, title and burnt-in text fused into one vector whose kernel scores predict the labels."""
    if model is None:
        return TrainConfig(objective="fusion")
    return TrainConfig(model=model, objective="fusion", word_dropout=0.0, warmup=0.05)


RECIPES: dict[str, Callable[[str | None], TrainConfig]] = {
    recipe.__name__: recipe for recipe in (scratch, lora, alignment, resnet_distilbert, fusion, locked_image)}


def recipe(name: str | None = None, model: str | None = None) -> TrainConfig:
    """The settings of a recipe by name; without one, lora for a given model and scratch for none.

    Raises:
        UserError: there is no such recipe, or it needs or refuses a model.
    """
    name = name or ("lora" if model else "scratch")
    if name not in RECIPES:
        raise UserError(f"there is no recipe {name!r}: choose one of {', '.join(RECIPES)}")
    return replace(RECIPES[name](model), recipe=name)


def _needed(model: str | None, recipe: str) -> str:
    if model is None:
        raise UserError(f"the recipe {recipe} adapts a given model: give --model")
    return model


def _refuse(model: str | None, recipe: str) -> None:
    if model is not None:
        raise UserError(f"the recipe {recipe} makes a new model: leave --model out, or take the recipe lora")
