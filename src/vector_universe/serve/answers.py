"""The shapes of the API's answers; the page is written against them."""

from __future__ import annotations

from pydantic import BaseModel

from vector_universe.index import Hit


class LabelAnswer(BaseModel):
    """A label and how many items carry it."""

    name: str
    count: int


class InfoAnswer(BaseModel):
    """The universe as a whole; labels most frequent first, examples are queries to suggest."""

    name: str
    count: int
    dimension: int
    labels: list[LabelAnswer]
    attribution: str
    version: str
    examples: list[str]


class HitAnswer(BaseModel):
    """One match; index is its row number on the map, score its cosine, probability how likely it is right."""

    index: int
    id: str
    title: str
    labels: list[str]
    score: float
    probability: float | None

    @classmethod
    def of(cls, hit: Hit, index: int) -> HitAnswer:
        """The answer for a match; the API always has something to be near to, so that there is a score."""
        assert hit.score is not None
        return cls(index=index, id=hit.id, title=hit.title, labels=hit.labels, score=round(hit.score, 6),
                   probability=None if hit.probability is None else round(hit.probability, 6))


class PositionAnswer(BaseModel):
    """A place on the map, both in [-1, 1]."""

    x: float
    y: float


class SearchAnswer(BaseModel):
    """Matches, best first, where the query itself belongs on the map, and one line where nothing matches well."""

    hits: list[HitAnswer]
    position: PositionAnswer | None
    doubt: str | None = None


class ErrorAnswer(BaseModel):
    """One line that says what is wrong."""

    detail: str
