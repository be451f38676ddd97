"""Dropout in encoders that have none: two passes of one text are then two views of it (SimCSE, Gao et al. 2021)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers.utils import ModelOutput

from vector_universe.errors import UserError
from vector_universe.models.dual_encoder import DualEncoder
from vector_universe.models.towers import Side


class EncoderDropout:
    """Dropout that `encoder_dropout` put into a model: until `remove`, or to the end of a `with`.

    Attributes:
        modules: names of the modules whose output it drops from.
    """

    def __init__(self, modules: list[str], handles: list[RemovableHandle]) -> None:
        self.modules = modules
        self._handles = handles

    def remove(self) -> None:
        """Leave the model as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def __enter__(self) -> EncoderDropout:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def encoder_dropout(model: DualEncoder, side: Side, probability: float) -> EncoderDropout:
    """Drop entries from the output of each block of one side that learns; where none does, from its features.

    It acts in training mode alone, and takes its random numbers from torch's generator: the same seed gives the same
    views. A Transformer block's output is the residual stream, so that the noise of all blocks adds up: pretrained
    towers, which were trained without, bear .05 to .1.

    Args:
        model: a model after `adapt`, if it is to be adapted: what learns decides where dropout goes.
        side: "image" or "text".
        probability: of an entry to become zero; the others are multiplied by 1 / (1 − probability). With 0 nothing
            is put in.

    Raises:
        UserError: the probability is impossible, or nothing of this side learns, so that dropout would be noise alone.
    """
    if not 0 <= probability < 1:
        raise UserError(f"the {side} dropout is {probability}: it must be at least 0 and below 1")
    names = _places(model, side) if probability else []

    def drop(module: nn.Module, _inputs: Any, output: Any) -> Any:
        return _dropped(output, probability) if module.training else output

    return EncoderDropout(names, [model.get_submodule(name).register_forward_hook(drop) for name in names])


def _places(model: DualEncoder, side: Side) -> list[str]:
    parts = model.parts(side)
    if learning := [name for name in parts.blocks if _learns(model.get_submodule(name))]:
        return learning
    tower, projections = model.towers.modules_of(side)
    names = [f"towers.{name}" for name in (tower, *projections)]
    if not any(_learns(model.get_submodule(name)) for name in names):
        raise UserError(f"nothing of the {side} side learns: dropout in it would be noise alone; set its dropout to 0, "
                        "or adapt it by lora, last_k or full")
    return names[-1:]  # what comes last gives the features


def _learns(module: nn.Module) -> bool:
    return any(weight.requires_grad for weight in module.parameters())


def _dropped(output: Any, probability: float) -> Any:
    """Of a block that returns several things the first is its hidden states; of a whole tower (SigLIP's) the pooled."""
    if isinstance(output, Tensor):
        return F.dropout(output, probability)
    if isinstance(output, ModelOutput):
        output["pooler_output"] = F.dropout(output["pooler_output"], probability)
        return output
    first, *rest = output
    return (F.dropout(first, probability), *rest)
