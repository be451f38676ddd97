"""The pairs that a generator learns from: real pictures at its size, and their texts, embedded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vector_universe.data import ImageTextDataset
from vector_universe.data.example import Example
from vector_universe.data.frame_store import FrameStore
from vector_universe.data.framing import Framing
from vector_universe.data.images import ImageError, open_image
from vector_universe.errors import UserError
from vector_universe.models import DualEncoder
from vector_universe.training.config import TrainConfig
from vector_universe.training.progress import TrainingProgress
from vector_universe.training.run_folder import RunFolder
from vector_universe.training.views import ImageViews, text_view

LEAST_PAIRS = 100  # as few pictures as DiffAugment was shown to learn from (Zhao et al. 2020)
SMALL_SHARE = 0.5  # of the pictures may be smaller than the generated ones
LOOKED_AT = 500  # pictures whose sizes are read
OWN_PICTURE = 0.5  # least share of different texts among pictures for which a text is said to have its own picture


class Pairs:
    """Training pairs, and held-out texts to look at.

    Attributes:
        examples: all that could be decoded, of the train and validation splits.
        training, validation: their places in `examples`.
        embedding_of: unit row (D,) of each text.
        own_pictures: whether nearly every text has a picture of its own.
    """

    def __init__(self, store: FrameStore, model: DualEncoder, config: TrainConfig) -> None:
        self.store, self.examples = store, store.examples
        self.training, self.validation = ([row for row, example in enumerate(self.examples) if example.split == split]
                                          for split in ("train", "validation"))
        self.seed, self.views = config.seed, ImageViews("none", config.flip, config.colour)
        self.framing = generator_framing(model.framing, config.generated_size)
        texts = sorted({text for example in self.examples for text in example.prompts})
        self.embedding_of = dict(zip(texts, torch.from_numpy(model.embed_texts(texts)), strict=True))
        self.own_pictures = have_own_pictures([self.examples[row] for row in self.training])

    def pixels(self, rows: Sequence[int], view: int = 0) -> Tensor:
        """A view of real pictures, float (B, 3, S, S) in [-1, 1]."""
        return self.views(self.store.frames(rows), rows, view, self.seed, self.framing)

    def bytes(self, rows: Sequence[int]) -> np.ndarray:
        """Real pictures as they are, uint8 (B, S, S, 3)."""
        size = self.framing.size
        frames = self.store.frames(rows)
        places = [((frame.shape[0] - size) // 2, (frame.shape[1] - size) // 2) for frame in frames]
        return np.stack([frame[top:top + size, left:left + size]
                         for frame, (top, left) in zip(frames, places, strict=True)])

    def texts(self, rows: Sequence[int], view: int) -> Tensor:
        """Unit rows (B, D) of a caption of each, which another view changes."""
        return torch.stack([self.embedding_of[text_view(self.examples[row].prompts, row, view, self.seed, 0.0)[0]]
                            for row in rows])

    def first_texts(self, rows: Sequence[int]) -> Tensor:
        """Unit rows (B, D) of the first caption of each."""
        return torch.stack([self.embedding_of[self.examples[row].prompts[0]] for row in rows])


def have_own_pictures(examples: Sequence[Example]) -> bool:
    """Whether nearly every text has a picture of its own, as with titles; with classes, many share one."""
    return len({text for example in examples for text in example.prompts}) >= OWN_PICTURE * len(examples)


def generator_framing(framing: Framing, size: int) -> Framing:
    """A model's framing at the generator's size; pixels come out in [-1, 1]."""
    return replace(framing.resized(size), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def read_pairs(dataset: ImageTextDataset, model: DualEncoder, config: TrainConfig, run: RunFolder,
               progress: TrainingProgress) -> Pairs:
    """Decode the pictures and embed the texts.

    Raises:
        UserError: see `check_pairs`; or too few pictures can be decoded.
    """
    used = [example for example in dataset if example.split != "test"]
    training = [example for example in used if example.split == "train"]
    check_pairs(training, dataset.source)
    check_sizes(training, config.generated_size, progress)
    with progress.decoding(len(used)) as advance:
        store = FrameStore.build(used, generator_framing(model.framing, config.generated_size), run.cache,
                                 int(config.cache_gb * 1e9) if config.cache else 0, advance)
    run.write_skipped([*dataset.skipped, *store.skipped])
    decoded = [example for example in store.examples if example.split == "train"]
    check_pairs(decoded, dataset.source, bool(store.skipped))
    return Pairs(store, model, config)


def check_pairs(training: Sequence[Example], source: str, some_skipped: bool = False) -> None:
    """Refuse what no text-conditional generator can learn from.

    Raises:
        UserError: too few pictures, or texts that are all missing or all the same.
    """
    if len(training) < LEAST_PAIRS:
        decoded = " that can be decoded (see skipped.csv)" if some_skipped else ""
        raise UserError(f"{source} has {len(training)} training pictures{decoded}: too few for a generator, which "
                        f"needs at least {LEAST_PAIRS}, and better some hundreds")
    texts = {text for example in training for text in example.prompts}
    if texts == {""}:
        raise UserError(f"no picture of {source} has a text or a label: a generator draws from texts; give "
                        "metadata.csv a column of titles or labels")
    if len(texts) == 1:
        raise UserError(f"all {len(training)} pictures of {source} have the same text, {texts.pop()!r}: a generator "
                        "that draws from texts needs different ones")


def check_sizes(training: Sequence[Example], size: int, progress: TrainingProgress) -> None:
    """Refuse pictures most of which are smaller than those to be generated: it would learn to blur.

    Raises:
        UserError: naming the size that would do.
    """
    step = max(1, len(training) // LOOKED_AT)
    longest = [side for side in (_longest_side(example) for example in training[::step]) if side is not None]
    small = sum(side < size for side in longest)
    if not small:
        return
    typical = sorted(longest)[len(longest) // 2]
    fitting = [fit for fit in (128, 64, 32) if fit <= typical]
    line = f"{small / len(longest):.0%} of the pictures are smaller than the {size} pixels to be generated"
    if small > SMALL_SHARE * len(longest):
        raise UserError(f"{line}, half of them at most {typical}: " + (
            f"give --generated-size {fitting[0]}" if fitting else "a generator needs pictures of at least 32 pixels"))
    progress.say(f"{line}: they are enlarged")


def _longest_side(example: Example) -> int | None:
    """In pixels, from the header alone; None where it cannot be read."""
    try:
        picture: Image.Image = open_image(example.image)
    except ImageError:
        return None
    with picture:
        return max(picture.size)
