"""The Universe: build it from a model and a data set, open it, search it, walk it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vector_universe.data.images import ImageSource
from vector_universe.data.skipped import write_skipped
from vector_universe.errors import UserError
from vector_universe.folders import claim_folder
from vector_universe.index.build import embed_dataset, example_queries
from vector_universe.index.burnt_in import BurntInText
from vector_universe.index.exact import top_k
from vector_universe.index.facts import (
    FORMAT,
    KIND,
    Facts,
    Vectors,
    check_model,
    read_facts,
    reuse_or_refuse,
    write_facts,
)
from vector_universe.index.fused import fused_vectors
from vector_universe.index.matches import Hit, MapPoints
from vector_universe.index.projection import project
from vector_universe.index.query import embed_query
from vector_universe.index.staging import clean_up, staged_folder
from vector_universe.index.store import ItemTable, write_items
from vector_universe.progress import StageProgress

if TYPE_CHECKING:
    from vector_universe.data import ImageTextDataset
    from vector_universe.models import DualEncoder
    from vector_universe.models.calibration import Calibration


class Universe:
    """An index of images with the model that embedded them; get one from `build` or `open`.

    Vectors and names are held in memory (4·D bytes an item and its texts), pictures stay on disk.
    Searching is exact: every vector is compared.
    """

    def __init__(self, path: Path, facts: Facts, table: ItemTable, model: DualEncoder | None) -> None:
        self.path = path
        self.facts = facts
        self._table = table
        self._model = model
        self._columns = table.read_columns()
        self._rows = {id: row for row, id in enumerate(self._columns.ids)}

    # ---- making and opening ----

    @classmethod
    def build(cls, model: DualEncoder, dataset: ImageTextDataset, out: str | Path, *,
              model_folder: str | Path | None = None, vectors: Literal["auto", "image", "fused"] = "auto",
              overwrite: bool = False,
              progress: StageProgress | None = None) -> Universe:
        """Embed a data set, lay out its map and write both, with a copy of the model, into the folder `out`.

        A universe of the same model and data is opened as it is. An old universe stays in use until the new
        one is complete; a build that is stopped leaves `out` as it was.

        Args:
            model: embeds the images, and later the queries.
            dataset: what to index; an image that cannot be read is listed in OUT/skipped.csv and left out.
            out: a new or empty folder, or a universe.
            model_folder: where the model came from, noted in universe.json.
            vectors: what stands for an item: "image" alone; or "fused", its image, its first text and its burnt-in
                text, as far as it has them, made one by the model's fusion head (by their mean, where it has none).
                "auto" is "fused" for a model with a fusion head.
            overwrite: replace a universe of another model, other data or other vectors.
            progress: called with (stage, done, total).

        Raises:
            UserError: `out` holds something else; or another universe and `overwrite` is false; or no image is
                readable.
        """
        if vectors not in ("auto", "image", "fused"):
            raise UserError(f"vectors is {vectors!r}: choose auto, image or fused")
        out = Path(out).absolute()
        clean_up(out)
        model_fingerprint = model.fingerprint()
        kind: Vectors = ("image" if model.fusion is None else "fused") if vectors == "auto" else vectors
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            claim_folder(out, KIND)  # refuses what is not ours
            if reuse_or_refuse(out, model_fingerprint, dataset.fingerprint, kind, overwrite):
                from vector_universe.models.calibration import store_calibration

                store_calibration(model.calibration, out / "model")  # it may be newer than the universe
                return cls.open(out, model)
        with staged_folder(out, KIND) as folder:
            embedded = embed_dataset(model, dataset, progress)
            vectors_ND = embedded.vectors_ND
            if kind == "fused":
                vectors_ND = fused_vectors(model, embedded.items, vectors_ND, progress)
            if progress is not None:
                progress("drawing the map", 0, 1)
            positions_N2 = project(vectors_ND)
            if progress is not None:
                progress("drawing the map", 1, 1)
            write_items(folder, embedded.items, vectors_ND, positions_N2)
            skipped = [*dataset.skipped, *embedded.skipped]
            write_skipped(folder / "skipped.csv", skipped)
            model.save_pretrained(folder / "model")
            facts = Facts(
                format=FORMAT,
                name=dataset.name,
                attribution=dataset.attribution,
                count=len(embedded.items),
                dimension=vectors_ND.shape[1],
                vectors=kind,
                skipped=len(skipped),
                model_fingerprint=model_fingerprint,
                data_fingerprint=dataset.fingerprint,
                model_folder=None if model_folder is None else str(model_folder),
                examples=example_queries(embedded.items),
            )
            write_facts(folder, facts)
        return cls.open(out, model)

    @classmethod
    def open(cls, path: str | Path, model: DualEncoder | None = None) -> Universe:
        """Open a universe.

        Args:
            path: its folder.
            model: the model to embed queries with; None loads the universe's own copy at the first query.

        Raises:
            UserError: there is none, it is damaged or of a newer format, or `model` is not the one that made it.
        """
        path = Path(path).absolute()
        if not path.exists():
            clean_up(path)  # a kill in mid-swap may have left it set aside
        facts = read_facts(path)
        if model is not None:
            check_model(path, facts, model)
        return cls(path, facts, ItemTable.open(path), model)

    # ---- queries ----

    def search(self, text: str | None = None, image: ImageSource | Image.Image | None = None,
               k: int = 9, *, burnt_in: str | None = None) -> list[Hit]:
        """The `k` items nearest to a text, an image, or both together, best first.

        Args:
            text: what to look for; blank text counts as none.
            image: a picture to look for.
            k: how many, at most.
            burnt_in: only items in whose burnt-in text all these words stand, in any order, whole and whatever their
                case. Without text and image: these items, those first in which the words stand most often, and
                scores of None.

        Raises:
            UserError: nothing to search for, an unreadable image, k < 1, or `burnt_in` where no item has such text.
        """
        _check_k(k)
        if burnt_in is not None and image is None and not (text or "").strip():
            return [self._hit(row, None) for row in self._burnt_in.rows(burnt_in)[:k]]
        hits = self.search_vector(self.query_vector(text, image), k, burnt_in=burnt_in)
        calibration = self._calibration if image is None else None
        if calibration is None:
            return hits
        among = len(self) if burnt_in is None else len(self._burnt_in.rows(burnt_in))
        chances = calibration.probability(np.array([hit.score for hit in hits]), among)
        return [replace(hit, probability=float(chance)) for hit, chance in zip(hits, chances, strict=True)]

    def doubt(self, hits: Sequence[Hit]) -> str | None:
        """One line for people where the best hit of a search by text is too far away to be an answer; else None."""
        best = hits[0].probability if hits else None
        if best is None or self._calibration is None or best >= self._calibration.least_probability:
            return None
        return f"nothing here matches well: the best is {hits[0].title!r}, {best:.0%} likely a match"

    def query_vector(self, text: str | None = None,
                     image: ImageSource | Image.Image | None = None) -> NDArray[np.float32]:
        """Embed a query: a text, an image, or both; (D,) float32, L2-normalised.

        Both become one as the items did: in a universe of fused vectors by the model's fusion, with the text for the
        title; else by their mean.

        Raises:
            UserError: nothing to search for (blank text counts as none), or an unreadable image.
        """
        return self._unit(embed_query(self.model, self.facts.vectors, text, image))

    def search_vector(self, vector_D: NDArray[np.floating[Any]], k: int = 9, *,
                      burnt_in: str | None = None) -> list[Hit]:
        """The `k` items of highest cosine to a vector, best first; equal scores in row order.

        Raises:
            UserError: the vector is of another width, zero, or holds NaN or infinity; k < 1; or as `search`.
        """
        _check_k(k)
        query_D, vectors_ND = self._unit(vector_D), self._columns.vectors_ND
        if burnt_in is None:
            rows, scores = top_k(vectors_ND, query_D, k)
        else:  # first who may be found, then the nearest k of them
            among = sorted(self._burnt_in.rows(burnt_in))
            if not among:
                return []
            places, scores = top_k(vectors_ND[among], query_D, k)
            rows = [among[place] for place in places]
        return [self._hit(row, score) for row, score in zip(rows, scores, strict=True)]

    def neighbours(self, id: str, k: int = 9) -> list[Hit]:
        """The `k` items nearest to an item, without itself.

        Raises:
            UserError: no such item, or k < 1.
        """
        _check_k(k)
        row = self.row(id)
        rows, scores = top_k(self._columns.vectors_ND, self._columns.vectors_ND[row], k + 1)
        others = [self._hit(other, score) for other, score in zip(rows, scores, strict=True) if other != row]
        return others[:k]

    def place(self, vector_D: NDArray[np.floating[Any]], k: int = 10) -> tuple[float, float]:
        """Where a vector belongs on the map: the mean of its k nearest items' places, weighted by 1 / distance.

        Raises:
            UserError: as `search_vector`.
        """
        _check_k(k)
        rows, scores = top_k(self._columns.vectors_ND, self._unit(vector_D), k)
        weights = 1.0 / (1.0 - np.asarray(scores) + 1e-6)
        x, y = np.average(self._columns.positions_N2[rows].astype(np.float64), axis=0, weights=weights)
        return float(x), float(y)

    # ---- what is in it ----

    def __len__(self) -> int:
        return len(self._columns.ids)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def row(self, id: str) -> int:
        """The row number of an item.

        Raises:
            UserError: no such item.
        """
        row = self._rows.get(id)
        if row is None:
            shown = id if len(id) <= 80 else f"{id[:80]}…"
            raise UserError(f"no item {shown!r} in the universe {self.facts.name!r}")
        return row

    def thumbnail(self, id: str) -> bytes:
        """An item's picture as WebP, at most 128 px long.

        Raises:
            UserError: no such item.
        """
        return self._table.thumbnail(self._columns.row_ids[self.row(id)])

    def map_points(self) -> MapPoints:
        """Every item's name, labels and place, in row order."""
        columns = self._columns
        return MapPoints(columns.ids, columns.titles, columns.positions_N2[:, 0], columns.positions_N2[:, 1],
                         columns.labels)

    def label_counts(self) -> dict[str, int]:
        """How many items carry each label, most frequent first, then by name."""
        counts = Counter(label for labels in self._columns.labels for label in dict.fromkeys(labels))
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def describe(self) -> str:
        """One line for people: name, size, what its vectors are of, and which model made it."""
        return self.facts.describe()

    @property
    def model(self) -> DualEncoder:
        """The model that made this universe, loaded from its own copy at first use.

        Raises:
            UserError: the copy is missing or is another model.
        """
        if self._model is None:
            from vector_universe.models import load_run_model

            model = load_run_model(self.path / "model")
            check_model(self.path, self.facts, model)
            self._model = model
        return self._model

    # ---- inside ----

    @cached_property
    def _calibration(self) -> Calibration | None:
        """What the model's cosines to these images mean; None where nobody has measured, or measured others."""
        found = self.model.calibration if self.facts.vectors == "image" else None
        if found is not None and found.model != self.facts.model_fingerprint:
            warnings.warn(f"the model's calibration.json was measured with the model {found.model[:12]}, not with this "
                          f"one, {self.facts.model_fingerprint[:12]}: scores are shown without probabilities",
                          stacklevel=2)
            return None
        return found

    @cached_property
    def _burnt_in(self) -> BurntInText:
        return BurntInText(self._columns.ocr)

    def _hit(self, row: int, score: float | None) -> Hit:
        columns = self._columns
        return Hit(row, columns.ids[row], columns.titles[row], columns.labels[row], score, columns.ocr[row])

    def _unit(self, vector_D: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        wide_D = np.asarray(vector_D, dtype=np.float64)
        if wide_D.shape != (self.facts.dimension,):
            raise UserError(f"a vector of shape {wide_D.shape} cannot be searched: this universe has "
                            f"{self.facts.dimension} dimensions")
        norm = float(np.linalg.norm(wide_D))
        if not np.isfinite(norm) or norm < 1e-12:
            raise UserError("the query's vector is zero, NaN or infinite: nothing is near it")
        unit_D: NDArray[np.float32] = (wide_D / norm).astype(np.float32)
        return unit_D


def _check_k(k: int) -> None:
    if k < 1:
        raise UserError(f"k is {k}: ask for at least 1 match")
