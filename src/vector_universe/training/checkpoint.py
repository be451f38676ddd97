"""A checkpoint: what learns and the optimiser's state in safetensors, put in place by one rename."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from vector_universe.errors import UserError
from vector_universe.models import DualEncoder
from vector_universe.models.adapter_file import learned_state

# The learning rate, the order of the data and every random draw are functions of the step: there is nothing else
# to keep.


def save_checkpoint(path: Path, model: DualEncoder, optimizer: torch.optim.Optimizer, epochs_done: int) -> None:
    """Write the state after `epochs_done` epochs; a kill at any moment leaves the old or the new file, never half."""
    tensors = {f"model.{name}": tensor for name, tensor in learned_state(model).items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    temporary = path.with_suffix(".partial")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary,
              metadata={"epochs_done": json.dumps(epochs_done), "base": _base(model)})
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    os.replace(temporary, path)


def load_checkpoint(path: Path, model: DualEncoder, optimizer: torch.optim.Optimizer) -> int:
    """Put the state of `path` into model and optimiser; returns the number of epochs that are done.

    Raises:
        UserError: the model that the run began from has changed since, or another version wrote the file.
    """
    weights: dict[str, torch.Tensor] = {}
    states: dict[int, dict[str, torch.Tensor]] = {}
    with safe_open(path, "pt") as stored:
        epochs_done = json.loads(stored.metadata()["epochs_done"])
        if stored.metadata().get("base", _base(model)) != _base(model):
            raise UserError(f"the model that {path.parent} began from has changed since: put the former one back, or "
                            "give --out a new folder")
        for key in stored.keys():  # noqa: SIM118 - not a dict
            room, name = key.split(".", 1)
            if room == "model":
                weights[name] = stored.get_tensor(key)
            else:
                index, name = name.split(".", 1)
                states.setdefault(int(index), {})[name] = stored.get_tensor(key)
    if weights.keys() != learned_state(model).keys():
        raise UserError(f"{path} was written by another version of vector-universe: go on with that one, or give "
                        "--out a new folder")
    model.load_state_dict(weights, strict=False)  # what does not learn is in the base
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return epochs_done


def _base(model: DualEncoder) -> str:
    return model.adapted.base_fingerprint if model.adapted else ""
