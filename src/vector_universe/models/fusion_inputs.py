"""What is fused: the vectors of an image, its title and the text burnt into it, any of which may be missing."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

INPUTS = ("image", "title", "ocr")
ROWS_AT_ONCE = 4096  # memory of fusing many is a few times this x D


def as_inputs(vectors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The arguments of `FusionHead.forward` for unit rows by input, of which those of zeros are missing."""
    return ({f"{name}_BD": rows_BD for name, rows_BD in vectors.items()}
            | {f"{name}_present_B": rows_BD.any(dim=1) for name, rows_BD in vectors.items()})


def check_arrays(arrays: dict[str, np.ndarray]) -> None:
    """At least one array by input, all (N, D).

    Raises:
        ValueError: naming the array that does not fit.
    """
    if not arrays:
        raise ValueError("give at least one of image_vectors_ND, title_vectors_ND and ocr_vectors_ND")
    first = next(iter(arrays))
    for name, array in arrays.items():
        if array.ndim != 2 or array.shape != arrays[first].shape:
            raise ValueError(f"{name}_vectors_ND is {array.shape}, {first}_vectors_ND is {arrays[first].shape}: "
                             "all must be N rows of width D")


def stack_inputs(given: dict[str, Tensor | None], masks: dict[str, Tensor | None], width: int) -> tuple[Tensor, Tensor]:
    """All inputs as (B, M, D), zeros where missing, and whether they are there (B, M).

    Raises:
        ValueError: as in `FusionHead.forward`.
    """
    first = next((name for name, rows_BD in given.items() if rows_BD is not None), None)
    if first is None:
        raise ValueError("give at least one of image_BD, title_BD and ocr_BD")
    like_BD = given[first]
    assert like_BD is not None
    inputs, present = [], []
    for name, rows_BD in given.items():
        mask_B = masks[name]
        if rows_BD is None:
            if mask_B is not None:
                raise ValueError(f"{name}_present_B is given without {name}_BD")
            inputs.append(torch.zeros_like(like_BD, dtype=torch.float32))
            present.append(torch.zeros(len(like_BD), dtype=torch.bool, device=like_BD.device))
            continue
        if rows_BD.ndim != 2 or rows_BD.shape != (len(like_BD), width):
            raise ValueError(f"{name}_BD is {tuple(rows_BD.shape)}: it must be {(len(like_BD), width)}, as many rows "
                             f"as {first}_BD and the head's own width")
        if mask_B is None:
            mask_B = torch.ones(len(rows_BD), dtype=torch.bool, device=rows_BD.device)
        if mask_B.shape != rows_BD.shape[:1] or mask_B.dtype != torch.bool:
            raise ValueError(f"{name}_present_B must hold {len(rows_BD)} bools: it is {mask_B.dtype} "
                             f"{tuple(mask_B.shape)}")
        clean_BD = torch.where(mask_B[:, None], rows_BD.float(), 0)
        wrong_B = mask_B & ~((torch.linalg.vector_norm(clean_BD.detach(), dim=1) - 1).abs() <= 1e-2)  # NaN is wrong
        if wrong_B.any():
            row = int(wrong_B.nonzero()[0])
            raise ValueError(f"row {row} of {name}_BD is not of length 1: normalise it, or say in {name}_present_B "
                             "that it is missing")
        inputs.append(clean_BD)
        present.append(mask_B)
    inputs_BMD, present_BM = torch.stack(inputs, dim=1), torch.stack(present, dim=1)
    if not present_BM.any(dim=1).all():
        raise ValueError(f"row {int((~present_BM.any(dim=1)).nonzero()[0])} has neither image nor title nor OCR text")
    return inputs_BMD, present_BM


def mean_inputs(inputs_BMD: Tensor, present_BM: Tensor) -> Tensor:
    """The mean (B, D) of what is there, of what `stack_inputs` gives."""
    return inputs_BMD.sum(dim=1) / present_BM.sum(dim=1, keepdim=True)


def unit_rows(fused_BD: Tensor, inputs_BMD: Tensor, present_BM: Tensor) -> Tensor:
    """Rows of length 1; inputs may cancel each other out: then the first one that is there speaks for the row."""
    first_BD = inputs_BMD[torch.arange(len(inputs_BMD), device=inputs_BMD.device), present_BM.int().argmax(dim=1)]
    cancelled_B1 = torch.linalg.vector_norm(fused_BD.detach(), dim=1, keepdim=True) < 1e-6
    return F.normalize(torch.where(cancelled_B1, first_BD, fused_BD), dim=1)


def fuse_by_mean(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Arrays of unit rows by input, in which zeros are missing, as their normalised means (N, D), float32.

    Raises:
        ValueError: as in `FusionHead.forward`.
    """
    check_arrays(arrays)
    count, width = next(iter(arrays.values())).shape
    fused_ND = np.empty((count, width), np.float32)
    for start in range(0, count, ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        rows = {name: torch.from_numpy(np.asarray(array[some], np.float32)) for name, array in arrays.items()}
        inputs_BMD, present_BM = stack_inputs({name: rows.get(name) for name in INPUTS},
                                              {name: rows[name].any(dim=1) if name in rows else None
                                               for name in INPUTS}, width)
        fused_ND[some] = unit_rows(mean_inputs(inputs_BMD, present_BM), inputs_BMD, present_BM).numpy()
    return fused_ND
