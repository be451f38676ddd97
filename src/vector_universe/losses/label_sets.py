"""Several labels a row, kept sparse: memory follows the labels that are there, not rows x vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LabelSets:
    """The labels of `size` rows out of a `vocabulary`, as K (row, label) incidences, each at most once.

    Attributes:
        rows_K: row of each incidence, int64.
        labels_K: label of each incidence, int64.
        size: number of rows B.
        vocabulary: number of labels L.
    """

    rows_K: Tensor
    labels_K: Tensor
    size: int
    vocabulary: int

    @classmethod
    def from_lists(cls, labels: Sequence[Sequence[int]], vocabulary: int,
                   device: torch.device | str | None = None) -> LabelSets:
        """The labels of each row as integers below `vocabulary`; a row may have none.

        Raises:
            ValueError: naming the row and the label that lies outside the vocabulary.
        """
        for row, several in enumerate(labels):
            for label in several:
                if not 0 <= label < vocabulary:
                    raise ValueError(f"label {label} of row {row} lies outside the vocabulary of {vocabulary} labels")
        pairs = [(row, label) for row, several in enumerate(labels) for label in dict.fromkeys(several)]
        rows_K, labels_K = torch.tensor(pairs, dtype=torch.int64, device=device).reshape(-1, 2).unbind(1)
        return cls(rows_K, labels_K, len(labels), vocabulary)

    def counts_per_row(self) -> Tensor:
        """Number of labels of each row, int64 (B,)."""
        return torch.bincount(self.rows_K, minlength=self.size)

    def counts_per_label(self) -> Tensor:
        """Number of rows with each label, int64 (L,)."""
        return torch.bincount(self.labels_K, minlength=self.vocabulary)

    def take(self, rows: Sequence[int] | Tensor) -> LabelSets:
        """The labels of these rows, in this order; a row may come more than once."""
        wanted_M = torch.as_tensor(rows, dtype=torch.int64, device=self.rows_K.device)
        order_K = torch.argsort(self.rows_K, stable=True)
        counts_B = self.counts_per_row()
        starts_B = counts_B.cumsum(0) - counts_B
        counts_M = counts_B[wanted_M]
        new_rows_J = torch.repeat_interleave(torch.arange(len(wanted_M), device=wanted_M.device), counts_M)
        within_J = torch.arange(len(new_rows_J), device=wanted_M.device) - (counts_M.cumsum(0) - counts_M)[new_rows_J]
        incidences_J = order_K[starts_B[wanted_M][new_rows_J] + within_J]
        return LabelSets(new_rows_J, self.labels_K[incidences_J], len(wanted_M), self.vocabulary)

    def to(self, device: torch.device | str) -> LabelSets:
        """The same on a device."""
        return LabelSets(self.rows_K.to(device), self.labels_K.to(device), self.size, self.vocabulary)

    def multi_hot(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The (B, L) matrix with 1 where the row has the label."""
        return torch.zeros(self.size, self.vocabulary, dtype=dtype,
                           device=self.rows_K.device).index_put_((self.rows_K, self.labels_K),
                                                                 torch.ones((), dtype=dtype, device=self.rows_K.device))

    def sum_over_rows(self, values_BD: Tensor) -> Tensor:
        """For each label the sum of the rows that have it, (L, D)."""
        return values_BD.new_zeros(self.vocabulary, values_BD.shape[1]).index_add(
            0, self.labels_K, values_BD[self.rows_K])

    def sum_over_labels(self, values_LD: Tensor) -> Tensor:
        """For each row the sum over its labels, (B, D)."""
        return values_LD.new_zeros(self.size, values_LD.shape[1]).index_add(0, self.rows_K, values_LD[self.labels_K])
