"""What can be asked of the API: the shapes of requests, and how they become queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vector_universe.errors import UserError
from vector_universe.index import AnyOf, Compare, HasLabel, Not, OneOf, Query
from vector_universe.index import Part as QueryPart
from vector_universe.index.search.filters import Filter, Operator
from vector_universe.index.search.query import MAX_REACH
from vector_universe.index.search.region import MAX_CORNERS

MAX_TEXT = 10_000  # characters
MAX_PARTS = 16
MAX_MATCHES = 200
MAX_OFFSET = MAX_REACH - MAX_MATCHES
MAX_DIMENSIONS = 16_384
MAX_VALUES = 1_000
MAX_LABELS = 200
MAX_PICTURES = 8

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Value = Annotated[str, Field(max_length=MAX_TEXT)] | bool | int | Number


class _Asked(BaseModel):
    """Unknown fields and values of another type are refused: a misspelt filter must not be passed over."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Part(_Asked):
    """One thing to be near to: exactly one of `text`, `item`, `upload` and `vector`."""

    text: Text | None = None
    item: Annotated[str, Field(max_length=MAX_TEXT)] | None = Field(None, description="id of an item")
    upload: int | None = Field(None, ge=0, lt=MAX_PICTURES, description="place among the uploaded files, from 0")
    vector: Annotated[list[Number], Field(max_length=MAX_DIMENSIONS)] | None = None
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0

    def part(self, pictures: Sequence[bytes]) -> QueryPart:
        """As a query takes it.

        Args:
            pictures: encoded, as uploaded.

        Raises:
            UserError: the picture was not uploaded.
        """
        if self.upload is not None and self.upload >= len(pictures):
            raise UserError(f"upload {self.upload} was not sent: {len(pictures)} files came as 'image', counted from 0")
        picture = None if self.upload is None else pictures[self.upload]
        return QueryPart(self.text, picture, self.item, None if self.vector is None else tuple(self.vector),
                         self.weight)


class CompareFilter(_Asked):
    """Items whose value in a column compares to one value."""

    kind: Literal["compare"]
    column: Text
    operator: Operator
    value: Value

    def filter(self) -> Filter:
        return Compare(self.column, self.operator, self.value)


class OneOfFilter(_Asked):
    """Items whose value in a column is one of these."""

    kind: Literal["one_of"]
    column: Text
    values: Annotated[list[Value], Field(max_length=MAX_VALUES)]

    def filter(self) -> Filter:
        return OneOf(self.column, tuple(self.values))


class HasLabelFilter(_Asked):
    """Items that carry a label, in any case and Unicode form."""

    kind: Literal["has_label"]
    label: Text

    def filter(self) -> Filter:
        return HasLabel(self.label)


class NotFilter(_Asked):
    """Items that a filter leaves out."""

    kind: Literal["not"]
    filter_: AnyFilter = Field(alias="filter")

    def filter(self) -> Filter:
        return Not(self.filter_.filter())


class AnyOfFilter(_Asked):
    """Items that at least one filter keeps."""

    kind: Literal["any_of"]
    filters: Annotated[list[AnyFilter], Field(max_length=MAX_VALUES)]

    def filter(self) -> Filter:
        return AnyOf(tuple(one.filter() for one in self.filters))


AnyFilter = Annotated[CompareFilter | OneOfFilter | HasLabelFilter | NotFilter | AnyOfFilter,
                      Field(discriminator="kind")]


class SearchRequest(_Asked):
    """What to look for, among which items; every field may be left out.

    With filters, a region or burnt-in words alone it is a listing, without scores.
    """

    like: Annotated[list[Part], Field(max_length=MAX_PARTS)] = []
    without: Annotated[list[Part], Field(max_length=MAX_PARTS)] = []
    filters: Annotated[list[AnyFilter], Field(max_length=MAX_VALUES)] = []
    region: Annotated[list[Annotated[list[Number], Field(min_length=2, max_length=2)]],
                      Field(max_length=MAX_CORNERS, description="corners x, y of a polygon of the map")] = []
    burnt_in: Text | None = None
    hybrid: bool = Field(False, description="rank by words of titles too")
    against: Literal["image", "text", "fused"] | None = None
    distinct: bool = Field(False, description="show one of several copies")
    k: int = Field(24, ge=1, le=MAX_MATCHES)
    offset: int = Field(0, ge=0, le=MAX_OFFSET)
    effort: Literal["fast", "balanced", "thorough", "exact"] = "balanced"
    of: Literal["this", "other"] = Field("this", description="which of two compared universes")

    def query(self, pictures: Sequence[bytes]) -> Query:
        """As a universe takes it.

        Raises:
            UserError: a picture was not uploaded.
        """
        return Query(tuple(part.part(pictures) for part in self.like),
                     tuple(part.part(pictures) for part in self.without),
                     tuple(one.filter() for one in self.filters), self.burnt_in, self.hybrid, self.against,
                     self.distinct, self.k, self.offset, self.effort, tuple((x, y) for x, y in self.region))


class ClassifyRequest(_Asked):
    """Labels to choose among, and the picture (an item or an upload, else a text or a vector) to choose for."""

    labels: Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=MAX_LABELS)]
    part: Part


class EmbedRequest(_Asked):
    """Texts and uploads to be embedded, each by itself."""

    parts: Annotated[list[Part], Field(min_length=1, max_length=64)]
