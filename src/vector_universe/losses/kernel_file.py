"""A kernel in a folder: kernel.json says which and with what settings, kernel.safetensors holds what it learned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vector_universe.errors import UserError
from vector_universe.folders import replace_text
from vector_universe.losses.feature_maps import LinearKernel, MLPKernel, RandomFeatureKernel, SoftmaxKernel

CONFIG, WEIGHTS = "kernel.json", "kernel.safetensors"
FORMAT = "vector_universe_kernel"
_KINDS: dict[str, type[nn.Module]] = {"softmax": SoftmaxKernel, "linear": LinearKernel,
                                      "random_features": RandomFeatureKernel, "mlp": MLPKernel}


@dataclass(frozen=True)
class StoredKernel:
    """What a folder holds: a new kernel of the stored kind and sizes, the objective's settings, and all weights."""

    kernel: nn.Module
    objective: dict[str, Any]
    tensors: dict[str, Tensor]


def write_kernel(folder: Path, kernel: nn.Module, objective: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Write both files, the one without which a folder holds no kernel last.

    Raises:
        ValueError: the kernel is not one of `feature_maps`.
        OSError: the folder cannot be written.
    """
    settings = _settings(kernel)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)  # never the settings of one kernel beside the weights of another
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, folder / WEIGHTS)
    replace_text(folder / CONFIG, json.dumps({"format": FORMAT, "kernel": settings, "objective": objective}, indent=2)
                 + "\n")


def read_kernel(folder: Path) -> StoredKernel:
    """Read both files; no pickle is involved.

    Raises:
        UserError: there is no kernel, or its files are damaged.
    """
    try:
        found = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            raise ValueError("another format")
        settings = dict(found["kernel"])
        kernel = _KINDS[settings.pop("kind")](**settings)
        tensors = load_file(folder / WEIGHTS)
        stored = StoredKernel(kernel, dict(found["objective"]), tensors)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise unreadable(folder, error) from error
    if damaged := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise unreadable(folder, ValueError(f"NaN or infinity in {damaged[0]}"))
    return stored


def unreadable(folder: Path, error: Exception) -> UserError:
    """The one line for a folder whose kernel cannot be used."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UserError(f"{folder} holds no kernel that can be read ({type(error).__name__}: "
                     f"{(reason.splitlines() or [''])[0]}): give the kernel/ of a run, or train it again")


def _settings(kernel: nn.Module) -> dict[str, Any]:
    """The kind and the arguments that make a kernel of these sizes; ω is stored, so that its seed does not matter."""
    if type(kernel) is SoftmaxKernel:
        return {"kind": "softmax", "temperature": kernel.temperature}
    if type(kernel) is LinearKernel:
        return {"kind": "linear", "width": kernel.width, "features": kernel.query_map.out_features,
                "temperature": kernel.temperature}
    if type(kernel) is RandomFeatureKernel:
        return {"kind": "random_features", "width": kernel.width, "features": len(kernel.omega_FD),
                "temperature": kernel.temperature}
    if type(kernel) is MLPKernel:
        return {"kind": "mlp", "width": kernel.width, "features": kernel.query_map.output.out_features}
    raise ValueError(f"a {type(kernel).__name__} cannot be saved, only SoftmaxKernel, LinearKernel, "
                     "RandomFeatureKernel and MLPKernel: keep the state_dict() of one's own")
