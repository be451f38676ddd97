"""The two sides of an example: pictures and texts, from rows of the data to embeddings of one view of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vector_universe.data.frame_store import FrameStore
from vector_universe.models import DualEncoder
from vector_universe.models.cut import TowerCut, stack_rows
from vector_universe.models.precision import autocast
from vector_universe.models.towers import Side
from vector_universe.training.activation_cache import ActivationCache
from vector_universe.training.views import ImageViews, text_view


@dataclass(frozen=True)
class ReadBack:
    """What spares a frozen part of a tower its work: where it ends, and what it made of each view.

    Without a cache it works each time, to the same result: frozen parts run without dropout either way.
    """

    cut: TowerCut
    cache: ActivationCache | None


class _Side:
    """What both sides share; `inputs` makes the model's arguments out of rows of the data.

    Attributes:
        learns: whether any parameter of the side learns.
        views: how many different views an example has; None for new ones each epoch.
    """

    side: Side

    def __init__(self, model: DualEncoder, views: int | None, read_back: ReadBack | None) -> None:
        self.model, self.views, self.read_back = model, views, read_back
        tower, projections = model.towers.modules_of(self.side)
        self.learns = any(parameter.requires_grad for name in (tower, *projections)
                          for parameter in model.towers.get_submodule(name).parameters())

    def inputs(self, rows: Sequence[int], view: int) -> tuple[Tensor, ...]:
        """Arguments of `encode` for a view of these rows, not yet on the device."""
        raise NotImplementedError

    def encode(self, *inputs: Tensor) -> Tensor:
        """Unit rows (b, D)."""
        raise NotImplementedError

    def prepare(self, rows: Sequence[int], view: int) -> Any:
        """All that can be made ready without the model; may run in another thread."""
        cache = self.read_back.cache if self.read_back else None
        missing = list(rows) if cache is None else [rows[place] for place in cache.missing(rows, view)]
        return rows, view, missing, self.inputs(missing, view) if missing else ()

    def embed(self, prepared: Any) -> Tensor:
        """Unit rows (b, D) of what `prepare` made ready."""
        rows, view, missing, inputs = prepared
        inputs = tuple(tensor.to(self.model.device) for tensor in inputs)
        if self.read_back is None:
            return self.encode(*inputs)
        cut, cache = self.read_back.cut, self.read_back.cache
        made: dict[int, Tensor] = {}
        if missing:
            made = dict(zip(missing, cut.rows(cut.activations(*inputs), *inputs), strict=True))
        if cache is not None:
            cache.put(missing, view, list(made.values()))
            kept = [row for row in rows if row not in made]
            made |= dict(zip(kept, (tensor.to(self.model.device) for tensor in cache.get(kept, view)), strict=True))
        return cut.resume(stack_rows([made[row] for row in rows]), *self.inputs_to_resume(rows, view))

    def inputs_to_resume(self, rows: Sequence[int], view: int) -> tuple[Tensor, ...]:
        """What the rest of the tower reads besides the activations."""
        return ()


class ImageSide(_Side):
    """Pictures: frames that are kept or decoded, and random views of them."""

    side: Side = "image"

    def __init__(self, model: DualEncoder, store: FrameStore, transform: ImageViews, seed: int,
                 views: int | None = None, read_back: ReadBack | None = None) -> None:
        super().__init__(model, views, read_back)
        self.store, self.transform, self.seed = store, transform, seed

    def inputs(self, rows: Sequence[int], view: int) -> tuple[Tensor, ...]:
        return (self.transform(self.store.frames(rows), rows, view, self.seed, self.model.framing),)

    def encode(self, *inputs: Tensor) -> Tensor:
        return self.model.encode_images(*inputs)

    @torch.inference_mode()
    def plain(self, rows: Sequence[int], batch_size: int = 32) -> Tensor:
        """Unit rows (N, D) of these pictures as they are, for validation."""
        with autocast(self.model):
            parts = [self.encode(ImageViews("none")(self.store.frames(some), some, 0, 0, self.model.framing)
                                 .to(self.model.device))
                     for some in (rows[start:start + batch_size] for start in range(0, len(rows), batch_size))]
        return torch.cat(parts)


class TextSide(_Side):
    """Texts: captions by turns, words left out."""

    side: Side = "text"

    def __init__(self, model: DualEncoder, texts: Sequence[Sequence[str]], word_dropout: float, seed: int,
                 views: int | None = None, read_back: ReadBack | None = None) -> None:
        super().__init__(model, views, read_back)
        self.texts, self.word_dropout, self.seed = texts, word_dropout, seed

    def chosen(self, rows: Sequence[int], view: int) -> list[str]:
        """Whole captions that this view reads of."""
        return [self._view(row, view)[0] for row in rows]

    def first(self, rows: Sequence[int]) -> list[str]:
        """The first text of each row, for validation."""
        return [self.texts[row][0] for row in rows]

    def inputs(self, rows: Sequence[int], view: int) -> tuple[Tensor, ...]:
        return self.model.tokenize([self._view(row, view)[1] for row in rows])

    def encode(self, *inputs: Tensor) -> Tensor:
        return self.model.encode_texts(*inputs)

    def inputs_to_resume(self, rows: Sequence[int], view: int) -> tuple[Tensor, ...]:
        return tuple(tensor.to(self.model.device) for tensor in self.inputs(rows, view))

    def _view(self, row: int, view: int) -> tuple[str, str]:
        return text_view(self.texts[row], row, view, self.seed, self.word_dropout)
