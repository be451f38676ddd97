"""The fingerprint of a model: what a universe remembers of the model that made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from vector_universe.models.configuration import DualEncoderConfig

# Set by the software and the place that a model was loaded from: they say nothing about its vectors.
_CIRCUMSTANCES = ("transformers_version", "architectures", "dtype", "_name_or_path")


def fingerprint_of(config: DualEncoderConfig, tokenizer: PreTrainedTokenizerBase | None,
                   weights: Mapping[str, Tensor]) -> str:
    """16 hexadecimal digits of a hash of config, vocabulary and weights.

    A fusion head and post-processing count if their weights are among `weights`.
    """
    settings = {key: value for key, value in config.to_dict().items() if key not in _CIRCUMSTANCES}
    if not any(name.startswith("fusion.") for name in weights):
        del settings["fusion"]  # without a head: the fingerprint of a model from before there were any
    if not any(name.startswith("post_processing.") for name in weights):
        del settings["post_processing"]  # likewise
    if not settings["image_exact"]:
        del settings["image_exact"]  # likewise
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    if tokenizer is not None:
        digest.update(repr(sorted(tokenizer.get_vocab().items())).encode())
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
