"""Kernels between embeddings and labels, k(x, y) = ψ(x)ᵀφ(y), and the feature maps ψ and φ that make them.

A kernel is a module that is called with rows x (B, D) and labels y (L, D) and returns the (B, L) scores log k(x, y), in
float32 or better. Their softmax over the labels is the distribution k(x, y) / Σ_y' k(x, y').

    kernel                 ψ(x)                          k(x, y)               learned
    `SoftmaxKernel`        infinitely many features      exp(x·y / τ)          nothing
    `RandomFeatureKernel`  exp(ωx/√τ - ‖x‖²/2τ) / √F     ψ(x)ᵀψ(y) ≈ above     nothing
    `LinearKernel`         U x                           exp(ψ(x)ᵀφ(y) / τ)    U, V
    `MLPKernel`            softplus(MLP(x))              ψ(x)ᵀφ(y)             both MLPs

With F features a map costs O(F·D) a row and the scores O(B·L·F): O(L·F) for each distribution. Memory is
O(B·L + (B + L)·F). Where the features are positive (random features, MLP), the normaliser alone needs no scores: it is
ψ(x)ᵀ Σ_y φ(y), O(F) a row once the sum over the labels is there. That is the gain of linear attention (Katharopoulos et
al. 2020); the linear and the exact kernel have no such short cut, as their exponential comes after the product.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SoftmaxKernel(nn.Module):
    """The exact kernel exp(x·y / τ): the cosine softmax of CLIP's zero-shot classifier (Radford et al. 2021).

    Args:
        temperature: τ, positive; 0.07 is where CLIP starts.

    Raises:
        ValueError: the temperature is not a positive number.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        _check_settings(temperature=temperature)
        self.temperature = temperature

    def forward(self, queries_BD: Tensor, labels_LD: Tensor) -> Tensor:
        """log k (B, L) of rows (B, D) and labels (L, D)."""
        return _wide(queries_BD) / self.temperature @ _wide(labels_LD).T


class LinearKernel(nn.Module):
    """Learned linear maps ψ(x) = Ux and φ(y) = Vy. Their product may be negative, so k = exp(ψ(x)ᵀφ(y) / τ).

    At the start U = V has orthonormal columns, or, with fewer features than the width, orthonormal rows scaled such
    that the product is the cosine on average: training begins with what the embeddings know.

    Args:
        width: D of the embeddings.
        features: F.
        temperature: τ, positive.

    Raises:
        ValueError: a setting is not positive; in the call: rows of another width.
    """

    def __init__(self, width: int, features: int = 256, temperature: float = 0.07) -> None:
        super().__init__()
        _check_settings(width=width, features=features, temperature=temperature)
        self.width, self.temperature = width, temperature
        self.query_map = nn.Linear(width, features, bias=False)
        self.label_map = nn.Linear(width, features, bias=False)
        nn.init.orthogonal_(self.query_map.weight, gain=max(1.0, width / features) ** 0.5)
        self.label_map.load_state_dict(self.query_map.state_dict())

    def forward(self, queries_BD: Tensor, labels_LD: Tensor) -> Tensor:
        """log k (B, L) of rows (B, D) and labels (L, D)."""
        _check_width(self.width, queries_BD, labels_LD)
        return (_linear(self.query_map, _wide(queries_BD)) / self.temperature
                @ _linear(self.label_map, _wide(labels_LD)).T)


class RandomFeatureKernel(nn.Module):
    """Positive orthogonal random features: an unbiased estimate of exp(x·y / τ), never negative.

        ψ(x) = φ(x) = exp(ωx/√τ - ‖x‖²/2τ) / √F,   rows of ω from N(0, 1), orthogonal in blocks of D

    Source: FAVOR+ of Choromanski et al. 2021, "Rethinking Attention with Performers". There the squared error relative
    to k is at most (exp(‖x+y‖²/τ) - 1) / F on average (lemma 2): for a faithful estimate let τ be 0.5 or more. With
    smaller ones this is still a kernel to train with, but no longer the softmax one.

    `omega_FD` is drawn once from the seed and saved with the module's state.

    Args:
        width: D of the embeddings.
        features: F.
        temperature: τ, positive.
        seed: of ω.

    Raises:
        ValueError: a setting is not positive; in the call: rows of another width.
    """

    omega_FD: Tensor

    def __init__(self, width: int, features: int = 256, temperature: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        _check_settings(width=width, features=features, temperature=temperature)
        self.width, self.temperature = width, temperature
        draw = torch.Generator().manual_seed(seed)
        gaussian_NDD = torch.randn(math.ceil(features / width), width, width, device="cpu", generator=draw)
        directions_NDD, triangles_NDD = torch.linalg.qr(gaussian_NDD)
        # QR leaves the signs open; with those of R's diagonal, every direction is equally likely (Mezzadri 2007).
        directions_NDD = directions_NDD * triangles_NDD.diagonal(dim1=1, dim2=2).sign()[:, None]
        lengths_F = torch.randn(features, width, device="cpu", generator=draw).norm(dim=1)  # those of Gaussian rows
        self.register_buffer("omega_FD", directions_NDD.reshape(-1, width)[:features] * lengths_F[:, None])

    def log_features(self, rows_BD: Tensor) -> Tensor:
        """log ψ (B, F) of rows (B, D)."""
        scaled_BD = _wide(rows_BD) / self.temperature ** 0.5
        half_norms_B1 = scaled_BD.square().sum(dim=1, keepdim=True) / 2
        return scaled_BD @ self.omega_FD.to(scaled_BD.dtype).T - half_norms_B1 - math.log(len(self.omega_FD)) / 2

    def forward(self, queries_BD: Tensor, labels_LD: Tensor) -> Tensor:
        """log k (B, L) of rows (B, D) and labels (L, D)."""
        _check_width(self.width, queries_BD, labels_LD)
        return _log_of_product(self.log_features(queries_BD), self.log_features(labels_LD))


class MLPKernel(nn.Module):
    """Learned positive features: k = ψ(x)ᵀφ(y), each map an MLP with one hidden layer that ends in a softplus.

        ψ(x) = softplus(W₂ gelu(W₁ √D x + b₁) + b₂) + 1e-6

    √D gives the elements of a unit row the variance 1 that the layers' initial weights expect; 1e-6 keeps log k finite.
    φ has the same shape and starts with the same weights, so that k begins as a similarity.

    Args:
        width: D of the embeddings.
        features: F, also the width of the hidden layer.

    Raises:
        ValueError: a setting is not positive; in the call: rows of another width.
    """

    def __init__(self, width: int, features: int = 256) -> None:
        super().__init__()
        _check_settings(width=width, features=features)
        self.width = width
        self.query_map = _PositiveMLP(width, features)
        self.label_map = _PositiveMLP(width, features)
        self.label_map.load_state_dict(self.query_map.state_dict())

    def forward(self, queries_BD: Tensor, labels_LD: Tensor) -> Tensor:
        """log k (B, L) of rows (B, D) and labels (L, D)."""
        _check_width(self.width, queries_BD, labels_LD)
        return (self.query_map(queries_BD) @ self.label_map(labels_LD).T).log()


class _PositiveMLP(nn.Module):
    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, features)
        self.output = nn.Linear(features, features)

    def forward(self, rows_BD: Tensor) -> Tensor:
        scaled_BD = _wide(rows_BD) * self.hidden.in_features ** 0.5
        return F.softplus(_linear(self.output, F.gelu(_linear(self.hidden, scaled_BD)))) + 1e-6


def _log_of_product(queries_BF: Tensor, labels_LF: Tensor) -> Tensor:
    """log Σ_f exp(queries_bf + labels_lf) (B, L), as one matrix product of numbers that float32 can hold.

    Each feature's largest value over the labels moves over to the queries, then each query's largest is put outside.
    What remains are factors of at most 1, and the best label of every row keeps a product of at least 1, whatever the
    temperature. Products are precise down to exp(-87) of it; below, they stay there and get no gradient.
    """
    with torch.no_grad():  # shifts change no value, so they need no gradient
        largest_F = labels_LF.amax(dim=0)
        largest_B1 = (queries_BF + largest_F).amax(dim=1, keepdim=True)
    products_BL = (queries_BF + largest_F - largest_B1).exp() @ (labels_LF - largest_F).exp().T
    return products_BL.clamp(min=torch.finfo(products_BL.dtype).tiny).log() + largest_B1


def _linear(layer: nn.Linear, rows_BD: Tensor) -> Tensor:
    """The layer in the precision of the rows, even where its parameters are stored in less."""
    bias_F = None if layer.bias is None else layer.bias.to(rows_BD.dtype)
    return F.linear(rows_BD, layer.weight.to(rows_BD.dtype), bias_F)


def _wide(rows_BD: Tensor) -> Tensor:
    return rows_BD.to(torch.promote_types(rows_BD.dtype, torch.float32))


def _check_settings(**settings: float) -> None:
    for name, value in settings.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number: it is {value}")


def _check_width(width: int, queries_BD: Tensor, labels_LD: Tensor) -> None:
    if not queries_BD.shape[-1] == labels_LD.shape[-1] == width:
        raise ValueError(f"the kernel was made for rows of width {width}, but the queries are "
                         f"{tuple(queries_BD.shape)} and the labels {tuple(labels_LD.shape)}")
