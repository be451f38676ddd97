"""The shapes of the API's answers; the page is written against them (web/src/data/types.ts)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ErrorAnswer(BaseModel):
    """One line that says what is wrong, and the way out."""

    detail: str


class HealthAnswer(BaseModel):
    """`version` changes with the index; rows belong to one version."""

    status: Literal["ok"] = "ok"
    version: str


class LabelAnswer(BaseModel):
    """A label and how many items carry it."""

    name: str
    count: int


class TopicAnswer(BaseModel):
    """A named region of the map; `share` says how well its name fits its items, 0 to 1."""

    name: str
    share: float
    size: int
    x: float
    y: float


class TopicsAnswer(BaseModel):
    """Two levels: each fine topic lies in the coarse one that `parents` names."""

    fine: list[TopicAnswer]
    coarse: list[TopicAnswer]
    parents: list[int]


class ColumnAnswer(BaseModel):
    """A column of the data that one can filter by."""

    name: str
    kind: Literal["text", "int", "float", "bool"]


class OtherAnswer(BaseModel):
    """The universe to compare with: the same items, another model."""

    name: str
    model: str
    topics: TopicsAnswer | None = Field(description="where they lie on its map, aligned with the first")
    calibrated: bool
    shared: int = Field(description="how many items both have")
    kept: float = Field(description="how alike the models see the items: the share of an item's 10 nearest that are "
                                    "the same in both, 0 to 1; the mean over a sample of up to 1,000 items")


class InfoAnswer(BaseModel):
    """The universe as a whole."""

    name: str
    count: int
    dimension: int
    vectors: Literal["image", "fused"] = Field(description="what stands for an item")
    columns_of_vectors: list[Literal["image", "text", "fused"]]
    version: str
    product_version: str
    attribution: str
    examples: list[str] = Field(description="queries to suggest")
    labels: list[LabelAnswer]
    topics: TopicsAnswer | None
    columns: list[ColumnAnswer]
    calibrated: bool = Field(description="whether a cosine of this model can be said as a probability")
    recall: float | None = Field(description="as measured; null where every item is compared")
    remark: str | None = Field(description="one line where the map should be drawn anew")
    model: str
    other: OtherAnswer | None = None


class ItemAnswer(BaseModel):
    """An item in short; `row` is its number on the map."""

    row: int
    id: str
    title: str
    labels: list[str]


class ItemsAnswer(BaseModel):
    """Items in the order asked for."""

    version: str
    items: list[ItemAnswer]


class ItemDetailsAnswer(ItemAnswer):
    """Everything about an item."""

    x: float
    y: float
    topic: str | None
    ocr: str
    predicted_label: str | None
    metadata: dict[str, str | bool | int | float]


class HitAnswer(ItemAnswer):
    """One match; `score` is its cosine, null in a listing; `probability` that it is right, null where unknown."""

    score: float | None
    probability: float | None


class PositionAnswer(BaseModel):
    """A place on the map, both in [-1, 1]."""

    x: float
    y: float


class SearchAnswer(BaseModel):
    """Matches, best first, where the query belongs on the map, and one line where nothing matches well."""

    hits: list[HitAnswer]
    position: PositionAnswer | None
    doubt: str | None
    among: int = Field(description="how many items passed the filters")
    recall: float | None
    next_offset: int | None
    version: str


class ComparedAnswer(BaseModel):
    """An item's nearest in both universes, among the items that both have; `shared` of them are the same."""

    shared: int
    here: list[HitAnswer]
    there: list[HitAnswer]


class ClassifiedLabelAnswer(BaseModel):
    """`probability` given that one of the labels is right, `match` that this one fits at all, `score` the cosine."""

    name: str
    probability: float
    match: float | None
    score: float


class ClassifiedAnswer(BaseModel):
    """Labels, likeliest first, and one line where none of them fits."""

    labels: list[ClassifiedLabelAnswer]
    doubt: str | None


class EmbeddedAnswer(BaseModel):
    """Unit vectors, one a part."""

    dimension: int
    vectors: list[list[float]]
