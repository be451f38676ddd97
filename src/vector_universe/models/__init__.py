"""Encoders: images and texts in, vectors of one space out."""

from vector_universe.models.configuration import DualEncoderConfig
from vector_universe.models.dual_encoder import DualEncoder
from vector_universe.models.fusion import FusionHead, FusionHeadConfig
from vector_universe.models.load import load_run_model

__all__ = ["DualEncoder", "DualEncoderConfig", "FusionHead", "FusionHeadConfig", "load_run_model"]
