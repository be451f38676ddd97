"""What a `DualEncoder` has inside: two towers behind one small interface, and the names of their parts."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

Side = Literal["image", "text"]


class Towers(nn.Module):
    """Images and texts in, features of one space out; not yet normalised.

    Attributes:
        logit_scale: parameter t of one element; cosines are multiplied by exp(t).
        logit_bias: parameter of one element that is added to them (SigLIP), or None.
    """

    logit_scale: nn.Parameter
    logit_bias: nn.Parameter | None

    @abstractmethod
    def image_features(self, pixel_values: Tensor) -> Tensor:
        """Normalised pixels (B, 3, S, S) → features (B, D)."""

    @abstractmethod
    def text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids and mask (B, L) → features (B, D)."""

    @abstractmethod
    def modules_of(self, side: Side) -> tuple[str, list[str]]:
        """Names, inside this module, of a side's tower and of the projections that follow it."""


@dataclass(frozen=True)
class TowerParts:
    """Names of modules of one side, as in `DualEncoder.named_modules()`: what adaptation chooses from.

    Attributes:
        tower: the whole tower without its projection; all its parameters start with this name.
        blocks: its layers, from input to output: Transformer layers, or the stages of a convolutional network;
            empty for a bag of words.
        after: what comes after the last block, final norms, pooling and projections; adapting the last k blocks
            adapts these too.
    """

    tower: str
    blocks: tuple[str, ...]
    after: tuple[str, ...]


def find_parts(root: nn.Module, tower: str, projections: list[str]) -> TowerParts:
    """Find the blocks of any tower by the form that they share: the outermost list of modules that holds most weights.

    Modules that are registered after that list, on any level above it, run after it: so are all towers of
    `transformers` written, and ours.
    """
    module = root.get_submodule(tower)
    lists = [(name, part) for name, part in module.named_modules()
             if name and isinstance(part, nn.ModuleList | nn.Sequential) and len(part)]
    if not lists:
        return TowerParts(tower, (), tuple(projections))
    outermost = [(name, part) for name, part in lists
                 if not any(name.startswith(f"{other}.") for other, _ in lists)]
    path, blocks = max(outermost, key=lambda found: sum(weight.numel() for weight in found[1].parameters()))
    after: list[str] = []
    parents = path.split(".")
    for depth in range(len(parents)):
        prefix = parents[:depth]
        siblings = [name for name, _ in module.get_submodule(".".join(prefix)).named_children()]
        after = [".".join([tower, *prefix, name]) for name in siblings[siblings.index(parents[depth]) + 1:]] + after
    with_weights = [name for name in after if any(True for _ in root.get_submodule(name).parameters())]
    return TowerParts(tower, tuple(f"{tower}.{path}.{name}" for name, _ in blocks.named_children()),
                      (*with_weights, *projections))
