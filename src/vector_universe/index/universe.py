"""The Universe: build it from a model and a data set, open it, search it, walk it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vector_universe.data.images import ImageError, ImageSource
from vector_universe.data.skipped import write_skipped
from vector_universe.errors import UserError
from vector_universe.folders import check_folder, claim_folder
from vector_universe.index.build import embed_dataset, example_queries
from vector_universe.index.exact import top_k
from vector_universe.index.projection import project
from vector_universe.index.staging import clean_up, staged_folder
from vector_universe.index.store import ItemTable, write_items
from vector_universe.progress import StageProgress

if TYPE_CHECKING:
    from vector_universe.data import ImageTextDataset
    from vector_universe.models import DualEncoder

KIND = "universe"
FORMAT = 1
_FACTS = "universe.json"


@dataclass(frozen=True)
class Hit:
    """One match: its row number in the universe, what is said about it, and its cosine to the query."""

    index: int
    id: str
    title: str
    labels: list[str]
    score: float


@dataclass(frozen=True)
class MapPoints:
    """Every item's place on the map, in row order; x and y are (N,) float32 in [-1, 1]."""

    ids: list[str]
    titles: list[str]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    labels: list[list[str]]


@dataclass(frozen=True)
class Facts:
    """What universe.json says: which model and data made this universe, and what is in it."""

    format: int
    name: str
    attribution: str
    count: int
    dimension: int
    skipped: int
    model_fingerprint: str
    data_fingerprint: str
    model_folder: str | None
    examples: list[str]


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
              model_folder: str | Path | None = None, overwrite: bool = False,
              progress: StageProgress | None = None) -> Universe:
        """Embed a data set, lay out its map and write both, with a copy of the model, into the folder `out`.

        A universe of the same model and data is opened as it is. An old universe stays in use until the new
        one is complete; a build that is stopped leaves `out` as it was.

        Args:
            model: embeds the images, and later the queries.
            dataset: what to index; an image that cannot be read is listed in OUT/skipped.csv and left out.
            out: a new or empty folder, or a universe.
            model_folder: where the model came from, noted in universe.json.
            overwrite: replace a universe of another model or other data.
            progress: called with (stage, done, total).

        Raises:
            UserError: `out` holds something else; or another universe and `overwrite` is false; or no image is
                readable.
        """
        out = Path(out).absolute()
        clean_up(out)
        model_fingerprint = model.fingerprint()
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            claim_folder(out, KIND)  # refuses what is not ours
            reusable = _reuse_or_refuse(out, model_fingerprint, dataset.fingerprint, overwrite)
            if reusable:
                return cls.open(out, model)
        with staged_folder(out, KIND) as folder:
            embedded = embed_dataset(model, dataset, progress)
            if progress is not None:
                progress("drawing the map", 0, 1)
            positions_N2 = project(embedded.vectors_ND)
            if progress is not None:
                progress("drawing the map", 1, 1)
            write_items(folder, embedded.items, embedded.vectors_ND, positions_N2)
            skipped = [*dataset.skipped, *embedded.skipped]
            write_skipped(folder / "skipped.csv", skipped)
            model.save_pretrained(folder / "model")
            facts = Facts(
                format=FORMAT,
                name=dataset.name,
                attribution=dataset.attribution,
                count=len(embedded.items),
                dimension=embedded.vectors_ND.shape[1],
                skipped=len(skipped),
                model_fingerprint=model_fingerprint,
                data_fingerprint=dataset.fingerprint,
                model_folder=None if model_folder is None else str(model_folder),
                examples=example_queries(embedded.items),
            )
            _write_facts(folder / _FACTS, facts)  # last: a folder without it is no universe
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
        facts = _read_facts(path)
        if model is not None:
            _check_model(path, facts, model)
        return cls(path, facts, ItemTable.open(path), model)

    # ---- queries ----

    def search(self, text: str | None = None, image: ImageSource | Image.Image | None = None,
               k: int = 9) -> list[Hit]:
        """The `k` items nearest to a text, an image, or both together, best first.

        Raises:
            UserError: nothing to search for, an unreadable image, or k < 1.
        """
        _check_k(k)
        return self.search_vector(self.query_vector(text, image), k)

    def query_vector(self, text: str | None = None,
                     image: ImageSource | Image.Image | None = None) -> NDArray[np.float32]:
        """Embed a query: a text, an image, or the normalised mean of both; (D,) float32, L2-normalised.

        Raises:
            UserError: nothing to search for (blank text counts as none), or an unreadable image.
        """
        parts: list[NDArray[np.float32]] = []
        if text is not None and text.strip():
            parts.append(self.model.embed_texts([text])[0])
        if image is not None:
            try:
                parts.append(self.model.embed_images([image])[0])
            except ImageError as error:
                raise UserError(f"the query image cannot be read: {error}") from error
        if not parts:
            raise UserError("nothing to search for: give a text, an image, or both")
        return self._unit(np.mean(parts, axis=0))

    def search_vector(self, vector_D: NDArray[np.floating[Any]], k: int = 9) -> list[Hit]:
        """The `k` items of highest cosine to a vector, best first; equal scores in row order.

        Raises:
            UserError: the vector is of another width, zero, or holds NaN or infinity; or k < 1.
        """
        _check_k(k)
        rows, scores = top_k(self._columns.vectors_ND, self._unit(vector_D), k)
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
        """One line for people: name, size, and which model made it."""
        skipped = f", {self.facts.skipped} rows left out (see skipped.csv)" if self.facts.skipped else ""
        return (f"{self.facts.name}: {self.facts.count} items of {self.facts.dimension} dimensions{skipped}, "
                f"model {self.facts.model_fingerprint[:12]}")

    @property
    def model(self) -> DualEncoder:
        """The model that made this universe, loaded from its own copy at first use.

        Raises:
            UserError: the copy is missing or is another model.
        """
        if self._model is None:
            from vector_universe.models import load_run_model

            model = load_run_model(self.path / "model")
            _check_model(self.path, self.facts, model)
            self._model = model
        return self._model

    # ---- inside ----

    def _hit(self, row: int, score: float) -> Hit:
        columns = self._columns
        return Hit(row, columns.ids[row], columns.titles[row], columns.labels[row], score)

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


def _reuse_or_refuse(out: Path, model_fingerprint: str, data_fingerprint: str, overwrite: bool) -> bool:
    """True: `out` is already what is asked for. False: it may be replaced."""
    try:
        facts = _read_facts(out)
        ItemTable.open(out)
    except UserError:
        if overwrite:  # damaged or of another format: that is what overwriting mends
            return False
        raise
    differences: Sequence[str] = [
        f"another {what} ({ours[:12]}, not {theirs[:12]})"
        for what, ours, theirs in (("model", facts.model_fingerprint, model_fingerprint),
                                   ("data set", facts.data_fingerprint, data_fingerprint))
        if ours != theirs
    ]
    if differences and not overwrite:
        raise UserError(f"{out} is a universe of {' and '.join(differences)}: replace it with --overwrite "
                        "or give --out another folder")
    return not differences


def _check_model(path: Path, facts: Facts, model: DualEncoder) -> None:
    fingerprint = model.fingerprint()
    if fingerprint != facts.model_fingerprint:
        raise UserError(f"{path} was made by the model {facts.model_fingerprint[:12]}, not by {fingerprint[:12]}: "
                        "queries of another model find nonsense; build it again with `vu index … --overwrite`")


def _check_k(k: int) -> None:
    if k < 1:
        raise UserError(f"k is {k}: ask for at least 1 match")


def _write_facts(path: Path, facts: Facts) -> None:
    path.write_text(json.dumps(asdict(facts), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _read_facts(path: Path) -> Facts:
    check_folder(path, KIND)
    try:
        stored = json.loads((path / _FACTS).read_text(encoding="utf-8"))
        found = int(stored["format"])
        if found != FORMAT:
            raise UserError(f"{path} is a universe of format {found}, this version reads {FORMAT}: "
                            "build it again with `vu index … --overwrite`")
        return Facts(**stored)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is a damaged universe ({_FACTS}: {type(error).__name__}): build it again with "
                        "`vu index … --overwrite`") from error
