"""The Universe: a snapshot of an index, to search and to walk."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vector_universe.data.images import ImageSource
from vector_universe.errors import UserError
from vector_universe.index.map.projection import needs_redraw
from vector_universe.index.map.topics import Topics
from vector_universe.index.search.burnt_in import BurntInText
from vector_universe.index.search.contents import Contents
from vector_universe.index.search.filters import to_sql
from vector_universe.index.search.matches import Hit, MapPoints, Matches
from vector_universe.index.search.neighbours import Neighbours
from vector_universe.index.search.query import EmbeddedQuery, Part, Query, embed_query, part_vectors
from vector_universe.index.search.ranking import rank
from vector_universe.index.search.recall import MeasuredRecall
from vector_universe.index.search.region import Polygon, inside
from vector_universe.index.table import generation as generations
from vector_universe.index.table.generation import VECTORS, Generation
from vector_universe.index.table.item_table import ItemTable
from vector_universe.index.table.notes import SourceNote, read_note, sources
from vector_universe.index.table.place import Place
from vector_universe.index.table.rows import SAID, VectorColumn, metadata_columns
from vector_universe.progress import StageProgress

if TYPE_CHECKING:
    import pyarrow as pa

    from vector_universe.data import ImageTextDataset
    from vector_universe.index.ingest.update import Change
    from vector_universe.models import DualEncoder
    from vector_universe.models.calibration import Calibration

_SHOWN = (*SAID, "predicted_label")


class Universe:
    """An index of images with the model that embedded them, as it was when it was opened; get one from `open`.

    Up to 50,000 items their vectors are held in memory and every one is compared; beyond, an index proposes candidates
    and the recall that it was measured to reach comes with the matches. All else stays on disk, or in its bucket.
    Threads may search it at the same time.

    Attributes:
        place: where it lies.
        generation: which model made its vectors, and what they are of.
        change: what `build` did; None of one that was opened.
    """

    def __init__(self, place: Place, generation: Generation, table: ItemTable, model: DualEncoder | None,
                 held: int | None = None) -> None:
        self.place = place
        self.generation = generation
        self.change: Change | None = None
        self.table = table
        self._model = model
        self._held = held
        self._neighbours: dict[VectorColumn, Neighbours] = {}
        self._loading = RLock()  # of what threads would otherwise load twice
        self._wrap: Callable[[DualEncoder], DualEncoder] = lambda model: model

    # ---- making and opening ----

    @classmethod
    def build(cls, model: DualEncoder, dataset: ImageTextDataset, out: str | Path, *,
              vectors: Literal["auto", "image", "fused"] = "auto", overwrite: bool = False, migrate: bool = False,
              model_folder: str | Path | None = None, progress: StageProgress | None = None) -> Universe:
        """Make a universe of a data set, or bring one up to date with it, and open it.

        The short form of `build.bring_up_to_date`, which says what each argument means and what is raised.
        """
        from vector_universe.index.build import Given, IndexOptions, bring_up_to_date

        options = IndexOptions(vectors=vectors, overwrite=overwrite, migrate=migrate)
        change = bring_up_to_date(model, Given(dataset), out, options,
                                  model_folder=None if model_folder is None else str(model_folder), progress=progress)
        universe = cls.open(out, model)
        universe.change = change
        return universe

    @classmethod
    def open(cls, path: str | Path, model: DualEncoder | None = None, held: int | None = None) -> Universe:
        """Open a universe as it is now.

        Args:
            path: its folder, or s3://bucket/folder.
            model: the model to embed queries with; None loads the universe's own copy at the first query.
            held: up to how many vectors are held in memory, 4·D bytes each, and compared exactly; 50,000 by itself.

        Raises:
            UserError: there is none, it is not complete, damaged or of another format, or `model` is not the one that
                made it.
        """
        place = Place(path)
        in_use = generations.current(place)
        if in_use is None:
            raise UserError(f"{place} is not complete: run the `vu index` that makes it again, it goes on where it was")
        generation = generations.read(place, in_use)
        generations.check_copy(place, generation)
        if model is not None:
            generations.check_model(place, generation, model)
        universe = cls(place, generation, ItemTable.open(place / in_use), model, held)
        universe._nearest(generation.vectors)  # damaged vectors are found now, not in the middle of a search
        return universe

    # ---- queries ----

    def search(self, query: str | Query | None = None, image: ImageSource | Image.Image | None = None, k: int = 9, *,
               burnt_in: str | None = None, among: NDArray[np.int64] | None = None) -> Matches:
        """The items that match a query, best first.

        Args:
            query: a text, or a `Query`, which says it all.
            image: a picture to look for, besides a text or alone.
            k: how many, at most.
            burnt_in: only items in whose burnt-in text all these words stand.
            among: only items of these row ids of the table, ascending; all of them are there.

        Raises:
            UserError: nothing to search for, an unreadable image, a filter on a column that is not there, or what else
                `Query.check` refuses.
        """
        if not isinstance(query, Query):
            query = Query.of(text=query, image=image, burnt_in=burnt_in, k=k)
        query.check()
        where = self._where(query)
        if query.is_listing:
            return self._listing(query, where, among)
        return self._ranked(query, self._embedded(query), where, among)

    def search_vector(self, vector_D: NDArray[np.floating[Any]], k: int = 9) -> Matches:
        """The `k` items of highest cosine to a vector, best first.

        Raises:
            UserError: the vector is of another width, zero, or holds NaN or infinity; k < 1.
        """
        return self.search(Query.of(vector=vector_D, k=k))

    def neighbours(self, id: str, k: int = 9) -> Matches:
        """The `k` items nearest to an item, without itself.

        Raises:
            UserError: no such item, or k < 1.
        """
        return self.search(Query.of(item=id, k=k))

    def query_vector(self, query: Query) -> NDArray[np.float32]:
        """What a query looks for, as one vector (D,), float32, L2-normalised.

        Raises:
            UserError: nothing to search for, or an unreadable image.
        """
        query.check()
        if query.is_listing:
            raise UserError("nothing to search for: give a text, an image or an item")
        return self._embedded(query).wanted_D

    def vectors_of(self, parts: Sequence[Part]) -> NDArray[np.float32]:
        """The unit vectors (P, D) of texts, images, items and vectors, each by itself; weights do not matter.

        Raises:
            UserError: a part that makes no sense, an unreadable image, or an unknown item.
        """
        for part in parts:
            part.check()
        kind = self.generation.vectors
        needs_model = any(part.text is not None or part.image is not None for part in parts)
        found = part_vectors(parts, self.model if needs_model else None, self.generation.dimension,
                             lambda id: self._vector_of(id, kind))
        return np.stack(found) if found else np.empty((0, self.generation.dimension), np.float32)

    def scores(self, query: Query) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """How near every item is to what a query wants, whatever its filters: row ids, ascending, and cosines.

        Raises:
            UserError: as `query_vector`.
        """
        return self._searchable(query).cosines(self.query_vector(query))

    def stored_vectors(self, row_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The unit vectors (M, D) that items are searched by, of those row ids of the table that have one."""
        return self._nearest(self.generation.vectors).vectors_of(row_ids)

    def kept(self, query: Query) -> NDArray[np.int64]:
        """Row ids, ascending, of all items that the filters, region and burnt-in words of a query keep.

        Raises:
            UserError: a filter on a column that is not there, or that makes no sense.
        """
        row_ids, among = self.table.row_ids(self._where(query)), self._among(query)
        return row_ids if among is None else np.intersect1d(row_ids, among, assume_unique=True)

    # ---- what is in it ----

    def __len__(self) -> int:
        return self._count

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and self.table.row_id(id) is not None

    def item(self, id: str) -> Hit:
        """Everything about an item.

        Raises:
            UserError: no such item.
        """
        return self._hits([self._row_id(id)], [None])[0]

    def item_at(self, row_id: int) -> Hit:
        """Everything about an item, by Lance's row id, as of `Matches.row_ids`."""
        return self._hits([row_id], [None])[0]

    def hold_words(self) -> None:
        """Keep what is said about the items in memory, for somebody who searches again and again."""
        self.table.hold([*_SHOWN, *metadata_columns(self._schema)])

    def thumbnail(self, id: str) -> bytes:
        """An item's picture as WebP, at most 128 px long.

        Raises:
            UserError: no such item.
        """
        picture: bytes = self.table.take([self._row_id(id)], ["thumbnail"])[0]["thumbnail"]
        return picture

    def map_points(self) -> MapPoints:
        """Every item's name, labels and place, in the order of writing."""
        rows = self.table.scan(["id", "title", "labels", "x", "y", "topic"])
        return MapPoints(rows["id"].to_pylist(), rows["title"].to_pylist(), rows["x"].to_numpy(), rows["y"].to_numpy(),
                         rows["labels"].to_pylist(), rows["topic"].to_numpy())

    @cached_property
    def topics(self) -> Topics | None:
        """The regions of the map and their names; None where there are none."""
        note = read_note(self._inside, "topics")
        return None if note is None else Topics.from_json(json.dumps(note))

    def remark_on_map(self) -> str | None:
        """One line where so many items came after the map was drawn that it should be drawn anew; else None."""
        drawn = (read_note(self._inside, "map") or {}).get("drawn", 0)
        return needs_redraw(max(0, len(self) - drawn), len(self))

    def label_counts(self) -> dict[str, int]:
        """How many items carry each label, most frequent first, then by name."""
        rows = self.table.scan(["labels"])["labels"].to_pylist()
        counts = Counter(label for labels in rows for label in dict.fromkeys(labels))
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    @cached_property
    def sources(self) -> dict[str, SourceNote]:
        """The data sets that it holds, by name."""
        return sources(self._inside)

    @property
    def name(self) -> str:
        """For people."""
        return ", ".join(self.sources) or self.place.uri.rpartition("/")[2]

    @property
    def attribution(self) -> str:
        """Credit that must be shown with the pictures."""
        return "; ".join(dict.fromkeys(source.attribution for source in self.sources.values() if source.attribution))

    @property
    def examples(self) -> list[str]:
        """Queries to suggest."""
        return list((read_note(self._inside, "about") or {}).get("examples", []))

    def recall(self) -> float | None:
        """The share of the nearest that an ordinary search finds, as measured; None where every item is compared."""
        return self._nearest(self.generation.vectors).recall("balanced")

    def describe(self) -> str:
        """One line for people: name, size, what its vectors are of, how it is searched, and which model made it."""
        skipped = sum(len(source.skipped) for source in self.sources.values())
        parts = [f"{self.name}: {len(self):,} items of {self.generation.dimension} dimensions"]
        if skipped:
            parts.append(f"{skipped:,} left out (see {self.generation.name}/skipped.csv)")
        parts.append(VECTORS[self.generation.vectors])
        recall = self.recall()
        parts.append("searched exactly" if recall is None else f"recall {recall:.1%} of the 20 nearest as measured")
        return ", ".join([*parts, f"model {self.generation.model_fingerprint[:12]}"])

    @property
    def model(self) -> DualEncoder:
        """The model that made this universe, loaded from its own copy at first use.

        Raises:
            UserError: the copy is missing or is another model.
        """
        with self._loading:
            if self._model is None:
                from vector_universe.models import load_run_model

                model = load_run_model(self._inside.local_folder("model"))
                generations.check_model(self.place, self.generation, model)
                self._model = self._wrap(model)
            return self._model

    @property
    def loaded_model(self) -> DualEncoder | None:
        """The model, where it is in memory already."""
        return self._model

    def use_model_by(self, wrap: Callable[[DualEncoder], DualEncoder]) -> None:
        """Let `wrap(model)` embed queries in the model's place: the same vectors, made in another way."""
        with self._loading:
            self._wrap = wrap
            if self._model is not None:
                self._model = wrap(self._model)

    @cached_property
    def says_probabilities(self) -> bool:
        """Whether matches of a text come with probabilities; no weights are loaded to find out."""
        if self.generation.vectors != "image":
            return False
        if self._model is not None:
            return self._calibration is not None
        note = self._inside.read_json("model/calibration.json") or {}
        return bool(note.get("model") == self.generation.model_fingerprint)

    # ---- inside ----

    @property
    def _inside(self) -> Place:
        return self.table.place

    @cached_property
    def _schema(self) -> pa.Schema:
        return self.table.schema

    @cached_property
    def _contents(self) -> Contents:
        return Contents(self.table)

    def _where(self, query: Query) -> str | None:
        return to_sql(query.filters, self._schema, self._contents)

    @cached_property
    def _count(self) -> int:
        return self.table.count()

    def _nearest(self, column: VectorColumn) -> Neighbours:
        with self._loading:
            if column not in self._neighbours:
                self._neighbours[column] = Neighbours(self.table, column, self._recall(column), self._held)
            return self._neighbours[column]

    def _searchable(self, query: Query) -> Neighbours:
        column = query.against or self.generation.vectors
        nearest = self._nearest(column)
        if not nearest.count:
            raise UserError(f"no item of this universe has {column} vectors")
        return nearest

    def _recall(self, column: VectorColumn) -> MeasuredRecall | None:
        note = read_note(self._inside, f"recall-{column}")
        return None if note is None else MeasuredRecall.from_json(json.dumps(note["measured"]))

    def _embedded(self, query: Query) -> EmbeddedQuery:
        kind = query.against or self.generation.vectors
        return embed_query(self.model if query.needs_model else None, kind, self.generation.dimension, query,
                           lambda id: self._vector_of(id, kind))

    def _listing(self, query: Query, where: str | None, among: NDArray[np.int64] | None) -> Matches:
        """Items that pass the filters, with nothing to rank them by: in the order of writing, or by burnt-in words."""
        row_ids = self.table.row_ids(where)
        if query.burnt_in is not None:
            passing = set(row_ids.tolist())
            row_ids = np.array([row for row in self._burnt_in(query.burnt_in) if row in passing], np.int64)
        if query.region:
            row_ids = row_ids[np.isin(row_ids, self._inside_region(query.region), assume_unique=True)]
        if among is not None:
            row_ids = row_ids[np.isin(row_ids, among, assume_unique=True)]
        shown = row_ids[query.offset:query.offset + query.k]
        more = query.offset + query.k < len(row_ids)
        return Matches(tuple(self._hits(shown.tolist(), [None] * len(shown))), len(row_ids),
                       next_offset=query.offset + query.k if more else None, row_ids=shown)

    def _ranked(self, query: Query, embedded: EmbeddedQuery, where: str | None,
                among: NDArray[np.int64] | None) -> Matches:
        column, nearest = query.against or self.generation.vectors, self._searchable(query)
        kept = self._among(query)
        if among is not None:
            kept = among if kept is None else np.intersect1d(kept, among, assume_unique=True)
        page = rank(query, embedded, nearest, self._nearest("image") if query.distinct else nearest, self.table, where,
                    kept)
        hits = self._hits(page.row_ids.tolist(), page.scores.tolist())
        doubt = None
        if query.is_text_alone and column == "image" and self._calibration is not None:
            chances = self._calibration.probability(page.scores, page.among)
            hits = [replace(hit, probability=float(chance)) for hit, chance in zip(hits, chances, strict=True)]
            doubt = _doubt(hits, self._calibration) if query.offset == 0 else None
        return Matches(tuple(hits), page.among, doubt, nearest.recall(query.effort),
                       query.offset + query.k if page.more else None, embedded.wanted_D, page.row_ids)

    def _among(self, query: Query) -> NDArray[np.int64] | None:
        """Row ids, ascending, that a query's burnt-in words and region leave; None where it has neither."""
        among = None if query.burnt_in is None else np.sort(np.array(self._burnt_in(query.burnt_in), np.int64))
        if not query.region:
            return among
        there = self._inside_region(query.region)
        return there if among is None else np.intersect1d(among, there, assume_unique=True)

    def _inside_region(self, region: Polygon) -> NDArray[np.int64]:
        row_ids, x_N, y_N = self._places
        return row_ids[inside(region, x_N, y_N)]

    @cached_property
    def _places(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        rows = self.table.scan(["x", "y"], row_ids=True)
        return rows["_rowid"].to_numpy().astype(np.int64), rows["x"].to_numpy(), rows["y"].to_numpy()

    def _hits(self, row_ids: Sequence[int], scores: Sequence[float | None]) -> list[Hit]:
        own = list(metadata_columns(self._schema))
        rows = self.table.take(row_ids, [*_SHOWN, *own])
        return [Hit(row["id"], row["title"], row["labels"], score, row["ocr"], None,
                    {name: row[name] for name in own if row[name] is not None}, row["predicted_label"])
                for row, score in zip(rows, scores, strict=True)]

    def _row_id(self, id: str) -> int:
        row_id = self.table.row_id(id)
        if row_id is None:
            shown = id if len(id) <= 80 else f"{id[:80]}…"
            raise UserError(f"no item {shown!r} in the universe {self.name!r}")
        return row_id

    def _vector_of(self, id: str, column: VectorColumn) -> NDArray[np.float32]:
        found = self._nearest(column).vectors_of(np.array([self._row_id(id)]))
        if not len(found):
            raise UserError(f"the item {id!r} has no {column} vector")
        vector_D: NDArray[np.float32] = found[0]
        return vector_D

    def _burnt_in(self, words: str) -> list[int]:
        """Row ids of the items in which all the words are burnt in, most occurrences first."""
        row_ids, texts = self._burnt_in_texts
        return [int(row_ids[row]) for row in texts.rows(words)]

    @cached_property
    def _burnt_in_texts(self) -> tuple[NDArray[np.int64], BurntInText]:
        rows = self.table.scan(["ocr"], "ocr != ''", row_ids=True)
        return rows["_rowid"].to_numpy().astype(np.int64), BurntInText(rows["ocr"].to_pylist())

    @property
    def _calibration(self) -> Calibration | None:
        return self.calibration_of_images if self.generation.vectors == "image" else None

    @cached_property
    def calibration_of_images(self) -> Calibration | None:
        """What cosines of texts to vectors of images mean; loads the model."""
        found = self.model.calibration
        if found is not None and found.model != self.generation.model_fingerprint:
            warnings.warn(f"the model's calibration.json was measured with the model {found.model[:12]}, not with this "
                          f"one, {self.generation.model_fingerprint[:12]}: scores are shown without probabilities",
                          stacklevel=2)
            return None
        return found


def _doubt(hits: Sequence[Hit], calibration: Calibration) -> str | None:
    """One line for people where the best hit of a search by text is too far away to be an answer; else None."""
    best = hits[0].probability if hits else None
    if best is None or best >= calibration.least_probability:
        return None
    return f"nothing here matches well: the best is {hits[0].title!r}, {best:.0%} likely a match"
