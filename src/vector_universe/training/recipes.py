"""Recipes: functions that return the settings of a ready run; every setting can be changed afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from vector_universe.errors import UserError
from vector_universe.training.config import TrainConfig

Prediction = Literal["bag_of_words", "ngram", "captioner"]


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


def bag_of_words(model: str | None = None) -> TrainConfig:
    """Which words stand in the text of a picture (Joulin et al. 2016): CLIP's first rival."""
    return _prediction(model, "bag_of_words")


def ngram(model: str | None = None) -> TrainConfig:
    """Which n-grams of one to five words stand there (Visual N-Grams, Li et al. 2017)."""
    return _prediction(model, "ngram")


def captioner(model: str | None = None) -> TrainConfig:
    """The whole text, token by token, by a Transformer that looks at the picture (VirTex, Desai & Johnson 2021)."""
    return _prediction(model, "captioner")


def gan(model: str | None = None) -> TrainConfig:
    """A generator that draws pictures from the texts of a given model, which stays as it is; see docs/generator.md."""
    if model is None:
        raise UserError("the recipe gan draws pictures from texts that a given model embeds: give --model, a run of vu "
                        "train on the same pictures")
    return TrainConfig(model=model, objective="gan", batch_size=32)


def gan_joint(model: str | None = None) -> TrainConfig:
    """Image and text encoders by InfoNCE on real pairs and, more and more, on those that a generator adds to them."""
    if model is None:
        return TrainConfig(generated_share=1.0)
    return TrainConfig(model=model, generated_share=1.0, word_dropout=0.0, warmup=0.05)


RECIPES: dict[str, Callable[[str | None], TrainConfig]] = {
    recipe.__name__: recipe for recipe in (scratch, lora, alignment, resnet_distilbert, fusion, locked_image,
                                           bag_of_words, ngram, captioner, gan, gan_joint)}


def recipe(name: str | None = None, model: str | None = None) -> TrainConfig:
    """The settings of a recipe by name; without one, lora for a given model and scratch for none.

    Raises:
        UserError: there is no such recipe, or it needs or refuses a model.
    """
    name = name or ("lora" if model else "scratch")
    if name not in RECIPES:
        raise UserError(f"there is no recipe {name!r}: choose one of {', '.join(RECIPES)}")
    return replace(RECIPES[name](model), recipe=name)


def _prediction(model: str | None, objective: Prediction) -> TrainConfig:
    if model is not None:
        raise UserError(f"the recipe {objective} makes a new model, which predicts words: leave --model out")
    return TrainConfig(objective=objective)


def _needed(model: str | None, recipe: str) -> str:
    if model is None:
        raise UserError(f"the recipe {recipe} adapts a given model: give --model")
    return model


def _refuse(model: str | None, recipe: str) -> None:
    if model is not None:
        raise UserError(f"the recipe {recipe} makes a new model: leave --model out, or take the recipe lora")
