"""The subject of an evaluation: one model with one data set, embedded once and measured in many ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vector_universe.data import Example, ImageTextDataset, SkippedRow
from vector_universe.data.images import ImageError
from vector_universe.data.read_ahead import read_ahead
from vector_universe.errors import UserError
from vector_universe.models import DualEncoder
from vector_universe.models.image_encoder import ImageEncoder
from vector_universe.models.load import embedding_texts
from vector_universe.models.post_processing import PostProcessing
from vector_universe.models.predictors import Predictor

CHUNK = 256  # pictures that are decoded before they are embedded

Transform = Callable[[np.ndarray, Example], np.ndarray]  # prepared pixels, uint8 (S, S, 3), to others


@dataclass(frozen=True)
class Subject:
    """A model and N readable examples with their image vectors.

    Attributes:
        name: of the model, for people.
        model: what is measured.
        dataset: what it is measured on.
        examples: those whose image could be decoded, in order.
        images_ND: their unit rows, float32.
        skipped: the others, with the reason.
        folder: where the model came from; None where that is not known.
    """

    name: str
    model: DualEncoder | Predictor
    dataset: ImageTextDataset
    examples: list[Example]
    images_ND: np.ndarray
    skipped: list[SkippedRow]
    folder: Path | None = None
    _texts: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: DualEncoder | Predictor, dataset: ImageTextDataset, name: str = "model",
           advance: Callable[[int], None] | None = None, folder: Path | None = None) -> Subject:
        """Embed every readable image of a data set; `advance(1)` is called as each gets done.

        Raises:
            UserError: the model returns NaN.
        """
        examples, images_ND, skipped = embed_examples(model, dataset, advance)
        return cls(name, model, dataset, examples, images_ND, skipped, folder)

    def post_processed(self, found: PostProcessing) -> Subject:
        """The same with image vectors as the model gives them once it has this post-processing."""
        return replace(self, images_ND=found.apply_to(self.images_ND, "image"), _texts={})

    def at(self, places_M: np.ndarray) -> Subject:
        """The same with the examples at these places alone."""
        return replace(self, examples=[self.examples[place] for place in places_M], images_ND=self.images_ND[places_M])

    @property
    def encoder(self) -> DualEncoder:
        """The model, where it embeds texts.

        Raises:
            UserError: it predicts words.
        """
        return embedding_texts(self.model, self.name)

    def places(self, split: str) -> np.ndarray:
        """Places of the examples of a split."""
        return np.array([place for place, example in enumerate(self.examples) if example.split == split], np.int64)

    @property
    def test_split(self) -> str | None:
        """The split to judge by: "test", or "validation" where there is no test split; None where there is neither."""
        return next((split for split in ("test", "validation") if len(self.places(split))), None)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows (N, D) of texts; each is embedded once, however often it is asked for.

        Raises:
            UserError: the model returns NaN, or predicts words and embeds no texts.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        if new:
            rows = self.encoder.embed_texts(new)
            refuse_nan(rows, new)
            self._texts.update(zip(new, rows, strict=True))
        return np.stack([self._texts[text] for text in texts]) if len(texts) else np.empty(
            (0, self.images_ND.shape[1]), np.float32)


def embed_examples(model: ImageEncoder, examples: ImageTextDataset | Sequence[Example],
                   advance: Callable[[int], None] | None = None, transform: Transform | None = None,
                   ) -> tuple[list[Example], np.ndarray, list[SkippedRow]]:
    """Decode and embed pictures, a chunk in memory at a time.

    Args:
        model: embeds.
        examples: whose pictures.
        advance: called with 1 as each gets done.
        transform: changes prepared pixels, uint8 (S, S, 3), before they are embedded.

    Returns:
        the readable examples, their unit rows (N, D), and the others with the reason.

    Raises:
        UserError: the model returns NaN.
    """
    kept: list[Example] = []
    skipped: list[SkippedRow] = []

    def read(example: Example) -> np.ndarray:
        pixels = model.framing.pixels(example.image)
        return pixels if transform is None else transform(pixels, example)

    def readable() -> Iterator[np.ndarray]:
        for example, found in read_ahead(read, examples):
            if isinstance(found, ImageError):
                skipped.append(SkippedRow(example.id, None, str(found)))
            else:
                kept.append(example)
                yield found
            if advance:
                advance(1)

    chunks, chunk = [], list[np.ndarray]()
    for pixels in readable():
        chunk.append(pixels)
        if len(chunk) == CHUNK:
            chunks.append(model.embed_pixels(np.stack(chunk)))
            chunk = []
    if chunk or not chunks:
        size = model.framing.size
        chunks.append(model.embed_pixels(np.stack(chunk) if chunk else np.empty((0, size, size, 3), np.uint8)))
    rows_ND = np.concatenate(chunks)
    refuse_nan(rows_ND, [example.id for example in kept])
    return kept, rows_ND, skipped


def refuse_nan(rows_ND: np.ndarray, names: Sequence[str]) -> None:
    """Refuse vectors that are no numbers.

    Raises:
        UserError: naming how many, and the first.
    """
    bad = np.flatnonzero(~np.isfinite(rows_ND).all(axis=1))
    if len(bad):
        raise UserError(f"the model returns NaN for {len(bad)} of {len(rows_ND)} inputs, the first is "
                        f"{names[int(bad[0])][:80]!r}: nothing can be measured, train it again")
