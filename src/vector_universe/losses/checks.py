"""What every objective asks of its input, checked once at the door."""

from __future__ import annotations

import torch
from torch import Tensor


def check_embeddings(**embeddings: Tensor) -> None:
    """Each a matrix of unit rows, all of one width, type and device. Nothing is ever renormalised in silence.

    Raises:
        ValueError: naming the argument that is empty, differs from the first one, or has a row that is not of length 1.
        FloatingPointError: naming the argument and the row with a NaN or an infinity.
    """
    first_name, first = next(iter(embeddings.items()))
    for name, rows_BD in embeddings.items():
        if rows_BD.ndim != 2 or not rows_BD.is_floating_point():
            raise ValueError(f"{name} must be a matrix of floats, one row an example: "
                             f"it is {rows_BD.dtype} of shape {tuple(rows_BD.shape)}")
        if not rows_BD.numel():
            raise ValueError(f"{name} is empty: its shape is {tuple(rows_BD.shape)}")
        for what, ours, theirs in (("width", rows_BD.shape[1], first.shape[1]), ("type", rows_BD.dtype, first.dtype),
                                   ("device", rows_BD.device, first.device)):
            if ours != theirs:
                raise ValueError(f"{name} and {first_name} must have the same {what}: {ours} is not {theirs}")
    for name, rows_BD in embeddings.items():
        norms_B = torch.linalg.vector_norm(rows_BD.detach(), dim=1, dtype=torch.promote_types(rows_BD.dtype,
                                                                                             torch.float32))
        tolerance = 1e-3 if torch.finfo(rows_BD.dtype).bits >= 32 else 1e-2
        wrong_B = ~((norms_B - 1).abs() <= tolerance)  # a NaN is wrong, too
        if wrong_B.any():
            row = int(wrong_B.nonzero()[0])
            if not torch.isfinite(norms_B[row]):
                raise FloatingPointError(f"row {row} of {name} holds NaN or infinity")
            raise ValueError(f"row {row} of {name} has length {norms_B[row].item():.4g} instead of 1: "
                             "pass it through torch.nn.functional.normalize first")


def check_groups(images_ND: Tensor, texts_MD: Tensor, image_groups_N: Tensor | None, text_groups_M: Tensor | None
                 ) -> None:
    """Groups for both sides or for neither; without them, as many images as texts.

    Raises:
        ValueError: naming the argument that does not fit.
    """
    if (image_groups_N is None) != (text_groups_M is None):
        raise ValueError("image_groups_N and text_groups_M go together: give both or neither")
    if image_groups_N is None and len(images_ND) != len(texts_MD):
        raise ValueError(f"images_ND is {tuple(images_ND.shape)}, texts_MD is {tuple(texts_MD.shape)}: without groups "
                         "row i of both must be a pair")
    for name, groups, rows in (("image_groups_N", image_groups_N, images_ND),
                               ("text_groups_M", text_groups_M, texts_MD)):
        if groups is not None and (groups.shape != rows.shape[:1] or groups.dtype != torch.int64
                                   or groups.device != rows.device):
            raise ValueError(f"{name} must hold {len(rows)} int64 numbers on {rows.device}: it is {groups.dtype} "
                             f"{tuple(groups.shape)} on {groups.device}")


def check_scalar(name: str, value: Tensor) -> None:
    """A finite number.

    Raises:
        ValueError: it has more than one element.
        FloatingPointError: it is NaN or infinite.
    """
    if value.numel() != 1:
        raise ValueError(f"{name} must be a single number: its shape is {tuple(value.shape)}")
    if not torch.isfinite(value).all():
        raise FloatingPointError(f"{name} is {value.item()}")


def check_weights(name: str, weights_N: Tensor | None, rows_ND: Tensor) -> None:
    """One positive, finite weight a row.

    Raises:
        ValueError: naming the argument, or its row that is not positive.
    """
    if weights_N is None:
        return
    if weights_N.shape != rows_ND.shape[:1] or not weights_N.is_floating_point() or weights_N.device != rows_ND.device:
        raise ValueError(f"{name} must hold {len(rows_ND)} floats on {rows_ND.device}: it is {weights_N.dtype} "
                         f"{tuple(weights_N.shape)} on {weights_N.device}")
    wrong_N = ~((weights_N > 0) & torch.isfinite(weights_N))
    if wrong_N.any():
        row = int(wrong_N.nonzero()[0])
        raise ValueError(f"row {row} of {name} is {weights_N[row].item():g}: weights must be positive; leave out a row "
                         "that should not count")
