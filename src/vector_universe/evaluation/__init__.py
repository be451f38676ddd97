"""Vectors in, honest numbers out."""

from vector_universe.evaluation.retrieval import Retrieval, retrieval
from vector_universe.evaluation.run import Evaluation, evaluate, prompts

__all__ = ["Evaluation", "Retrieval", "evaluate", "prompts", "retrieval"]
