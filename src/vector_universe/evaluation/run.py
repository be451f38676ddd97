"""`evaluate`: a model and a data set in, retrieval figures by split out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vector_universe.data import ImageTextDataset, SkippedRow
from vector_universe.evaluation.evaluators.retrieval import retrieval_by_split
from vector_universe.evaluation.retrieval import Retrieval
from vector_universe.evaluation.retrieval_tests import prompts
from vector_universe.evaluation.subject import Subject
from vector_universe.models import DualEncoder

__all__ = ["Evaluation", "evaluate", "prompts"]


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
    subject = Subject.of(model, dataset, advance=advance)
    found = retrieval_by_split(subject)
    return Evaluation(found.text_to_image, found.image_to_text, subject.skipped, len(subject.examples))
