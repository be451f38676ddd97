"""A query: what is wanted, what is not, among which items, and how many; and the vectors that it comes to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vector_universe.data.images import ImageError, ImageSource
from vector_universe.errors import UserError
from vector_universe.index.search.approximate import Effort
from vector_universe.index.search.filters import Filter
from vector_universe.index.search.region import Polygon, check_polygon
from vector_universe.index.table.rows import VectorColumn

if TYPE_CHECKING:
    from vector_universe.models import DualEncoder

MAX_K = 10_000
MAX_REACH = 100_000  # offset + k
_NO_DIRECTION = 1e-6  # of a sum of unit vectors: what is left when they cancel out is rounding


@dataclass(frozen=True)
class Part:
    """One thing to be near to: exactly one of a text, an image, an item or a vector.

    Attributes:
        text: blank text counts as none.
        image: a path, encoded bytes or a PIL image.
        item: the id of an item of the universe.
        vector: D numbers, of any length but 0.
        weight: above 0; of the wanted, its share in the mean; of the unwanted, how hard it counts against an item.
    """

    text: str | None = None
    image: ImageSource | Image.Image | None = None
    item: str | None = None
    vector: Sequence[float] | None = None
    weight: float = 1.0

    @property
    def is_blank(self) -> bool:
        """Whether it is a text with nothing in it."""
        return self.text is not None and not self.text.strip()

    def check(self) -> None:
        """Refuse what is no part.

        Raises:
            UserError: not exactly one of the four is given, or the weight is not finite and above 0.
        """
        given = [name for name in ("text", "image", "item", "vector") if getattr(self, name) is not None]
        if len(given) != 1:
            raise UserError(f"a part of a query is one text, image, item or vector; this one has "
                            f"{' and '.join(given) or 'none of them'}")
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) \
                or not math.isfinite(self.weight) or self.weight <= 0:
            raise UserError(f"the weight {self.weight!r} makes no sense: give a number above 0 (what is not wanted "
                            "goes into `without`)")


@dataclass(frozen=True)
class Query:
    """What to look for, among which items, and how: the same in Python, on the command line and over HTTP.

    Attributes:
        like: what is wanted: the mean of these parts' unit vectors, by their weights.
        without: what is not: see `rank_with_unwanted`.
        filters: only items that all of these keep.
        region: only items whose place on the map lies inside this polygon, by the even-odd rule; () is everywhere.
        burnt_in: only items in whose burnt-in text all these words stand, in any order, whole and whatever their case.
        hybrid: rank by the words of titles and texts as well (see `fuse_rankings`); needs a text.
        against: which vectors of the items are compared; None: those the universe was built to be searched by.
        distinct: leave out what shows the same picture as a better match.
        k: how many matches, 1 to 10,000.
        offset: how many better ones to pass over; offset + k is at most 100,000.
        effort: how hard an approximate index looks; "exact" compares every vector.

    With `filters`, `region` or `burnt_in` alone it is a listing: what they keep, in the table's order, without scores.
    """

    like: tuple[Part, ...] = ()
    without: tuple[Part, ...] = ()
    filters: tuple[Filter, ...] = ()
    burnt_in: str | None = None
    hybrid: bool = False
    against: VectorColumn | None = None
    distinct: bool = False
    k: int = 9
    offset: int = 0
    effort: Effort = "balanced"
    region: Polygon = ()

    @classmethod
    def of(cls, text: str | None = None, image: ImageSource | Image.Image | None = None, item: str | None = None,
           without: str | Sequence[str] = (), *, vector: Sequence[float] | NDArray[np.floating[Any]] | None = None,
           filters: Sequence[Filter] = (), burnt_in: str | None = None, hybrid: bool = False,
           against: VectorColumn | None = None, distinct: bool = False, k: int = 9, offset: int = 0,
           effort: Effort = "balanced", region: Polygon = ()) -> Query:
        """A query by a text, an image, an item, a vector, or several of them at equal weights; `without` are texts."""
        numbers = None if vector is None else tuple(np.asarray(vector, np.float64).ravel().tolist())
        like = (*([Part(text=text)] if text is not None else []), *([Part(image=image)] if image is not None else []),
                *([Part(item=item)] if item is not None else []),
                *([Part(vector=numbers)] if numbers is not None else []))
        texts = (without,) if isinstance(without, str) else tuple(without)
        return cls(like, tuple(Part(text=unwanted) for unwanted in texts), tuple(filters), burnt_in, hybrid, against,
                   distinct, k, offset, effort, tuple(region))

    @property
    def wanted(self) -> tuple[Part, ...]:
        """The parts of `like` with something in them."""
        return tuple(part for part in self.like if not part.is_blank)

    @property
    def unwanted(self) -> tuple[Part, ...]:
        """The parts of `without` with something in them."""
        return tuple(part for part in self.without if not part.is_blank)

    @property
    def words(self) -> str:
        """The wanted texts together: what full text is searched for."""
        return " ".join(part.text for part in self.wanted if part.text is not None)

    @property
    def items(self) -> frozenset[str]:
        """The ids of items that are part of it, and so no answer to it."""
        return frozenset(part.item for part in self.wanted if part.item is not None)

    @property
    def is_listing(self) -> bool:
        """Whether there is nothing to be near to: what the filters keep, without scores."""
        return not self.wanted

    @property
    def is_text_alone(self) -> bool:
        """Whether cosines are those of one text, of which calibrated probabilities speak."""
        return len(self.wanted) == 1 and self.wanted[0].text is not None and not self.unwanted

    @property
    def needs_model(self) -> bool:
        """Whether anything is to be embedded; items and vectors are already."""
        return any(part.text is not None or part.image is not None for part in (*self.wanted, *self.unwanted))

    def check(self) -> None:
        """Refuse a query that has no answer.

        Raises:
            UserError: nothing to look for, only something unwanted, a part or weight that makes no sense, hybrid
                without a text, k or offset out of range, or an unknown choice.
        """
        for part in (*self.like, *self.without):
            part.check()
        if not self.wanted and self.unwanted:
            raise UserError("the query says only what it is without: say what to look for too")
        if not self.wanted and not self.filters and not self.region and self.burnt_in is None:
            raise UserError("nothing to search for: give a text, an image, an item, or a filter")
        if self.region:
            check_polygon(self.region)
        if self.hybrid and not self.words:
            raise UserError("a hybrid search looks for words too: give a text")
        if self.k < 1:
            raise UserError(f"k is {self.k}: ask for at least 1 match")
        if self.k > MAX_K:
            raise UserError(f"k is {self.k:,}: ask for at most {MAX_K:,} matches at once, and page with offset")
        if self.offset < 0:
            raise UserError(f"offset is {self.offset}: give 0 or more")
        if self.offset + self.k > MAX_REACH:
            raise UserError(f"offset + k is {self.offset + self.k:,}: the first {MAX_REACH:,} matches can be paged "
                            "through; narrow the query down by a filter")
        if self.against not in (None, *get_args(VectorColumn)):
            raise UserError(f"against is {self.against!r}: choose {', '.join(get_args(VectorColumn))}")
        if self.effort not in get_args(Effort):
            raise UserError(f"effort is {self.effort!r}: choose {', '.join(get_args(Effort))}")


@dataclass(frozen=True)
class EmbeddedQuery:
    """A query in vectors.

    Attributes:
        wanted_D: (D,) float32, L2-normalised.
        unwanted: unit vectors (D,) float32, each with its weight.
    """

    wanted_D: NDArray[np.float32]
    unwanted: list[tuple[NDArray[np.float32], float]]


def embed_query(model: DualEncoder | None, kind: VectorColumn, dimension: int, query: Query,
                vector_of: Callable[[str], NDArray[np.floating[Any]]]) -> EmbeddedQuery:
    """The vectors of a query that has passed its `check` and is no listing.

    The wanted parts become one by the mean of their unit vectors, weighted; among fused vectors one text and one image
    of equal weight become one as the items did, by the model's fusion, with the text for the title.

    Args:
        model: of the universe; None will do where the query does not need one (`Query.needs_model`).
        kind: which vectors of the items are compared.
        dimension: D.
        vector_of: the vector of an item by its id; raises UserError where there is none.

    Raises:
        UserError: an unreadable image, an unknown item, a vector of another width, zero, NaN or infinite, or wanted
            parts that cancel each other out.
    """
    wanted, unwanted = query.wanted, query.unwanted
    vectors = part_vectors([*wanted, *unwanted], model, dimension, vector_of)
    ours = vectors[:len(wanted)]
    if kind == "fused" and _is_text_and_image(wanted):
        assert model is not None
        image_1D, text_1D = (next(vector_D for part, vector_D in zip(wanted, ours, strict=True)
                                  if getattr(part, name) is not None)[None] for name in ("image", "text"))
        mean_D = model.fuse_vectors(image_1D, text_1D)[0].astype(np.float64)
    else:
        weights = np.array([part.weight for part in wanted], np.float64)
        mean_D = (weights / weights.max()) @ np.stack(ours).astype(np.float64)
    norm = float(np.linalg.norm(mean_D))
    if not norm > _NO_DIRECTION:  # NaN too
        raise UserError("the parts of the query cancel each other out: nothing is near to all of them")
    return EmbeddedQuery((mean_D / norm).astype(np.float32),
                         [(vector_D, float(part.weight))
                          for part, vector_D in zip(unwanted, vectors[len(wanted):], strict=True)])


def _is_text_and_image(wanted: Sequence[Part]) -> bool:
    return (len(wanted) == 2 and sum(part.text is not None for part in wanted) == 1
            and sum(part.image is not None for part in wanted) == 1 and wanted[0].weight == wanted[1].weight)


def part_vectors(parts: Sequence[Part], model: DualEncoder | None, dimension: int,
                 vector_of: Callable[[str], NDArray[np.floating[Any]]]) -> list[NDArray[np.float32]]:
    """The unit vectors (D,) of parts; all texts go through the model together, and all images.

    Raises:
        UserError: an unreadable image, an unknown item, or a vector of another width, zero, NaN or infinite.
    """
    texts = [part.text for part in parts if part.text is not None]
    images = [part.image for part in parts if part.image is not None]
    texts_TD = iter(model.embed_texts(texts) if texts and model is not None else ())
    try:
        images_ID = iter(model.embed_images(images) if images and model is not None else ())
    except ImageError as error:
        raise UserError(f"the query image cannot be read: {error}") from error
    found = []
    for part in parts:
        if part.text is not None:
            vector_D = next(texts_TD)
        elif part.image is not None:
            vector_D = next(images_ID)
        else:
            vector_D = vector_of(part.item) if part.item is not None else np.asarray(part.vector)
        found.append(unit_vector(vector_D, dimension))
    return found


def unit_vector(vector_D: NDArray[Any], dimension: int) -> NDArray[np.float32]:
    """A vector (D,) of any length as a float32 one of length 1.

    Raises:
        UserError: it is of another width, zero, NaN or infinite, or not of numbers.
    """
    try:
        wide_D = np.asarray(vector_D, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError("a vector to search for is a list of numbers") from None
    if wide_D.shape != (dimension,):
        raise UserError(f"a vector of shape {wide_D.shape} cannot be searched: this universe has {dimension} "
                        "dimensions")
    norm = float(np.linalg.norm(wide_D))
    if not np.isfinite(norm) or norm < 1e-12:
        raise UserError("the query's vector is zero, NaN or infinite: nothing is near it")
    unit_D: NDArray[np.float32] = (wide_D / norm).astype(np.float32)
    return unit_D
