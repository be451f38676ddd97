"""Vectors in, honest numbers out."""

from vector_universe.evaluation.geometry import Geometry, geometry, gradient_shares
from vector_universe.evaluation.label_ranking import LabelRanking, label_ranking
from vector_universe.evaluation.retrieval import Retrieval, retrieval
from vector_universe.evaluation.run import Evaluation, evaluate, prompts
from vector_universe.evaluation.stored import store_evaluation

__all__ = ["Evaluation", "Geometry", "LabelRanking", "Retrieval", "evaluate", "geometry", "gradient_shares",
           "label_ranking", "prompts", "retrieval", "store_evaluation"]
