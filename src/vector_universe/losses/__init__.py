"""Objectives: embeddings in, one number to minimise out; no model and no data inside."""

from vector_universe.losses.alignment_anisotropy import AlignmentAnisotropy
from vector_universe.losses.base import LossOutput, Objective
from vector_universe.losses.feature_maps import LinearKernel, MLPKernel, RandomFeatureKernel, SoftmaxKernel
from vector_universe.losses.info_nce import InfoNCE
from vector_universe.losses.kernel_kl import KernelKL
from vector_universe.losses.label_sets import LabelSets
from vector_universe.losses.mining import hardest_negatives
from vector_universe.losses.sigmoid import Sigmoid
from vector_universe.losses.targets import inverse_document_frequency

__all__ = ["AlignmentAnisotropy", "InfoNCE", "KernelKL", "LabelSets", "LinearKernel", "LossOutput", "MLPKernel",
           "Objective", "RandomFeatureKernel", "Sigmoid", "SoftmaxKernel", "hardest_negatives",
           "inverse_document_frequency"]
