"""A checkpoint: what learns, the optimiser and where the run stands, in one safetensors file put in place by a rename.

The order of the data and every random draw are functions of seed, epoch and step: the place in the run is all that must
be kept of them. bf16 needs no loss scaler, so there is none to keep either.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from vector_universe.errors import UserError
from vector_universe.models import DualEncoder
from vector_universe.models.adapter_file import learned_state
from vector_universe.training.optimisation import WeightAverage, load_optimizer, optimizer_tensors
from vector_universe.training.tasks.task import Task


@dataclass
class Progress:
    """Where a run stands: everything that decides how it goes on, besides weights.

    Attributes:
        steps: that are done.
        micro_batch: rows in memory at once; a resumed run keeps it, as float sums depend on it.
        plateau: state of the schedule.
        best: of the best validation so far what `Task.standing` says; empty where there was none.
        bad_epochs: epochs since then.
    """

    steps: int = 0
    micro_batch: int = 0
    plateau: dict[str, float] = field(default_factory=dict)
    best: list[float] = field(default_factory=list)
    bad_epochs: int = 0


def save_checkpoint(path: Path, model: PreTrainedModel, task: Task, optimizer: torch.optim.Optimizer,
                    average: WeightAverage | None, progress: Progress) -> None:
    """Write the state; a kill at any moment, or a full disk, leaves the old or the new file, never half.

    Raises:
        OSError: the file cannot be written; the one before is untouched.
    """
    tensors = {f"model.{name}": tensor for name, tensor in learned_state(model).items()}
    tensors |= {f"task.{name}": tensor for name, tensor in task.state_dict().items()}
    tensors |= {f"beside.{name}": tensor for name, tensor in task.beside().items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(optimizer).items()}
    if average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in average.average.items()}
    write_tensors(path, tensors, {"progress": json.dumps(asdict(progress)), "base": _base(model)})


def load_checkpoint(path: Path, model: PreTrainedModel, task: Task, optimizer: torch.optim.Optimizer,
                    average: WeightAverage | None) -> Progress:
    """Put the state of `path` into model, task, optimiser and average; returns where the run stands.

    Raises:
        UserError: the model that the run began from has changed since, or another version wrote the file.
    """
    rooms: dict[str, dict[str, Tensor]] = {room: {} for room in ("model", "task", "beside", "optimizer",
                                                                 "average")}
    other_version = UserError(f"{path} was written by another version of vector-universe: go on with that one, or give "
                              "--out a new folder")
    try:
        with safe_open(path, "pt") as stored:
            notes = stored.metadata()
            for key in stored.keys():  # noqa: SIM118 - not a dict
                room, name = key.split(".", 1)
                rooms[room][name] = stored.get_tensor(key)
        progress = Progress(**json.loads(notes["progress"]))
        base = notes["base"]
    except (KeyError, TypeError, ValueError, SafetensorError):
        raise other_version from None
    if base != _base(model):
        raise UserError(f"the model that {path.parent} began from has changed since: put the former one back, or give "
                        "--out a new folder")
    if rooms["model"].keys() != learned_state(model).keys() or rooms["task"].keys() != task.state_dict().keys():
        raise other_version
    model.load_state_dict(rooms["model"], strict=False)  # what does not learn is in the base
    task.load_state_dict(rooms["task"])
    task.load_beside(rooms["beside"])
    load_optimizer(optimizer, rooms["optimizer"])
    if average is not None:
        average.load(rooms["average"])
    return progress


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: dict[str, str]) -> None:
    """Write a safetensors file beside its place, sync it, and rename it into place.

    Raises:
        OSError: the disk is full, or the folder read-only; what was at `path` is untouched.
    """
    partial = path.with_suffix(".partial")
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial, notes)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, f"{error.strerror or error}: what {path.parent} held before is intact, and the "
                          "same command goes on once there is room", str(path)) from None
        raise OSError(f"{path} could not be written ({error}): what {path.parent} held before is intact, and the same "
                      "command goes on once there is room") from None
    folder = os.open(path.parent, os.O_RDONLY)  # the rename itself must reach the disk
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _base(model: PreTrainedModel) -> str:
    return model.adapted.base_fingerprint if isinstance(model, DualEncoder) and model.adapted else ""
