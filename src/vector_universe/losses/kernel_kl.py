"""KernelKL: scores between fused embeddings and label texts become the true distribution over the labels."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from vector_universe.losses.base import LossOutput, Objective
from vector_universe.losses.checks import check_embeddings
from vector_universe.losses.kernel_file import read_kernel, unreadable, write_kernel
from vector_universe.losses.label_sets import LabelSets


class KernelKL(Objective):
    """KL divergence from the true distribution over a label vocabulary to the one that a kernel gives.

        P̂(l|x) = k(x, y_l) / Σ_l' k(x, y_l')                       k(x, y) = ψ(x)ᵀφ(y), see `feature_maps`
        P(l|x) = (1 - ε) [l in labels(x)] / |labels(x)| + ε π_l
        total  = mean over the rows with labels of Σ_l P(l|x) ln(P(l|x) / P̂(l|x))

    π is the distribution of the labels: their normalised frequencies, or uniform where none are given. With ε > 0 this
    is (unigram) label smoothing (Szegedy et al. 2016, Pereyra et al. 2017). The total is 0 where P̂ = P, and never less;
    it is the sum of the parts `cross_entropy`, -Σ P ln P̂, and `negative_entropy`, Σ P ln P, a constant. At chance
    (P̂ uniform, ε = 0, one label a row) it is ln L. Rows without labels do not count.

    With `logit_adjustment` π also multiplies k (Menon et al. 2021): P̂(l|x) = π_l k(x, y_l) / Σ_l' π_l' k(x, y_l'). The
    kernel then need not learn how frequent a label is, and `kernel(fused_BD, vocabulary_LD)` ranks rare and frequent
    labels on an equal footing, whereas `distribution` still predicts the frequencies of the data.

    A kernel with parameters learns them: give `objective.parameters()` to the optimiser, too. Memory O(B·L + (B + L)·F)
    for F features.

    Args:
        kernel: maps (B, D) and (L, D) to log k (B, L): `SoftmaxKernel`, `RandomFeatureKernel`, `LinearKernel`,
            `MLPKernel` or a module of one's own.
        smoothing: ε of at least 0 and below 1.
        label_frequencies_L: counts or probabilities of the labels, over the training set, not the batch.
        logit_adjustment: let the frequencies be part of P̂.

    Raises:
        ValueError: a setting out of its range, frequencies that nothing uses, or an adjustment without frequencies.
    """

    prior_L: Tensor | None

    def __init__(self, kernel: nn.Module, smoothing: float = 0.0, label_frequencies_L: Tensor | None = None,
                 logit_adjustment: bool = False) -> None:
        super().__init__()
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be at least 0 and below 1: it is {smoothing}")
        if logit_adjustment and label_frequencies_L is None:
            raise ValueError("logit_adjustment needs label_frequencies_L")
        if label_frequencies_L is not None and not (smoothing or logit_adjustment):
            raise ValueError("label_frequencies_L has no effect without smoothing or logit_adjustment")
        self.kernel = kernel
        self.smoothing = smoothing
        self.logit_adjustment = logit_adjustment
        self.register_buffer("prior_L", None if label_frequencies_L is None else _normalised(label_frequencies_L))

    def save(self, folder: str | PathLike) -> None:
        """Write the kernel, what it learned, and the label frequencies, as JSON and safetensors.

        Raises:
            ValueError: the kernel is one of one's own.
            OSError: the folder cannot be written.
        """
        settings = {"smoothing": self.smoothing, "logit_adjustment": self.logit_adjustment}
        write_kernel(Path(folder), self.kernel, settings, self.state_dict())

    @classmethod
    def load(cls, folder: str | PathLike) -> KernelKL:
        """Read what `save` wrote: the same distributions to the bit, on the CPU and in evaluation mode.

        Raises:
            UserError: there is no kernel, or its files are damaged or do not fit each other.
        """
        stored = read_kernel(Path(folder))
        try:
            objective = cls(stored.kernel, label_frequencies_L=stored.tensors.get("prior_L"), **stored.objective)
            objective.load_state_dict(stored.tensors, assign=True)  # as stored: not normalised again, nor converted
        except (ValueError, TypeError, RuntimeError) as error:
            raise unreadable(Path(folder), error) from error
        return objective.eval()

    def distribution(self, fused_BD: Tensor, vocabulary_LD: Tensor) -> Tensor:
        """P̂ (B, L), by which to rank the labels of each row; float32, or float64 if the rows are.

        Args:
            fused_BD: embeddings of image-title pairs, L2-normalised.
            vocabulary_LD: embeddings of the label texts, L2-normalised.

        Raises:
            ValueError: the shapes, types or devices do not match, or a row is not normalised.
            FloatingPointError: a row holds NaN or infinity.
        """
        return self._log_distribution(fused_BD, vocabulary_LD).exp()

    def forward(self, fused_BD: Tensor, vocabulary_LD: Tensor, labels: LabelSets) -> LossOutput:
        """The divergence, in float32, or float64 if the rows are.

        Args:
            fused_BD: embeddings of image-title pairs, L2-normalised.
            vocabulary_LD: embeddings of the label texts, L2-normalised.
            labels: of each of the B rows, out of the L of the vocabulary.

        Raises:
            ValueError: as in `distribution`; the labels are of another number of rows, another vocabulary or on another
                device; no row has a label; a row has one of frequency 0 while `logit_adjustment` is on.
            FloatingPointError: a row holds NaN or infinity.
        """
        log_model_BL = self._log_distribution(fused_BD, vocabulary_LD)
        self._check_labels(labels, fused_BD, vocabulary_LD)
        hot_BL = labels.multi_hot(log_model_BL.dtype)
        counts_B1 = hot_BL.sum(dim=1, keepdim=True)
        labelled_B = counts_B1[:, 0] > 0
        prior_L = 1 / len(vocabulary_LD) if self.prior_L is None else self.prior_L.to(hot_BL.dtype)
        target_NL = (1 - self.smoothing) * hot_BL[labelled_B] / counts_B1[labelled_B] + self.smoothing * prior_L
        # A label that is neither true nor of any frequency has P = P̂ = 0 and adds 0, but 0 · ln 0 would be NaN.
        log_model_NL = log_model_BL[labelled_B].masked_fill(target_NL == 0, 0)
        return LossOutput.of(cross_entropy=-(target_NL * log_model_NL).sum(dim=1).mean(),
                             negative_entropy=torch.xlogy(target_NL, target_NL).sum(dim=1).mean())

    def _log_distribution(self, fused_BD: Tensor, vocabulary_LD: Tensor) -> Tensor:
        check_embeddings(fused_BD=fused_BD, vocabulary_LD=vocabulary_LD)
        if self.prior_L is not None and len(self.prior_L) != len(vocabulary_LD):
            raise ValueError(f"label_frequencies_L are of {len(self.prior_L)} labels, "
                             f"but vocabulary_LD holds {len(vocabulary_LD)}")
        log_scores_BL = self.kernel(fused_BD, vocabulary_LD)
        if self.logit_adjustment and self.prior_L is not None:
            log_scores_BL = log_scores_BL + self.prior_L.to(log_scores_BL.dtype).log()
        return log_scores_BL.log_softmax(dim=1)

    def _check_labels(self, labels: LabelSets, fused_BD: Tensor, vocabulary_LD: Tensor) -> None:
        for ours, theirs, what in ((labels.size, len(fused_BD), "rows of fused_BD"),
                                   (labels.vocabulary, len(vocabulary_LD), "labels of vocabulary_LD")):
            if ours != theirs:
                raise ValueError(f"labels are for {ours}, but there are {theirs} {what}")
        if labels.labels_K.device != fused_BD.device:
            raise ValueError(f"labels are on {labels.labels_K.device}, fused_BD is on {fused_BD.device}")
        if not len(labels.labels_K):
            raise ValueError("labels has none in any row: leave such a batch out")
        if self.logit_adjustment and self.prior_L is not None:
            never_K = self.prior_L[labels.labels_K] == 0
            if never_K.any():
                label = int(labels.labels_K[never_K][0])
                raise ValueError(f"label {label} occurs, but its label_frequencies_L is 0, which makes the divergence "
                                 "infinite: add 1 to every count")


def _normalised(label_frequencies_L: Tensor) -> Tensor:
    """The frequencies as probabilities.

    Raises:
        ValueError: they are not a list of finite numbers of at least 0, one of them above.
    """
    if label_frequencies_L.ndim != 1:
        raise ValueError(f"label_frequencies_L must have one number a label: its shape is "
                         f"{tuple(label_frequencies_L.shape)}")
    if not (torch.isfinite(label_frequencies_L) & (label_frequencies_L >= 0)).all():
        raise ValueError("label_frequencies_L must be finite and not negative")
    if not label_frequencies_L.any():
        raise ValueError("label_frequencies_L are all 0")
    return label_frequencies_L / label_frequencies_L.sum()
