"""`TowerCut`: the place in a tower in front of everything that learns.

What comes before it is the same in every epoch, so that it is computed once for each view and read back later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vector_universe.models.dual_encoder import DualEncoder
from vector_universe.models.towers import Side


class TowerCut:
    """One side of a model, in two halves: `resume(activations(*inputs), *inputs)` is the plain encoding of `inputs`.

    The front half is deterministic: it learns nothing and runs in evaluation mode, without dropout. Both halves run
    the tower's own forward pass, whose blocks in front of the cut are overridden during the call, so that masks,
    pooling, norms and projection are the model's own. No other thread may use the same side meanwhile.

    Attributes:
        kind: "activation", the output of the last block that learns nothing; "embedding", the unit rows themselves,
            where nothing of the side learns.
        depth: how many blocks are in front of the cut.
    """

    kind: Literal["embedding", "activation"]

    def __init__(self, model: DualEncoder, side: Side, depth: int | None) -> None:
        """Use `TowerCut.of`, which finds the depth; None stands for the end of the side."""
        parts = model.parts(side)
        tower, projections = model.towers.modules_of(side)
        self.model = model
        self.side = side
        self.kind = "embedding" if depth is None else "activation"
        self.depth = len(parts.blocks) if depth is None else depth
        self._blocks = [model.get_submodule(name) for name in parts.blocks[:self.depth]]
        self._everything = [module for name in (tower, *projections)
                            for module in model.towers.get_submodule(name).modules()]
        self._front = list(_in_front(model, parts.tower, parts.blocks, self.depth))
        self._form: _Form | None = None

    @classmethod
    def of(cls, model: DualEncoder, side: Side) -> TowerCut | None:
        """Find the cut by which parameters of the side learn; None where the first block or what precedes it does."""
        parts = model.parts(side)
        tower, projections = model.towers.modules_of(side)
        mine = tuple(f"towers.{name}." for name in (tower, *projections))
        learning = [name for name, weight in model.named_parameters(remove_duplicate=False)
                    if weight.requires_grad and name.startswith(mine)]
        if not learning:
            return cls(model, side, None)
        learns = [any(name.startswith(f"{block}.") for name in learning) for block in parts.blocks]
        depth = learns.index(True) if any(learns) else len(learns)
        behind = tuple(f"{name}." for name in (*parts.blocks[depth:], *parts.after))
        return cls(model, side, depth) if depth and all(name.startswith(behind) for name in learning) else None

    @torch.no_grad()
    def activations(self, *inputs: Tensor) -> Tensor:
        """What stands at the cut, without gradient: (B, L, W), (B, C, H, W), or unit rows (B, D).

        Args:
            inputs: normalised pixels (B, 3, S, S), or token ids and attention mask (B, L).
        """
        with _in_evaluation(self._everything):
            if self.kind == "embedding":
                return self._encode(*inputs)
            last = self._blocks[-1]
            forward = last.forward

            def stop(*args: Any, **kwargs: Any) -> Any:
                raise _Reached(forward(*args, **kwargs))

            try:
                with _instead([last], stop):
                    self._encode(*inputs)
            except _Reached as reached:
                activations, self._form = _read(reached.output)
                return activations
        raise _OtherForm(f"the {self.side} tower does not run its blocks")

    def resume(self, activations: Tensor, *inputs: Tensor) -> Tensor:
        """Unit rows (B, D) from what stands at the cut, with gradient to what learns.

        Args:
            activations: as `activations` gave them, at least once before by this object; texts padded to (B, L, W).
            inputs: for texts their token ids and attention mask (B, L); for images nothing.
        """
        if self.kind == "embedding":
            return activations
        assert self._form is not None, "activations tells how the blocks give their output: call it first"
        answer = self._form.output(activations)
        if self.side == "image":  # one black picture goes through what is before the blocks, for want of pixels
            size = self.model.config.image_size
            inputs = (torch.zeros(1, 3, size, size, device=activations.device),)
        with _in_evaluation(self._front), _instead(self._blocks, lambda *_, **__: answer):
            return self._encode(*inputs)

    def rows(self, activations: Tensor, *inputs: Tensor) -> list[Tensor]:
        """A batch of activations as one tensor an item: of texts (B, L, W) without their padding.

        Padding stays where the model reads it (`config.pad_texts_to_max`).
        """
        if self.side == "image" or self.kind == "embedding" or self.model.config.pad_texts_to_max:
            return list(activations)
        lengths = inputs[1].sum(dim=1).tolist()
        return [row[:length] for row, length in zip(activations, lengths, strict=True)]

    @torch.no_grad()
    def check(self, *inputs: Tensor) -> bool:
        """Whether this tower can be cut: on a first batch, kept rows must give what the plain encoding gives.

        It cannot where a block takes more from earlier ones than their output (T5's position bias), where an item's
        activations depend on the rest of its batch, or where padding is read. Everything runs as in evaluation, and
        in the type of the weights.
        """
        with _in_evaluation(self._everything), torch.autocast(self.model.device.type, enabled=False):
            plain = self._encode(*inputs)
            try:
                rows = self.rows(self.activations(*inputs), *inputs)
                shortest = min(range(len(rows)), key=lambda place: len(rows[place]))
                alone = [part[shortest:shortest + 1] for part in inputs]
                if self.side == "text" and self.kind == "activation":
                    alone = [part[:, :len(rows[shortest])] for part in alone]
                again = self.rows(self.activations(*alone), *alone)
                return all(self._close(plain, found, inputs) for found in (
                    rows, [*rows[:shortest], *again, *rows[shortest + 1:]]))
            except (_OtherForm, RuntimeError, TypeError, ValueError, LookupError, AttributeError):
                return False

    def _close(self, plain: Tensor, rows: Sequence[Tensor], inputs: Sequence[Tensor]) -> bool:
        found = self.resume(stack_rows(rows), *inputs)
        fine = torch.finfo(self.model.dtype).eps < 1e-6
        return found.shape == plain.shape and torch.allclose(found, plain, rtol=0, atol=1e-5 if fine else 2e-2)

    def _encode(self, *inputs: Tensor) -> Tensor:
        return self.model.encode_images(*inputs) if self.side == "image" else self.model.encode_texts(*inputs)


def stack_rows(rows: Sequence[Tensor]) -> Tensor:
    """The inverse of `TowerCut.rows`: one batch, texts (L, W) padded with zeros to the longest, (B, L, W)."""
    return pad_sequence(list(rows), batch_first=True)


class _Reached(BaseException):
    """Ends a forward pass at the cut; no model that catches an `Exception` may swallow it."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output


class _OtherForm(Exception):
    """A tower that cannot be cut."""


@dataclass(frozen=True)
class _Form:
    """How a block gives its output: alone, or first in a tuple, and in which order of memory.

    Other tensors in the tuple are not kept: most towers do not read them, and `check` finds those that do.
    """

    others: tuple[Any, ...] | None
    channels_last: bool

    def output(self, activations: Tensor) -> Any:
        if self.channels_last:  # convolutions are faster so, and round as they did
            activations = activations.contiguous(memory_format=torch.channels_last)
        return activations if self.others is None else (activations, *self.others)


def _read(output: Any) -> tuple[Tensor, _Form]:
    """A block's output as activations and their form.

    Raises:
        _OtherForm: it is neither a tensor nor a plain tuple that begins with one.
    """
    activations, others = (output[0], output[1:]) if isinstance(output, tuple) else (output, None)
    if not isinstance(activations, Tensor) or not all(_is_plain(item) for item in others or ()):
        raise _OtherForm("a block gives neither a tensor nor a plain tuple that begins with one")
    if others is not None:
        others = tuple(None if isinstance(item, Tensor) else item for item in others)
    channels_last = activations.ndim == 4 and activations.is_contiguous(memory_format=torch.channels_last) \
        and not activations.is_contiguous()
    return activations, _Form(others, channels_last)


def _is_plain(item: Any) -> bool:
    """None, a number, a tensor, or several numbers, such as a height and a width."""
    return item is None or isinstance(item, int | Tensor) or \
        (isinstance(item, tuple) and all(isinstance(number, int) for number in item))


def _in_front(model: nn.Module, tower: str, blocks: Sequence[str], depth: int) -> Iterator[nn.Module]:
    """The modules of the first `depth` blocks, and those registered before the blocks."""
    if not blocks:
        return
    first = f"{blocks[0]}."
    before = True
    for name, module in model.get_submodule(tower).named_modules(prefix=tower):
        before = before and name != blocks[0]
        if (before and not first.startswith(f"{name}.")) or f"{name}.".startswith(
                tuple(f"{block}." for block in blocks[:depth])):
            yield module


@contextmanager
def _instead(modules: Iterable[nn.Module], forward: Callable[..., Any]) -> Iterator[None]:
    """Let modules answer by `forward` for a while; names, parameters and hooks stay as they are."""
    former = [(vars(module), vars(module).get("forward")) for module in modules]
    try:
        for attributes, _ in former:
            attributes["forward"] = forward
        yield
    finally:
        for attributes, own in former:
            if own is None:
                del attributes["forward"]
            else:
                attributes["forward"] = own


@contextmanager
def _in_evaluation(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Put modules in evaluation mode for a while."""
    training = [module for module in modules if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True
