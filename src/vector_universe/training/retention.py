"""What tuning costs: figures on the new domain against figures on what the model could do before (WiSE-FT)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from vector_universe.data import ImageTextDataset
from vector_universe.errors import UserError
from vector_universe.evaluation.evaluators.retrieval import retrieval_by_split
from vector_universe.evaluation.subject import Subject
from vector_universe.models import DualEncoder

ALPHAS = tuple(tenth / 10 for tenth in range(11))
Figure = Callable[[DualEncoder], float]


@dataclass(frozen=True)
class SweepRow:
    """The figures of one blend: `alpha` 0 is the base, 1 the tuned model."""

    alpha: float
    domain: float
    general: float


@dataclass(frozen=True)
class Sweep:
    """Figures of the blends θ(α) = (1 − α)·θ_base + α·θ_tuned (Wortsman et al. 2022, equation 1).

    Attributes:
        rows: by ascending alpha, from 0.
        keep: the share of the base's general figure that a blend must keep to be recommended.
    """

    rows: tuple[SweepRow, ...]
    keep: float = 0.99

    @property
    def recommended(self) -> float:
        """The alpha with the best domain figure among those that keep enough of the base's general figure.

        Of equal ones the one with the better general figure, then the smaller. The base itself keeps everything, so
        that there always is one. Figures of a few hundred queries are known to a few hundredths only.
        """
        floor = self.keep * self.rows[0].general
        return max((row for row in self.rows if row.general >= floor),
                   key=lambda row: (row.domain, row.general, -row.alpha)).alpha

    def table(self) -> str:
        """A line for each alpha, the recommended one marked, for people."""
        lines = [f"{'alpha':>5}  {'domain':>7}  {'general':>7}  {'kept':>6}"]
        base = self.rows[0].general
        for row in self.rows:
            kept = f"{row.general / base:.1%}" if base else "–"
            mark = f"  ← best that keeps {self.keep:.0%}" if row.alpha == self.recommended else ""
            lines.append(f"{row.alpha:>5.2f}  {row.domain:>7.3f}  {row.general:>7.3f}  {kept:>6}{mark}")
        return "\n".join(lines)

    def as_dict(self) -> dict:
        """Everything, for JSON."""
        return {"rows": [asdict(row) for row in self.rows], "keep": self.keep, "recommended": self.recommended}


def blend(base_state: Mapping[str, Tensor], tuned_state: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """The weights (1 − α)·base + α·tuned, as new tensors of the tuned ones' types and on their devices.

    The temperature is blended as its logarithm, which is how it is stored. Statistics of batch norms are blended too,
    though those of the blended model would differ a little. What holds no floating-point numbers is the tuned model's.

    Args:
        base_state, tuned_state: `state_dict()` of two models of one shape; of LoRA after `merge`.
        alpha: 0 gives the base and 1 the tuned model, to the bit.

    Raises:
        ValueError: the names or shapes differ, or alpha is outside 0 to 1.
    """
    _check(base_state, tuned_state, [alpha])
    return {name: _mixed(base_state[name], tuned, alpha) for name, tuned in tuned_state.items()}


@torch.no_grad()
def sweep(base: DualEncoder, tuned: DualEncoder, domain: Figure, general: Figure,
          alphas: Sequence[float] = ALPHAS, keep: float = 0.99) -> Sweep:
    """Measure blends of a model before and after tuning, so that one can choose how much of the tuning to take.

    One extra copy of the weights is held; the blends are made in `tuned`, which has its own weights back afterwards.

    Args:
        base: the model before; only its weights are read.
        tuned: the same model after tuning; of LoRA after `merge`.
        domain: how good a model is at what it was tuned for, such as `domain_figure` on the new data.
        general: how good it is at what must not be lost, such as `general_figure` on other data.
        alphas: of the blends; with 0, which retention is measured against.
        keep: the share of the base's general figure that the recommended blend must keep.

    Raises:
        ValueError: the models differ in names or shapes of weights, an alpha is outside 0 to 1, 0 is not among them,
            keep is outside 0 to 1, or a figure is not finite.
    """
    if not 0 <= keep <= 1:
        raise ValueError(f"keep is {keep}: it is a share of the base's figure, 0 to 1")
    base_state, weights = base.state_dict(), tuned.state_dict()  # views: writing to these writes to the model
    _check(base_state, weights, alphas)
    if 0 not in alphas:
        raise ValueError(f"alphas are {tuple(alphas)}: 0, the base, must be among them to measure what it retains")
    kept = {name: tensor.clone() for name, tensor in weights.items()}
    was_training = tuned.training
    rows = []
    try:
        tuned.eval()
        for alpha in sorted(set(alphas)):
            for name, tensor in weights.items():
                tensor.copy_(_mixed(base_state[name], kept[name], alpha))
            row = SweepRow(alpha, domain(tuned), general(tuned))
            if not math.isfinite(row.domain + row.general):
                raise ValueError(f"at alpha {alpha} the domain figure is {row.domain}, the general one {row.general}")
            rows.append(row)
    finally:
        for name, tensor in weights.items():
            tensor.copy_(kept[name])
        tuned.train(was_training)
    return Sweep(tuple(rows), keep)


def domain_figure(model: DualEncoder, dataset: ImageTextDataset) -> float:
    """Text → image recall@10 on the validation split of the data that the model was tuned on.

    Raises:
        UserError: there is no validation split, or none of its images can be decoded.
    """
    return _recall_at_10(model, dataset.split("validation"), "validation")


def general_figure(model: DualEncoder, dataset: ImageTextDataset) -> float:
    """Text → image recall@10 on the test split of data that the model was not tuned on, or on all without one.

    Raises:
        UserError: the data set is empty, or none of its images can be decoded.
    """
    members = dataset.split("test")
    if len(members):
        return _recall_at_10(model, members, "test")
    as_one = dataset.table.remove_columns("split").add_column("split", ["test"] * len(dataset))
    return _recall_at_10(model, ImageTextDataset(as_one, name=dataset.name, source=dataset.source), "test")


def _recall_at_10(model: DualEncoder, dataset: ImageTextDataset, split: str) -> float:
    figures = retrieval_by_split(Subject.of(model, dataset)).text_to_image.get(split) if len(dataset) else None
    if figures is None:
        raise UserError(f"{dataset.source} has no {split} images that can be decoded: give data with some")
    return figures.recall_at_10


def _check(base_state: Mapping[str, Tensor], tuned_state: Mapping[str, Tensor], alphas: Sequence[float]) -> None:
    if wrong := [alpha for alpha in alphas if not 0 <= alpha <= 1]:
        raise ValueError(f"alpha is {wrong[0]}: it must be between 0, the base, and 1, the tuned model")
    if one_sided := sorted(base_state.keys() ^ tuned_state.keys()):
        side = "base" if one_sided[0] in base_state else "tuned model"
        hint = "; merge(model) first" if any(".lora_" in name for name in one_sided) else ""
        raise ValueError(f"{len(one_sided)} weights are in one model only, such as {one_sided[0]} of the {side}: both "
                         f"must be of one shape{hint}")
    for name, tensor in base_state.items():
        if tensor.shape != tuned_state[name].shape:
            raise ValueError(f"{name} is {tuple(tensor.shape)} in the base and {tuple(tuned_state[name].shape)} in the "
                             "tuned model: both must be of one shape")


def _mixed(base: Tensor, tuned: Tensor, alpha: float) -> Tensor:
    if alpha == 1 or not tuned.is_floating_point():
        return tuned.clone()
    base = base.to(tuned.device, tuned.dtype)
    if alpha == 0:  # by itself: 0 times an infinite weight is no number
        return base.clone()
    wide = torch.promote_types(tuned.dtype, torch.float32)
    return ((1 - alpha) * base.to(wide) + alpha * tuned.to(wide)).to(tuned.dtype)
