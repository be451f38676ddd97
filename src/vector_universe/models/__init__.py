"""Encoders: images and texts in, vectors of one space out."""

from vector_universe.models.adaptation import Adaptation, adapt, merge
from vector_universe.models.adapter_file import load_adapter, save_adapter
from vector_universe.models.configuration import DualEncoderConfig
from vector_universe.models.dual_encoder import DualEncoder
from vector_universe.models.fusion import FusionHead, FusionHeadConfig
from vector_universe.models.load import load_any_model, load_captioner, load_run_model

__all__ = ["Adaptation", "DualEncoder", "DualEncoderConfig", "FusionHead", "FusionHeadConfig", "adapt", "load_adapter",
           "load_any_model", "load_captioner", "load_run_model", "merge", "save_adapter"]
