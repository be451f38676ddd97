"""Where the model runs: on the GPU if PyTorch can use one; otherwise people are told why not."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from vector_universe.index import Universe

Model = TypeVar("Model")


def on_best_device(model: Model) -> Model:
    """The model, moved to the GPU where there is one that PyTorch can use."""
    import torch

    if isinstance(model, torch.nn.Module) and torch.cuda.is_available():
        torch.nn.Module.to(model, torch.device("cuda"))
    return model


def said_device() -> str:
    """One line for people: what the model runs on, and where that is the CPU, why."""
    import torch

    if torch.cuda.is_available():
        return f"the GPU {torch.cuda.get_device_name()}"
    cores = f"{torch.get_num_threads()} CPU thread{'s' if torch.get_num_threads() != 1 else ''}"
    has_gpu = os.path.exists("/dev/nvidia0") or shutil.which("nvidia-smi") is not None
    if torch.version.cuda is None and torch.version.hip is None:
        reason = "the GPU here is not used, as this PyTorch is built for CPUs alone: install one with CUDA, see " \
                 "https://pytorch.org/get-started" if has_gpu else "this PyTorch is built for CPUs alone"
    elif os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        reason = "CUDA_VISIBLE_DEVICES hides every GPU"
    else:
        reason = "PyTorch cannot use the GPU here: look at nvidia-smi and its driver" if has_gpu else "no GPU found"
    return f"{cores} ({reason})"


def warm_up(universe: Universe) -> None:
    """Load the model and run it once, so that nobody's first query is the slow one.

    Raises:
        UserError: the universe's copy of its model is missing or damaged.
    """
    from PIL import Image

    universe.model.embed_texts(["a picture"])
    universe.model.embed_images([Image.new("RGB", (64, 64))])
