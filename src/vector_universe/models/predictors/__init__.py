"""Models that predict the words of a picture: a bag of words, n-grams, or a whole caption."""

from vector_universe.models.predictors.captioner import Caption
from vector_universe.models.predictors.configuration import PREDICTS, PredictorConfig
from vector_universe.models.predictors.predictor import Predictor

__all__ = ["PREDICTS", "Caption", "Predictor", "PredictorConfig"]
