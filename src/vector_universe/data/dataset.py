"""One data set of examples, whatever the source: a Hugging Face `datasets` table plus what was left out of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from vector_universe.data.example import Example
from vector_universe.data.images import encoded_size
from vector_universe.data.rows import arrow_schema, to_example, to_row
from vector_universe.data.skipped import Remark, SkippedRow

if TYPE_CHECKING:
    import datasets


class ImageTextDataset:
    """Examples in an Arrow table (`table`), with the rows that were skipped and why.

    Attributes:
        table: `datasets.Dataset` with columns id, image {bytes, path, offset, length}, texts, labels, held_out_texts,
            ocr, split and metadata (JSON; null where there is none). An image is its bytes, or the file at `path`, or
            `length` bytes of that file from `offset`.
        name: short name for people.
        source: what was given to `load_dataset`.
        skipped: rows that could not be used.
        remarks: what was read otherwise than it stands.
        attribution: credit that must be shown with the pictures; "" if none is due.
    """

    def __init__(self, table: datasets.Dataset, *, name: str, source: str,
                 skipped: Sequence[SkippedRow] = (), attribution: str = "", remarks: Sequence[Remark] = ()) -> None:
        self.table = table
        self.name = name
        self.source = source
        self.skipped = tuple(skipped)
        self.attribution = attribution
        self.remarks = tuple(remarks)

    @classmethod
    def from_examples(cls, examples: Sequence[Example], *, name: str, source: str,
                      skipped: Sequence[SkippedRow] = (), attribution: str = "",
                      remarks: Sequence[Remark] = ()) -> ImageTextDataset:
        """Build the table from examples in memory; an id that occurs twice keeps its first row and counts the rest."""
        import datasets

        first: dict[str, Example] = {}
        repeated = []
        for row, example in enumerate(examples, 1):
            if example.id in first:
                repeated.append(SkippedRow(example.id, row, "duplicate id"))
            else:
                first[example.id] = example
        features = datasets.Features.from_arrow_schema(arrow_schema())
        table = datasets.Dataset.from_list([to_row(example) for example in first.values()], features=features)
        return cls(table, name=name, source=source, skipped=(*skipped, *repeated), attribution=attribution,
                   remarks=remarks)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> Example:
        return to_example(self.table[index])

    def __iter__(self) -> Iterator[Example]:
        for row in self.table:
            yield to_example(row)

    def split(self, name: str) -> ImageTextDataset:
        """The examples of one split: "train", "validation" or "test"."""
        return self.select([i for i, split in enumerate(self.table["split"]) if split == name])

    def select(self, indices: Sequence[int]) -> ImageTextDataset:
        """The examples at these positions, in this order."""
        return self._of(self.table.select(indices))

    def with_ocr(self, texts: Sequence[str]) -> ImageTextDataset:
        """The same examples with this text read off each picture, in their order.

        Raises:
            ValueError: not one text an example.
        """
        return self._with_column("ocr", texts)

    def with_splits(self, splits: Sequence[str]) -> ImageTextDataset:
        """The same examples in these splits, in their order.

        Raises:
            ValueError: not one split an example.
        """
        return self._with_column("split", splits)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of ids, texts, labels, splits, read-off texts and image sizes: the same wherever the data lies."""
        digest = hashlib.sha256()
        for example in self:
            size = encoded_size(example.image)
            digest.update(repr((example.id, example.texts, example.labels, example.held_out_texts,
                                example.split, size, *filter(None, [example.ocr]))).encode())
        return digest.hexdigest()[:16]

    def summary(self) -> str:
        """One line for people: counts of images, texts, labels and skipped rows."""
        splits = Counter(self.table["split"])
        texts = sum(len(texts) for texts in self.table["texts"])
        labels = len({label for labels in self.table["labels"] for label in labels})
        line = (f"{self.name}: {len(self):,} images, {texts:,} texts, {labels:,} labels "
                f"(train {splits['train']:,}, validation {splits['validation']:,}, test {splits['test']:,})")
        return line + (f"; {len(self.skipped):,} rows skipped" if self.skipped else "")

    def _with_column(self, name: str, values: Sequence[str]) -> ImageTextDataset:
        if len(values) != len(self):
            raise ValueError(f"{name} has {len(values)} entries, but the data set holds {len(self)} examples")
        table = self.table.remove_columns(name).add_column(name, list(values), feature=self.table.features[name])
        return self._of(table)

    def _of(self, table: datasets.Dataset) -> ImageTextDataset:
        return ImageTextDataset(table, name=self.name, source=self.source, skipped=self.skipped,
                                attribution=self.attribution, remarks=self.remarks)
