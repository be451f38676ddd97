"""Training of a fusion head with its kernel head, on embeddings computed beforehand: the towers stay as they are."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from vector_universe.errors import UserError
from vector_universe.losses.checks import check_embeddings
from vector_universe.losses.feature_maps import LinearKernel
from vector_universe.losses.kernel_kl import KernelKL
from vector_universe.losses.label_sets import LabelSets
from vector_universe.models.fusion import FusionHead, FusionHeadConfig
from vector_universe.models.fusion_inputs import INPUTS, as_inputs, check_arrays


@dataclass(frozen=True)
class FusionConfig:
    """Settings of the training of a fusion head. The defaults fit 100 to 10,000 rows on two CPU cores: seconds."""

    kind: Literal["concat", "gated", "bilinear"] = "gated"
    """How inputs come together; see `FusionHead`."""
    hidden_width: int = 256
    """Hidden layer of concat and gated."""
    rank: int = 64
    """Number of products of bilinear."""
    features: int = 256
    """Width of the kernel's feature maps."""
    epochs: int = 60
    """Passes over the training rows, at most."""
    patience: int = 8
    """Epochs without a better validation loss after which training ends."""
    batch_size: int = 128
    """Rows in one step."""
    learning_rate: float = 5e-4
    """Of AdamW, constant: the best epoch is kept."""
    weight_decay: float = 0.05
    """Decoupled weight decay on matrices."""
    modality_dropout: float = 0.25
    """Probability with which an input of a training row is hidden; one always stays."""
    validation_share: float = 0.15
    """Share of the rows with labels that decides when to end, and is not trained on."""
    seed: int = 0
    """Every random choice follows from it."""

    def check(self) -> None:
        """Refuse impossible values before any work.

        Raises:
            UserError: naming the setting, its value and what is possible.
        """
        for name in ("hidden_width", "rank", "features", "epochs", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: it must be at least 1")
        if not 0 < self.learning_rate < 1:
            raise UserError(f"learning_rate is {self.learning_rate}: it must lie between 0 and 1")
        if not 0 <= self.modality_dropout < 1:
            raise UserError(f"modality_dropout is {self.modality_dropout}: it must be at least 0 and below 1")
        if not 0 < self.validation_share < 1:
            raise UserError(f"validation_share is {self.validation_share}: it must lie between 0 and 1")


def train_fusion(image_vectors_ND: np.ndarray | None, title_vectors_ND: np.ndarray | None,
                 ocr_vectors_ND: np.ndarray | None, labels: LabelSets, vocabulary_LD: np.ndarray,
                 config: FusionConfig | None = None) -> tuple[FusionHead, KernelKL]:
    """Train f and the kernel's ψ and φ such that ψ(f(image, title, OCR))ᵀφ(label) predicts a row's labels.

    The kernel is `LinearKernel` and takes the labels' frequencies, plus 1, as given (logit adjustment). In training
    inputs are hidden at random, so that the kernel knows rows of every combination of them. The best epoch by the
    divergence on the validation share, with nothing hidden, is what is returned; the same input and seed give the same
    weights.

    Args:
        image_vectors_ND: unit rows of the images; a row of zeros is missing; None if all are. So too the others.
        title_vectors_ND: unit rows of the titles.
        ocr_vectors_ND: unit rows of the text read off the images.
        labels: of the N rows; rows without any are left out.
        vocabulary_LD: unit rows of the label texts.
        config: settings; None for the defaults.

    Returns:
        the head and the objective with its trained kernel, both in evaluation mode.

    Raises:
        UserError: an impossible setting, or fewer than 4 rows with labels.
        ValueError: shapes do not match, a row is neither of length 1 nor zeros, or a row has no input.
    """
    config = config or FusionConfig()
    config.check()
    arrays = {name: array for name, array in zip(INPUTS, (image_vectors_ND, title_vectors_ND, ocr_vectors_ND),
                                                 strict=True) if array is not None}
    check_arrays(arrays)
    vocabulary = torch.from_numpy(np.asarray(vocabulary_LD, np.float32))
    _check_vocabulary(vocabulary, labels, arrays)
    inputs = {name: torch.from_numpy(np.asarray(array, np.float32)) for name, array in arrays.items()}
    draw = torch.Generator().manual_seed(config.seed)
    labelled = labels.counts_per_row().nonzero()[:, 0].cpu()
    if len(labelled) < 4:
        raise UserError(f"only {len(labelled)} rows have labels: a fusion head needs at least 4")
    labelled = labelled[torch.randperm(len(labelled), generator=draw)]
    held_out = max(1, round(config.validation_share * len(labelled)))
    validation, training = labelled[:held_out], labelled[held_out:]

    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay untouched
        torch.manual_seed(config.seed)
        head = FusionHead(FusionHeadConfig(kind=config.kind, width=vocabulary.shape[1],
                                           hidden_width=config.hidden_width, rank=config.rank))
        kernel = LinearKernel(vocabulary.shape[1], config.features)
    objective = KernelKL(kernel, label_frequencies_L=labels.take(training).counts_per_label() + 1.0,
                         logit_adjustment=True)
    both = nn.ModuleList([head, objective])
    optimizer = torch.optim.AdamW(both.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)

    def divergence(rows: Tensor, dropout: float) -> Tensor:
        batch = {name: rows_ND[rows] for name, rows_ND in inputs.items()}
        return objective(head(**as_inputs(_hide(batch, dropout, draw))), vocabulary, labels.take(rows)).total

    best, best_state, bad_epochs = float("inf"), copy.deepcopy(both.state_dict()), 0
    for _ in range(config.epochs):
        both.train()
        for rows in training[torch.randperm(len(training), generator=draw)].split(config.batch_size):
            optimizer.zero_grad()
            divergence(rows, config.modality_dropout).backward()
            optimizer.step()
        both.eval()
        with torch.no_grad():
            figure = divergence(validation, 0.0).item()
        bad_epochs += 1
        if figure < best:
            best, best_state, bad_epochs = figure, copy.deepcopy(both.state_dict()), 0
        if bad_epochs == config.patience:
            break
    both.load_state_dict(best_state)
    return head.eval(), objective.eval()


def _hide(batch: dict[str, Tensor], probability: float, draw: torch.Generator) -> dict[str, Tensor]:
    """Set each input of each row to zeros with this probability; where that would be all of a row's, hide none."""
    if probability == 0:
        return batch
    present_BM = torch.stack([rows_BD.any(dim=1) for rows_BD in batch.values()], dim=1)
    kept_BM = present_BM & (torch.rand(present_BM.shape, generator=draw) >= probability)
    kept_BM = torch.where(kept_BM.any(dim=1, keepdim=True), kept_BM, present_BM)
    return {name: rows_BD * kept_BM[:, m, None] for m, (name, rows_BD) in enumerate(batch.items())}


def _check_vocabulary(vocabulary_LD: Tensor, labels: LabelSets, arrays: dict[str, np.ndarray]) -> None:
    check_embeddings(vocabulary_LD=vocabulary_LD)
    name, array = next(iter(arrays.items()))
    if array.shape[1] != vocabulary_LD.shape[1]:
        raise ValueError(f"{name}_vectors_ND is {array.shape}, vocabulary_LD is {tuple(vocabulary_LD.shape)}: both "
                         "must be of the same width D")
    if (labels.size, labels.vocabulary) != (len(array), len(vocabulary_LD)):
        raise ValueError(f"labels are of {labels.size} rows and {labels.vocabulary} labels, but there are {len(array)} "
                         f"rows and {len(vocabulary_LD)} labels in vocabulary_LD")
