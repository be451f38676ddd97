"""Adapt a pretrained model tower by tower: frozen, by LoRA, its last blocks, or in full."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Literal

from torch import nn
from transformers.pytorch_utils import Conv1D

from vector_universe.errors import UserError
from vector_universe.models.dual_encoder import DualEncoder
from vector_universe.models.towers import Side

Mode = Literal["frozen", "lora", "last_k", "full"]
MODES: tuple[Mode, ...] = ("frozen", "lora", "last_k", "full")
SIDES: tuple[Side, ...] = ("image", "text")
_SHOWN = 4
# Query, key, value and output of attention, as the models of transformers (and our own) name them.
_ATTENTION = re.compile(
    r"(^|\.)(q_proj|k_proj|v_proj|out_proj|o_proj|query|key|value|attention\.output\.dense|q_lin|k_lin|v_lin|out_lin|"
    r"attn\.[qkvo]|attention\.[qkvo]|SelfAttention\.[qkvo]|qkv|c_attn|attn\.c_proj|Wqkv|attn\.Wo|"
    r"query_key_value|attention_out)$")


@dataclass(frozen=True)
class Adaptation:
    """What of each tower learns.

    Modes: "frozen" keeps the whole side, tower and projection: its vectors stay as they are (LiT, Zhai et al. 2022).
    "lora" adds a low-rank update B·A·alpha/rank to the attention of each block (Hu et al. 2022) and trains the
    projection. "last_k" trains the last k blocks and what follows them, norms and projection. "full" trains all.
    The temperature learns unless both sides are frozen. A fusion head is left as it is: it learns unless it was frozen.
    """

    image: Mode = "lora"
    text: Mode = "lora"
    last_k: int = 2
    rank: int = 16
    alpha: int = 64
    dropout: float = 0.0
    targets: tuple[str, ...] | None = None
    """Last names of the layers in the blocks that get LoRA; by itself query, key, value and output of attention."""

    def mode(self, side: Side) -> Mode:
        """The mode of one side."""
        return self.image if side == "image" else self.text

    def check(self) -> None:
        """Refuse impossible settings.

        Raises:
            UserError: naming the setting, its value and what is possible.
        """
        for side in SIDES:
            if self.mode(side) not in MODES:
                raise UserError(f"{side} is {self.mode(side)!r}: choose one of {', '.join(MODES)}")
        for name, low in (("last_k", 0), ("rank", 1), ("alpha", 1)):
            if getattr(self, name) < low:
                raise UserError(f"{name} is {getattr(self, name)}: it must be at least {low}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout is {self.dropout}: it must be at least 0 and below 1")


@dataclass(frozen=True)
class Adapted:
    """What `adapt` did to a model, and to which: an adapter fits no other one. Fusion heads make no other one of it."""

    adaptation: Adaptation
    base: str
    base_fingerprint: str


@dataclass(frozen=True)
class TableRow:
    """One row of `trainable_table`: how many of a part's parameters learn."""

    part: str
    mode: str
    trainable: int
    total: int

    @property
    def share(self) -> float:
        """Trainable of total, 0 to 1."""
        return self.trainable / self.total if self.total else 0.0


def adapt(model: DualEncoder, adaptation: Adaptation, base: str = "") -> DualEncoder:
    """Prepare a model, in place, for training: set what learns, and put LoRA's matrices into the towers.

    Args:
        model: the base; a plain model, not one that is adapted already.
        adaptation: what of each tower learns.
        base: name or folder of the base, for the reader of a saved adapter.

    Returns:
        the same model; it embeds as before, since LoRA's B starts at zero, but without the post-processing that it
        may have had, of which a warning tells.

    Raises:
        UserError: the model is adapted already, a tower has nothing that LoRA could go to, or fewer than k blocks.
    """
    adaptation.check()
    if model.adapted is not None:
        raise UserError("the model is adapted already: merge it first, or load its base anew")
    if model.post_processing is not None:
        warnings.warn(f"the base's {model.post_processing.describe()} is taken off: it was fitted to vectors that "
                      "training moves; fit it again afterwards", stacklevel=2)
        model.set_post_processing(None)
    model.calibration = None  # likewise
    targets = [name for side in SIDES if adaptation.mode(side) == "lora" for name in lora_targets(model, side,
                                                                                                adaptation.targets)]
    learning = [name for side in SIDES for name in _learning_modules(model, side, adaptation)]
    model.adapted = Adapted(adaptation, base, model.tower_fingerprint())
    fusion = [parameter for name, parameter in model.named_parameters()
              if name.startswith("fusion.") and parameter.requires_grad]  # injection freezes it
    if targets:
        _inject_lora(model, targets, adaptation)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name)
    for parameter in fusion:
        parameter.requires_grad_(True)
    for name in learning:
        model.get_submodule(name).requires_grad_(True)
    if any(adaptation.mode(side) != "frozen" for side in SIDES):
        for temperature in (model.towers.logit_scale, model.towers.logit_bias):
            if temperature is not None:
                temperature.requires_grad_(True)
    return model.train(model.training)


def lora_targets(model: DualEncoder, side: Side, targets: tuple[str, ...] | None = None) -> list[str]:
    """Full names of the layers of one tower that LoRA goes to: those in its blocks that `targets` name.

    Raises:
        UserError: there are none, or they are inside an `nn.MultiheadAttention`, which reads their weights past the
            layer, so that an adapter on them would never get a gradient.
    """
    found: list[str] = []
    unreachable: list[str] = []
    for block in model.parts(side).blocks:
        for name, module in model.get_submodule(block).named_modules():
            named = _ATTENTION.search(name) if targets is None else name.split(".")[-1] in targets
            if not named or not isinstance(module, nn.Linear | Conv1D | nn.Conv2d):
                continue
            full_name = f"{block}.{name}"
            parent = model.get_submodule(full_name.rpartition(".")[0])
            (unreachable if isinstance(parent, nn.MultiheadAttention) else found).append(full_name)
    if unreachable:
        raise UserError(f"LoRA cannot go to {unreachable[0]}: nn.MultiheadAttention would give it no gradient; name "
                        f"other targets, or adapt the {side} tower by last_k or full")
    if not found:
        what = "no attention" if targets is None else f"no layer named {', '.join(targets)}"
        raise UserError(f"the {side} tower has {what} in its blocks for LoRA to go to: adapt it by last_k or full, "
                        "keep it frozen, or name other targets")
    return found


def default_mode(model: DualEncoder, side: Side) -> Mode:
    """"lora" where the tower has attention for it to go to, "full" where it has none."""
    try:
        lora_targets(model, side)
    except UserError:
        return "full"
    return "lora"


def trainable_table(model: DualEncoder) -> list[TableRow]:
    """How many parameters learn: a row for each side, tower and projection together; the fusion head, if any; all."""
    rows = []
    for side in SIDES:
        tower, projections = model.towers.modules_of(side)
        names = tuple(f"towers.{name}." for name in (tower, *projections))
        mine = [parameter for name, parameter in model.named_parameters() if name.startswith(names)]
        mode = model.adapted.adaptation.mode(side) if model.adapted else "full"
        rows.append(_row(side, mode, mine))
    if model.fusion is not None:
        head = list(model.fusion.parameters())
        rows.append(_row("fusion", "full" if any(p.requires_grad for p in head) else "frozen", head))
    return [*rows, _row("all", "", list(model.parameters()))]


def check_adapter_gradients(model: DualEncoder) -> None:
    """After the first backward pass: every adapter must have received a gradient.

    B starts at zero, so that A's gradient is zero at the first step, but there; B's own must not be zero.

    Raises:
        UserError: naming adapters that got none: they would train nothing without a word.
    """
    dead = []
    for name, parameter in model.named_parameters():
        if ".lora_" in name and parameter.requires_grad:
            gradient = parameter.grad
            if gradient is None or (".lora_B" in name and not gradient.any()):
                dead.append(name.split(".lora_")[0])
    if dead := sorted(set(dead)):
        shown = ", ".join(dead[:_SHOWN]) + (", …" if len(dead) > _SHOWN else "")
        raise UserError(f"{len(dead)} adapters got no gradient in the first step and would never learn: {shown}; "
                        "adapt this tower by last_k or full, or name other targets")


def merge(model: DualEncoder) -> DualEncoder:
    """Add LoRA's updates to the weights, in place: afterwards the model is a plain one, of which everything learns.

    Returns:
        the same model; its vectors change by rounding alone.
    """
    if model.adapted is None:
        return model
    from peft.tuners.tuners_utils import BaseTunerLayer
    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            model.set_submodule(name, module.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
    model.adapted = None
    model.requires_grad_(True)
    return model.train(model.training)


def _row(part: str, mode: str, parameters: list[nn.Parameter]) -> TableRow:
    return TableRow(part, mode, sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
                    sum(parameter.numel() for parameter in parameters))


def _learning_modules(model: DualEncoder, side: Side, adaptation: Adaptation) -> list[str]:
    """Names of the modules of one side that learn whole."""
    parts, mode = model.parts(side), adaptation.mode(side)
    tower, projections = model.towers.modules_of(side)
    projections = [f"towers.{name}" for name in projections]
    if mode == "full":
        return [f"towers.{tower}", *projections]
    if mode == "lora":
        return projections
    if mode == "frozen":
        return []
    if adaptation.last_k > len(parts.blocks):
        raise UserError(f"last_k is {adaptation.last_k}, and the {side} tower has {len(parts.blocks)} blocks: choose "
                        "fewer, or adapt it in full")
    return [*parts.blocks[len(parts.blocks) - adaptation.last_k:], *parts.after]


def _inject_lora(model: DualEncoder, targets: list[str], adaptation: Adaptation) -> None:
    from peft import LoraConfig, inject_adapter_in_model  # late: it takes a second to import
    inject_adapter_in_model(LoraConfig(r=adaptation.rank, lora_alpha=adaptation.alpha,
                                       lora_dropout=adaptation.dropout, target_modules=targets), model)
