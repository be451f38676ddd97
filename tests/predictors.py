"""Small predictors of words for tests."""

from __future__ import annotations

import torch

from vector_universe.models.predictors import Predictor, PredictorConfig

TEXTS = ["a red circle", "a blue circle", "a red square!", "A big RED square", "ein roter Kreis", "빨간 원", "", "🙂"]


def make(predicts="bag_of_words", texts=TEXTS, **settings):
    torch.manual_seed(0)
    return Predictor.from_scratch(texts, PredictorConfig(**{
        "predicts": predicts, "image_width": 64, "text_width": 64, "text_layers": 2} | settings)).eval()


def shaken(model):
    """The model with weights as after a training that learned nothing of use."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter) / parameter.shape[-1] ** 0.5
    return model
