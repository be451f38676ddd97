"""Data on disk that changes, and what is compared of two universes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.universes import WIDTH, FakeModel, png, unit
from vector_universe import Universe, load_dataset
from vector_universe.data.example import Example
from vector_universe.index.build import Given, IndexOptions, bring_up_to_date
from vector_universe.index.ingest.update import Change
from vector_universe.index.table.rows import VECTOR_COLUMNS, said_sum, sum_of, vector_sums


class CountedModel(FakeModel):
    """Counts the pictures that it embeds; one of another name has other vectors, so that mixed ones would be seen."""

    logit_scale = torch.tensor(3.0)

    def __init__(self, name: str = "one") -> None:
        super().__init__(name)
        self.embedded = 0
        self._turn = np.linalg.qr(np.random.default_rng(len(name)).normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)

    def embed_images(self, images, batch_size=256):
        self.embedded += len(images)
        return self._turned(super().embed_images(images))

    def embed_texts(self, texts, batch_size=1024):
        return self._turned(super().embed_texts(texts))

    def _turned(self, rows):
        return unit(np.stack([row @ self._turn for row in rows]))  # one by one: the same in batches of any size

    def save_pretrained(self, folder):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "config.json").write_text(json.dumps({"name": self.name}))
        (Path(folder) / "tokenizer.json").write_text("{}")


def examples(numbers=range(40)) -> list[Example]:
    """Items item-0, item-1, … of even or odd labels."""
    return [Example(f"item-{number}", png(number), [f"picture {number}"], ["odd" if number % 2 else "even"])
            for number in numbers]


class Folder:
    """Pictures with metadata.csv on disk, changed as a user would.

    Attributes:
        rows: by file name; call `write` after a change of them.
    """

    def __init__(self, path: Path, numbers=range(12), **columns: Any) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        (path / "images").mkdir(parents=True)
        for number in numbers:
            self.add(number, **columns)
        self.write()

    def add(self, number: int, **columns: Any) -> str:
        name = f"{number:03}.png"
        (self.path / "images" / name).write_bytes(png(number))
        self.rows[name] = {"title": f"picture {number}", "labels": "odd" if number % 2 else "even"} | columns
        return name

    def repaint(self, name: str, seed: int) -> None:
        (self.path / "images" / name).write_bytes(png(seed))

    def remove(self, name: str) -> None:
        del self.rows[name]
        (self.path / "images" / name).unlink()

    def write(self) -> None:
        names = list(dict.fromkeys(column for row in self.rows.values() for column in row))
        with (self.path / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, ["file_name", *names])
            table.writeheader()
            table.writerows({"file_name": name} | row for name, row in self.rows.items())


def index(data: Any, out: Any, model: Any = None, **options: Any) -> Change:
    """`vu index`: of a data set, a `Folder` or a path."""
    if isinstance(data, Folder):
        data = data.path
    dataset = load_dataset(data) if isinstance(data, str | Path) else data
    return bring_up_to_date(model or CountedModel(), Given(dataset), str(out), IndexOptions(**options))


def counts(change: Change) -> tuple[int, int, int, int, int]:
    """(new, changed, removed, unchanged, embedded)."""
    return change.new, change.changed, change.removed, change.unchanged, change.embedded


def content(out: Any, model: Any = None, derived: bool = True) -> dict[str, dict[str, Any]]:
    """All that a universe holds, by id; every row is checked against its sums.

    Args:
        derived: with places on the map and topics, which depend on the order of writing.
    """
    universe = Universe.open(str(out), model or CountedModel())
    return rows_of(universe.table, derived)


def rows_of(table: Any, derived: bool = True) -> dict[str, dict[str, Any]]:
    """All rows of a table by id, each checked."""
    rows = table.scan(list(table.schema.names)).to_pylist()
    assert len({row["id"] for row in rows}) == len(rows), "an id is there twice"
    for row in rows:
        assert row.pop("said_sum") == said_sum(row, table.metadata)
        for column in VECTOR_COLUMNS:
            found = row.pop(sum_of(column))
            if row[column] is not None:
                assert found == vector_sums(np.array([row[column]], np.float16))[0]
        if not derived:
            for name in ("x", "y", "topic"):
                row.pop(name)
    return {row["id"]: row for row in rows}


def answers(out: Any, model: Any = None, titles=("picture 3", "something else")) -> list[Any]:
    """What a universe answers to a few queries."""
    model = model or CountedModel()
    universe = Universe.open(str(out), model)
    found: list[Any] = [[(hit.id, hit.title, hit.labels, round(hit.score, 9)) for hit in universe.search(title, k=20)]
                        for title in titles]
    return [*found, [hit.id for hit in universe.search(image=png(5), k=5)], len(universe)]
