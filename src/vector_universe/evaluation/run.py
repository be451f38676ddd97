"""`evaluate`: a model and a data set in, retrieval figures by split out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vector_universe.data import Example, ImageTextDataset, SkippedRow, read_pixels
from vector_universe.data.splits import SPLITS
from vector_universe.evaluation.retrieval import Retrieval, retrieval
from vector_universe.models import DualEncoder


@dataclass(frozen=True)
class Evaluation:
    """Retrieval figures by name of the test: a split's name, "… among all", or "unseen texts among all".

    Attributes:
        text_to_image, image_to_text: from the test's name to its figures.
        skipped: examples whose image could not be decoded.
        images: how many could.
    """

    text_to_image: dict[str, Retrieval]
    image_to_text: dict[str, Retrieval]
    skipped: list[SkippedRow]
    images: int

    def as_dict(self) -> dict:
        """Everything, for JSON."""
        return {
            "images": self.images,
            "skipped": [{"file": row.file, "reason": row.reason} for row in self.skipped],
            "text_to_image": {name: figures.as_dict() for name, figures in self.text_to_image.items()},
            "image_to_text": {name: figures.as_dict() for name, figures in self.image_to_text.items()},
        }


def evaluate(model: DualEncoder, dataset: ImageTextDataset,
             advance: Callable[[int], None] | None = None) -> Evaluation:
    """Measure retrieval in both directions, on each split by itself and with each split's queries among all images.

    Equal texts are one query with several right images; an image with several captions has several right texts.
    Images without a text are asked for by their labels. Texts that the data set keeps out of training are tried as
    "unseen texts". `advance(n)` is called as images get decoded.
    """
    pixels = read_pixels(dataset, model.framing, advance)
    images = model.embed_pixels(pixels.array)
    examples = pixels.examples
    everywhere = range(len(examples))
    texts = [prompts(example) for example in examples]
    text_to_image: dict[str, Retrieval | None] = {}
    image_to_text: dict[str, Retrieval | None] = {}
    for split in SPLITS:
        members = [i for i in everywhere if examples[i].split == split]
        right = _right_images(texts, members, members)
        texts_QD, members_MD = model.embed_texts(list(right)), images[np.asarray(members, int)]
        text_to_image[split] = retrieval(texts_QD, members_MD, list(right.values()))
        right_among_all = _right_images(texts, members, everywhere)
        text_to_image[f"{split} among all"] = retrieval(texts_QD, images, list(right_among_all.values()))
        place = {text: row for row, text in enumerate(right)}
        image_to_text[split] = retrieval(members_MD, texts_QD, [[place[text] for text in texts[i]] for i in members])
    trained = [i for i in everywhere if examples[i].split == "train"]
    unseen = _right_images([example.held_out_texts for example in examples], trained, everywhere)
    text_to_image["unseen texts among all"] = retrieval(model.embed_texts(list(unseen)), images, list(unseen.values()))
    return Evaluation({name: figures for name, figures in text_to_image.items() if figures},
                      {name: figures for name, figures in image_to_text.items() if figures},
                      pixels.skipped, len(examples))


def prompts(example: Example) -> list[str]:
    """The texts that stand for an example: its own, or its labels where it has none."""
    return example.texts or [", ".join(example.labels)]


def _right_images(texts: Sequence[Sequence[str]], asked: Sequence[int],
                  candidates: Sequence[int]) -> dict[str, list[int]]:
    """For each distinct text of the examples `asked`, the places among `candidates` of all images that carry it."""
    right: dict[str, list[int]] = {text: [] for index in asked for text in texts[index]}
    for place, index in enumerate(candidates):
        for text in dict.fromkeys(texts[index]):
            if text in right:
                right[text].append(place)
    return right
