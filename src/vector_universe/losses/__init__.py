"""Objectives: embeddings in, one number to minimise out; no model and no data inside."""

from vector_universe.losses.base import LossOutput
from vector_universe.losses.info_nce import InfoNCE

__all__ = ["InfoNCE", "LossOutput"]
