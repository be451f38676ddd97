"""How many rows fit into memory at once, found by measuring what the graph of a few of them keeps."""

from __future__ import annotations

import os
from collections.abc import Mapping

import psutil
import torch
from torch import Tensor

from vector_universe.training.cached_gradients import Encoding

PROBE = 4  # rows
SHARE = 0.5  # of the free memory; the rest is for gradients, buffers of products, and neighbours on the machine


def fitting_micro_batch(encodings: Mapping[str, Encoding], parameters: list[torch.nn.Parameter],
                        free_bytes: int) -> int:
    """The most rows whose graph takes half of `free_bytes`, at least 1; no more than the largest encoding has.

    Args:
        encodings: of a batch; all of them are in memory at once where a batch is one part.
        parameters: whose own memory, and that of gradients and optimiser, is not counted.
        free_bytes: see `free_memory`.
    """
    largest = max(encoding.rows for encoding in encodings.values())
    learning = sum(parameter.numel() * parameter.element_size() for parameter in parameters if parameter.requires_grad)
    of_row = sum(_graph_bytes(encoding, parameters) for encoding in encodings.values())
    return max(1, min(largest, int(SHARE * (free_bytes - 3 * learning) / max(1.0, of_row))))


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device, or on this machine for each of its processes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _graph_bytes(encoding: Encoding, parameters: list[torch.nn.Parameter]) -> float:
    """Bytes a row that the backward pass needs kept."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    rows = min(PROBE, encoding.rows)
    prepared = encoding.prepare(slice(0, rows))
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = encoding.encode(prepared)  # while this lives, so does its graph, and addresses are not used twice
    return (sum(seen.values()) + kept.numel() * kept.element_size()) / rows
