"""Post-processing of embeddings: each side's mean taken away and, with whitening, every direction made equally wide."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vector_universe.errors import UserError

Kind = Literal["centre", "whiten"]
KINDS = ("centre", "whiten")
SETTINGS = ("kind",)


class PostProcessing(nn.Module):
    """x → unit((x − mean of its side) W), for unit rows x of images or texts; W is the same for both.

    "centre" has no W: it takes away what all rows of a side share, the cone they sit in and the gap between the two
    cones (Mu & Viswanath 2018; Liang et al. 2022). "whiten" has a W besides (D, D): PCA whitening (Su et al. 2021).
    Nothing here learns by gradient: `fit_post_processing` takes it from vectors.

    A new one of kind "centre" changes nothing, nor does one of kind "whiten": means are zero, W is the identity.

    Args:
        kind: "centre" or "whiten".
        width: D of the embeddings, of what comes in and of what goes out.

    Raises:
        UserError: the kind is unknown.
    """

    image_mean_D: Tensor
    text_mean_D: Tensor
    whiten_DD: Tensor | None

    def __init__(self, kind: Kind, width: int) -> None:
        super().__init__()
        if kind not in KINDS:
            raise UserError(f"the kind of post-processing is {kind!r}: choose one of {', '.join(KINDS)}")
        self.kind, self.width = kind, width
        self.register_buffer("image_mean_D", torch.zeros(width))
        self.register_buffer("text_mean_D", torch.zeros(width))
        self.register_buffer("whiten_DD", torch.eye(width) if kind == "whiten" else None)

    def forward(self, rows_BD: Tensor, side: Literal["image", "text"]) -> Tensor:
        """Unit rows (B, D) of one side, in float32 even where the towers run in less.

        A row that is exactly its side's mean becomes zeros.
        """
        mean_D = self.image_mean_D if side == "image" else self.text_mean_D
        rows_BD = rows_BD.float() - mean_D.float()
        if self.whiten_DD is not None:
            with _full_precision(rows_BD.device.type):
                rows_BD = rows_BD @ self.whiten_DD.float()
        return F.normalize(rows_BD, dim=-1)

    @torch.inference_mode()
    def apply_to(self, rows_ND: np.ndarray, side: Literal["image", "text"]) -> np.ndarray:
        """The same for float32 arrays that lie in memory: what the model would have given, without embedding again."""
        rows = torch.from_numpy(np.asarray(rows_ND, np.float32)).to(self.image_mean_D.device)
        return self(rows, side).cpu().numpy()

    @property
    def settings(self) -> dict[str, str]:
        """What the model's config keeps of it; the rest are weights."""
        return {"kind": self.kind}

    def describe(self) -> str:
        """In words, for people."""
        return "centring" if self.kind == "centre" else "centring and PCA whitening"


def fit_post_processing(kind: Kind, images_ND: np.ndarray, texts_MD: np.ndarray) -> PostProcessing:
    """Means of both sides and, for "whiten", W from the covariance within the sides.

        Σ = (Σ_images + Σ_texts) / 2 = P diag(λ) Pᵀ,   W = P diag(1/√(λ + ε)),   ε = 1e-6 · mean of λ

    Each side's Σ is the estimate of Ledoit & Wolf (2004): the sample covariance shrunk towards a sphere, the more so
    the fewer rows there are for D dimensions; else directions in which few rows hardly vary would be blown up into
    noise. W keeps all D dimensions. Sides weigh alike, however many rows each has.

    Args:
        kind: "centre" or "whiten".
        images_ND: unit rows of images.
        texts_MD: unit rows of texts, of their own number.

    Raises:
        UserError: a side has fewer than two rows; or, for "whiten", all rows of both sides are equal.
    """
    for name, rows in (("image", images_ND), ("text", texts_MD)):
        if len(rows) < 2:
            raise UserError(f"post-processing is fitted on {len(rows)} {name} vectors: give at least two")
    found = PostProcessing(kind, images_ND.shape[1])
    sides = [np.asarray(rows, np.float64) for rows in (images_ND, texts_MD)]
    means = [rows.mean(axis=0) for rows in sides]
    found.image_mean_D.copy_(torch.from_numpy(means[0]))
    found.text_mean_D.copy_(torch.from_numpy(means[1]))
    if found.whiten_DD is not None:
        covariance_DD = sum(_covariance(rows - mean) for rows, mean in zip(sides, means, strict=True)) / 2
        eigenvalues_D, directions_DD = np.linalg.eigh(covariance_DD)
        level = float(eigenvalues_D.mean())
        if not level > 1e-12:
            raise UserError("all vectors are the same: there is nothing to whiten, train the model again")
        scale_D = 1 / np.sqrt(np.maximum(eigenvalues_D, 0) + 1e-6 * level)
        # One common factor changes no direction; without it numbers stay near 1, in half precision too.
        found.whiten_DD.copy_(torch.from_numpy(directions_DD * (scale_D * np.sqrt(level))))
    return found


def _covariance(centred_ND: np.ndarray) -> np.ndarray:
    """Ledoit & Wolf's estimate, (D, D)."""
    if not np.square(centred_ND).sum() > 0:
        return np.zeros((centred_ND.shape[1],) * 2)  # where its shrinkage is 0/0
    from sklearn.covariance import ledoit_wolf

    covariance_DD: np.ndarray = ledoit_wolf(centred_ND, assume_centered=True)[0]
    return covariance_DD


def _full_precision(device: str) -> torch.autocast | nullcontext[None]:
    """Out of bf16, which rounds too much; nothing where it is not on, so that exporters see none."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
