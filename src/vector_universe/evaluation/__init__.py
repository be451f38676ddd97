"""Vectors in, honest numbers out."""

from vector_universe.evaluation.label_ranking import LabelRanking, label_ranking
from vector_universe.evaluation.retrieval import Retrieval, retrieval
from vector_universe.evaluation.run import Evaluation, evaluate, prompts

__all__ = ["Evaluation", "LabelRanking", "Retrieval", "evaluate", "label_ranking", "prompts", "retrieval"]
