"""Geometry: how a batch of embeddings lies on the sphere, so that a collapse has figures before it has victims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_COMPARED = 256  # so many rows are compared pair by pair even where D is smaller: recall needs them
TIE = 1e-6  # cosines nearer than this are equal: float32 rounds rows of a few hundred columns to some 1e-7


@dataclass(frozen=True)
class Geometry:
    """Where images and texts of B true pairs lie.

    Attributes:
        pair_cosine: mean cosine of an image with its own text.
        off_pair_cosine: mean cosine of image i with text j ≠ i; NaN for a single pair.
        modality_gap: ‖mean image − mean text‖, 0 to 2 (Liang et al. 2022, section 4.1).
        image_effective_rank, text_effective_rank: exp of the entropy of the eigenvalues' shares in the uncentred
            second moment EᵀE/B (Roy & Vetterli 2007, on eigenvalues); 1 for one direction, D for a flat spectrum.
        alignment: mean ‖image − text‖² of true pairs, 0 to 4 (Wang & Isola 2020, α = 2).
        image_uniformity, text_uniformity: ln of the mean of exp(−2‖x − x'‖²) over different rows, from 0 for one point
            to about −4 for a sphere (Wang & Isola 2020, t = 2); NaN for a single pair.
        recall_at_1: share of queries whose own partner is the nearest of all, the mean of both directions; of k
            partners at the same cosine each is counted 1/k, so that a collapsed model scores exactly chance.
        chance_at_1: the recall@1 of a random order among the rows that were compared.
    """

    pair_cosine: float
    off_pair_cosine: float
    modality_gap: float
    image_effective_rank: float
    text_effective_rank: float
    alignment: float
    image_uniformity: float
    text_uniformity: float
    recall_at_1: float
    chance_at_1: float

    @property
    def effective_rank(self) -> float:
        """The smaller one of images and texts."""
        return min(self.image_effective_rank, self.text_effective_rank)

    def as_dict(self) -> dict[str, float]:
        """The figures by name, for JSON."""
        return asdict(self)


@torch.no_grad()
def geometry(images_BD: Tensor, texts_BD: Tensor) -> Geometry:
    """Measure B pairs in O(B·D·min(B, D)), on the device where they are but for the eigenvalues.

    Rows are normalised here, in float32 or better, so that rows rounded to bf16 have true cosines. Recall and
    uniformity compare every row with every other: of a batch larger than max(D, 256) they look at so many evenly
    spaced pairs. A single pair has recall 1 at chance 1.

    Args:
        images_BD: image embeddings.
        texts_BD: text embeddings; row i belongs to image i.

    Raises:
        ValueError: the shapes differ, or there is no pair.
        FloatingPointError: an embedding is NaN or infinite.
    """
    if images_BD.ndim != 2 or images_BD.shape != texts_BD.shape or not images_BD.numel():
        raise ValueError(f"images_BD is {tuple(images_BD.shape)}, texts_BD is {tuple(texts_BD.shape)}: "
                         "row i of both must be a pair, and there must be one")
    images_BD, texts_BD = (F.normalize(rows_BD.to(torch.promote_types(rows_BD.dtype, torch.float32)), dim=1)
                           for rows_BD in (images_BD, texts_BD))
    size, width = images_BD.shape
    image_sum_D, text_sum_D = images_BD.sum(dim=0), texts_BD.sum(dim=0)
    if not torch.isfinite(image_sum_D + text_sum_D).all():
        raise FloatingPointError("an embedding is NaN or infinite")
    pair_sum = (images_BD * texts_BD).sum()
    off_pair_sum = image_sum_D @ text_sum_D - pair_sum
    compared = min(size, max(width, LEAST_COMPARED))
    rows_C = torch.arange(compared, device=images_BD.device) * size // compared
    images_CD, texts_CD = images_BD[rows_C], texts_BD[rows_C]
    pair, off_pair, gap, alignment, image_uniformity, text_uniformity, recall = torch.stack([
        pair_sum / size,
        off_pair_sum / (size * (size - 1)) if size > 1 else off_pair_sum * torch.nan,
        torch.linalg.vector_norm(image_sum_D - text_sum_D) / size,
        (images_BD - texts_BD).square().sum() / size,
        _uniformity(images_CD),
        _uniformity(texts_CD),
        _recall_at_1(images_CD, texts_CD),
    ]).tolist()  # one wait for the device
    return Geometry(pair_cosine=pair, off_pair_cosine=off_pair, modality_gap=gap,
                    image_effective_rank=_effective_rank(images_BD), text_effective_rank=_effective_rank(texts_BD),
                    alignment=alignment, image_uniformity=image_uniformity, text_uniformity=text_uniformity,
                    recall_at_1=recall, chance_at_1=1 / compared)


def gradient_shares(parts: Mapping[str, Tensor], embeddings: Sequence[Tensor]) -> dict[str, float]:
    """How much each part of a loss pulls: the norm of its gradient in the embeddings over the sum of these norms.

    Call it before `backward`, which frees the graph. Shares add up to 1; all are 0 when no part pulls at all.

    Args:
        parts: the summands of a `LossOutput`; one without a graph pulls nothing.
        embeddings: what the loss was computed from.
    """
    norms = {}
    for name, part in parts.items():
        gradients = torch.autograd.grad(part, list(embeddings), retain_graph=True,
                                        allow_unused=True) if part.requires_grad else []
        squares = [gradient.float().square().sum() for gradient in gradients if gradient is not None]
        norms[name] = torch.stack(squares).sum().sqrt() if squares else part.new_zeros(())
    total = torch.stack(list(norms.values())).sum()
    shares = torch.stack(list(norms.values())) / total.clamp_min(torch.finfo(total.dtype).tiny)
    return dict(zip(norms, shares.tolist(), strict=True))


def _effective_rank(rows_BD: Tensor) -> float:
    size, width = rows_BD.shape
    gram = rows_BD.T @ rows_BD if width < size else rows_BD @ rows_BD.T  # both have the same eigenvalues above zero
    eigenvalues = torch.linalg.eigvalsh(gram.cpu()).clamp_min(0)  # on the CPU: not every device has them
    return torch.special.entr(eigenvalues / eigenvalues.sum()).sum().exp().item()


def _uniformity(rows_CD: Tensor) -> Tensor:
    count = len(rows_CD)
    exponents_CC = 4 * (rows_CD @ rows_CD.T) - 4  # −2‖x − x'‖² of unit rows
    exponents_CC.fill_diagonal_(-torch.inf)
    return exponents_CC.flatten().logsumexp(0) - torch.log(exponents_CC.new_tensor(count * (count - 1)))


def _recall_at_1(images_CD: Tensor, texts_CD: Tensor) -> Tensor:
    cosines_CC = images_CD @ texts_CD.T
    return (_first_places(cosines_CC) + _first_places(cosines_CC.T)) / 2


def _first_places(cosines_CC: Tensor) -> Tensor:
    """Share of rows whose diagonal entry is the largest; the entries of a tie share the place."""
    own_C = cosines_CC.diagonal()[:, None]
    not_better_C = (cosines_CC <= own_C + TIE).all(dim=1)
    ties_C = (cosines_CC >= own_C - TIE).sum(dim=1)
    return (not_better_C.to(cosines_CC.dtype) / ties_C).mean()
