"""Leaks: test examples that the model has learned by heart, because training had the same picture or text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vector_universe.data.doctor.copies import ACROSS, image_cases, text_cases
from vector_universe.data.doctor.scan import Seen
from vector_universe.data.duplicates import alike_groups, equal_groups

KINDS = {"image_identical": "identical picture", "image_alike": "nearly the same picture",
         "text_identical": "identical text", "text_alike": "the same text but for case, punctuation and spaces"}


@dataclass(frozen=True)
class Leak:
    """A test example that repeats a training example.

    Attributes:
        kind: of `KINDS`.
        id: of the test example.
        trained_id: of the training example that it repeats.
        detail: what exactly, for people.
    """

    kind: str
    id: str
    trained_id: str
    detail: str

    @property
    def of_image(self) -> bool:
        """Whether the picture is repeated, not only the text."""
        return self.kind.startswith("image")


def find_leaks(trained: Sequence[Seen], tested: Sequence[Seen]) -> list[Leak]:
    """Test examples whose picture or text is in training, exactly or nearly; an example may stand under several kinds.

    Texts of which more than half are in training too are names of classes and no leak. A text that only comes along
    with its picture is counted with the picture.

    Args:
        trained, tested: what `data.doctor.scan` kept of the examples; their splits do not count.
    """
    seen = [replace(one, place=place, split="train" if place < len(trained) else "test")
            for place, one in enumerate([*trained, *tested])]
    digests = [one.picture.digest for one in seen]
    alike = alike_groups([one.picture.look for one in seen], digests)
    cases = [*image_cases(seen, equal_groups(digests), alike), *text_cases(seen, alike)]
    leaks = [Leak(case.kind.removesuffix(ACROSS), case.file, case.partner_file, case.detail) for case in cases
             if case.kind.endswith(ACROSS) and case.split == "test" and case.partner_split == "train"]
    return sorted(leaks, key=lambda leak: list(KINDS).index(leak.kind))
