"""Precision: the arithmetic of the towers, bf16 where the hardware multiplies it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal

import torch
from transformers import PreTrainedModel

Precision = Literal["auto", "fp32", "bf16"]


def use_bf16(precision: Precision = "auto", device: torch.device | str | None = None) -> bool:
    """Whether matrix products are to be taken in bf16 (with sums, norms and losses in fp32).

    Args:
        precision: "auto" is bf16 where the hardware multiplies it: emulated, it is slower than fp32. The others mean
            what they say.
        device: where the model is; by itself the GPU where there is one, as in training.
    """
    if precision != "auto":
        return precision == "bf16"
    kind = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "cpu" and _cpu_has_bf16()


def autocast(model: PreTrainedModel, precision: Precision = "auto") -> AbstractContextManager:
    """A context in which a model of float32 weights runs in this precision; others keep the type they were given."""
    if model.dtype == torch.float32 and use_bf16(precision, model.device):
        return torch.autocast(model.device.type, torch.bfloat16)
    return nullcontext()


def _cpu_has_bf16() -> bool:
    capabilities = torch.backends.cpu.get_cpu_capability()
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    return capabilities == "AVX512" and ("avx512_bf16" in flags or "amx_bf16" in flags)
