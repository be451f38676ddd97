"""AlignmentAnisotropy: pull true pairs together over two views, push everything else apart."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.distributed import ProcessGroup

from vector_universe.losses.base import LossOutput, Objective
from vector_universe.losses.checks import check_embeddings
from vector_universe.losses.log_sum_exp import pairwise_log_sum_exp
from vector_universe.losses.ring import Ring

Anisotropy = Literal["mean", "log_sum_exp", "spectral"]


class AlignmentAnisotropy(Objective):
    """The sum of two terms over images I, I⁺ and texts T, T⁺ of two augmented views, each a mean over the batch.

        alignment_i = -(w/τ) [I_i·I⁺_i + I_i·T_i + I⁺_i·T⁺_i + T_i·T⁺_i]

    and one of three ways to keep embeddings from crowding into one direction, over the combinations
    (a, b) = (I, I), (T⁺, T⁺), (I, T), (I⁺, T⁺):

        mean          Σ_ab 1/B Σ_{j≠i} a_i·b_j                 O(B·D); only asks for a mean of zero, see below
        log_sum_exp   Σ_ab log Σ_{j≠i} exp(a_i·b_j / τ)        tiled, O(B²·D) time and O(B·D) memory
        spectral      Σ_E D·‖EᵀE/2B‖²_F                        O(B·D²); E: both views of the images, of the texts

    `mean` is the first-order (Jensen) bound of `log_sum_exp`, without τ. Images at one pole and texts at the other
    satisfy it: with a low positive weight it collapses there, true pairs at cosine -1. `log_sum_exp` is the full
    form; where a and b are of different kinds it is the mean of both directions. With `cross_modal_only` and a low
    weight it collapses as well: what holds it up are the terms within one kind. `spectral` is the second moment of
    the embeddings, whose trace is 1: 1 when all eigenvalues are equal, D when all embeddings are the same.

    Sources: Gao et al. 2021 (SimCSE, section 5) for alignment, anisotropy and the bound; Wang & Isola 2020.

    Args:
        anisotropy: the second term.
        positive_weight: w.
        temperature: τ.
        cross_modal_only: keep only the terms between an image and a text, in both parts; not with `spectral`, which
            has none.
        tile, tile_dtype, process_group: as in `InfoNCE`.

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(self, anisotropy: Anisotropy = "log_sum_exp", positive_weight: float = 1.0, temperature: float = 0.05,
                 cross_modal_only: bool = False, tile: int | None = None, tile_dtype: torch.dtype | None = None,
                 process_group: ProcessGroup | None = None) -> None:
        super().__init__()
        if anisotropy not in ("mean", "log_sum_exp", "spectral"):
            raise ValueError(f"anisotropy is {anisotropy!r}: choose mean, log_sum_exp or spectral")
        if not positive_weight > 0 or not temperature > 0:
            raise ValueError(f"positive_weight is {positive_weight} and temperature is {temperature}: "
                             "both must be above 0")
        if cross_modal_only and anisotropy == "spectral":
            raise ValueError("cross_modal_only has no spectral form: a spectrum is that of images or of texts alone")
        self.anisotropy, self.positive_weight, self.temperature = anisotropy, positive_weight, temperature
        self.cross_modal_only = cross_modal_only
        self.tile, self.tile_dtype, self.process_group = tile, tile_dtype, process_group

    def forward(self, images_BD: Tensor, texts_BD: Tensor, other_images_BD: Tensor, other_texts_BD: Tensor
                ) -> LossOutput:
        """Compare B examples in two views; row i of all four arguments belongs to example i.

        Args:
            images_BD, texts_BD: unit rows of the first view, I and T.
            other_images_BD, other_texts_BD: unit rows of the second view, I⁺ and T⁺.

        Raises:
            ValueError: shapes, types or devices that differ, rows not of unit length, or fewer than 2 examples where
                one has no other to be compared with. FloatingPointError: NaN or infinity. All name the argument.
        """
        views = {"images_BD": images_BD, "texts_BD": texts_BD, "other_images_BD": other_images_BD,
                 "other_texts_BD": other_texts_BD}
        check_embeddings(**views)
        for name, rows in views.items():
            if len(rows) != len(images_BD):
                raise ValueError(f"{name} has {len(rows)} rows, images_BD has {len(images_BD)}")
        ring = Ring(self.process_group)
        ring.check_equal("the number of examples", len(images_BD), images_BD.device)
        if self.anisotropy == "log_sum_exp" and len(images_BD) * ring.size < 2:
            raise ValueError("images_BD has 1 row: log_sum_exp compares an example with others and needs at least 2")
        precise = torch.promote_types(images_BD.dtype, torch.float32)
        images, texts, other_images, other_texts = (rows.to(precise) for rows in views.values())

        across = [(images, texts), (other_images, other_texts)]
        within = [] if self.cross_modal_only else [(images, images), (other_texts, other_texts)]
        pulled = across if self.cross_modal_only else [*across, (images, other_images), (texts, other_texts)]
        size = len(images) * ring.size
        weight = self.positive_weight / self.temperature / size
        alignment = torch.stack([-weight * torch.linalg.vecdot(a, b).sum() for a, b in pulled]).sum()
        if self.anisotropy == "mean":
            terms = [_mean_of_others(a, b, ring) for a, b in [*within, *across]]
        elif self.anisotropy == "log_sum_exp":
            terms = [self._log_sum_exp_of_others(a, b, ring) for a, b in [*within, *across]]
        else:
            terms = [_second_moment(torch.cat(both), ring) for both in ((images, other_images), (texts, other_texts))]
        return LossOutput.of(alignment=ring.total(alignment), anisotropy=ring.total(torch.stack(terms).sum()))

    def _log_sum_exp_of_others(self, a_BD: Tensor, b_BD: Tensor, ring: Ring) -> Tensor:
        """This process's share of the mean over i of log Σ_{j≠i} exp(a_i·b_j / τ)."""
        itself_K2 = torch.arange(len(a_BD) * ring.size, device=a_BD.device)[:, None].expand(-1, 2)
        scale = a_BD.new_tensor(1 / self.temperature)
        rows_B, columns_B = pairwise_log_sum_exp(a_BD, b_BD, scale, itself_K2, self.tile, self.tile_dtype, ring)
        # Within one kind the matrix is symmetric: rows and columns are the same numbers.
        return (rows_B.sum() if a_BD is b_BD else (rows_B + columns_B).sum() / 2) / (len(a_BD) * ring.size)


def _mean_of_others(a_BD: Tensor, b_BD: Tensor, ring: Ring) -> Tensor:
    """This process's share of 1/B² Σ_i Σ_{j≠i} a_i·b_j = (Σ a)·(Σ b)/B² - Σ a_i·b_i/B²."""
    size = len(a_BD) * ring.size
    return (a_BD.sum(0) / size) @ (ring.sum(b_BD.sum(0)) / size) - torch.linalg.vecdot(a_BD, b_BD).sum() / size**2


def _second_moment(rows_ED: Tensor, ring: Ring) -> Tensor:
    """This process's share of D·‖EᵀE/n‖²_F over the n rows of all processes."""
    moment_DD = ring.sum(rows_ED.T @ rows_ED / (len(rows_ED) * ring.size))
    return rows_ED.shape[1] * moment_DD.square().sum() / ring.size
