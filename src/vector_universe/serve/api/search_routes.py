"""Search: matches of a query, the cosine of every item to it, and all that its filters keep."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter
from fastapi import Query as Parameter
from fastapi.responses import Response, StreamingResponse

from vector_universe.index import Matches, Query
from vector_universe.serve.api.answers import ComparedAnswer, HitAnswer, PositionAnswer, SearchAnswer
from vector_universe.serve.api.current import BUSY, ERRORS, Asked, Current, other, side
from vector_universe.serve.api.item_routes import row_of
from vector_universe.serve.api.requests import MAX_MATCHES, SearchRequest
from vector_universe.serve.api.table_export import csv_lines
from vector_universe.serve.api.uploads import documented
from vector_universe.serve.served.snapshot import Snapshot

_PLACED_BY = 10  # hits

router = APIRouter()


@router.post("/api/search", responses=BUSY, openapi_extra=documented(SearchRequest))
def search(snapshot: Current, body: Asked) -> SearchAnswer:
    """The items that match, best first, a page at a time."""
    request = body.read(SearchRequest)
    snapshot = side(snapshot, request.of)
    query = request.query(body.pictures)
    matches = snapshot.search(query)
    return search_answer(snapshot, query, matches)


@router.post("/api/scores", responses=BUSY | {200: {"content": {"application/octet-stream": {}}}},
             response_class=Response, openapi_extra=documented(SearchRequest))
def scores(snapshot: Current, body: Asked) -> Response:
    """How near every item is to what is wanted: one little-endian float32 cosine a row of the map, NaN where none."""
    request = body.read(SearchRequest)
    snapshot = side(snapshot, request.of)
    row_ids, cosines = snapshot.scores(request.query(body.pictures))
    scores_N = np.full(len(snapshot), np.nan, "<f4")
    scores_N[snapshot.rows_of(row_ids)] = cosines
    return Response(scores_N.tobytes(), media_type="application/octet-stream",
                    headers={"X-Index-Version": snapshot.version})


@router.post("/api/export", responses=BUSY | {200: {"content": {"text/csv": {}}}}, response_class=Response,
             openapi_extra=documented(SearchRequest))
def export(snapshot: Current, body: Asked) -> StreamingResponse:
    """Every item that the filters, region and burnt-in words keep, as a table for spreadsheets."""
    query = body.read(SearchRequest).query(body.pictures)
    row_ids = snapshot.universe.kept(query)
    return StreamingResponse(csv_lines(snapshot, row_ids), media_type="text/csv; charset=utf-8",
                             headers={"Content-Disposition": 'attachment; filename="items.csv"'})


@router.get("/api/compared/{id:path}", responses=ERRORS)
def compared(snapshot: Current, id: str, k: Annotated[int, Parameter(ge=1, le=MAX_MATCHES)] = 10) -> ComparedAnswer:
    """What is near an item in both of two compared universes, and how many of these are the same."""
    sides = other(snapshot)
    row_of(snapshot, id)
    here, there = sides.compared(id, k)
    return ComparedAnswer(shared=len(np.intersect1d(here.row_ids, there.row_ids)),
                          here=hit_answers(snapshot, here), there=hit_answers(snapshot, there))


def search_answer(snapshot: Snapshot, query: Query, matches: Matches) -> SearchAnswer:
    """Matches as the API gives them, with rows of the map."""
    return SearchAnswer(hits=hit_answers(snapshot, matches), position=position(snapshot, query, matches),
                        doubt=matches.doubt, among=matches.among, recall=matches.recall,
                        next_offset=matches.next_offset, version=snapshot.version)


def hit_answers(snapshot: Snapshot, matches: Matches) -> list[HitAnswer]:
    """Hits with their rows of the map."""
    rows = snapshot.rows_of(matches.row_ids)
    return [HitAnswer(row=row, id=hit.id, title=hit.title, labels=hit.labels,
                      score=None if hit.score is None else round(hit.score, 6),
                      probability=None if hit.probability is None else round(hit.probability, 6))
            for row, hit in zip(rows.tolist(), matches, strict=True)]


def position(snapshot: Snapshot, query: Query, matches: Matches) -> PositionAnswer | None:
    """Where a query belongs on the map: the mean of its first 10 hits' places, weighted by 1 / (1 − cosine).

    That of one item alone is the item's own place. A listing has none, nor have later pages, which the nearest are
    not on.
    """
    if matches.wanted_D is None or query.offset or not len(matches):
        return None
    if len(query.wanted) == 1 and query.wanted[0].item is not None:
        row = snapshot.row(query.wanted[0].item)
        assert row is not None
        return PositionAnswer(x=float(snapshot.x_N[row]), y=float(snapshot.y_N[row]))
    rows = snapshot.rows_of(matches.row_ids[:_PLACED_BY])
    cosines = np.array([hit.score for hit in matches[:_PLACED_BY]], np.float64)
    weights = 1 / (1 - cosines + 1e-6)
    return PositionAnswer(x=float(np.average(snapshot.x_N[rows], weights=weights)),
                          y=float(np.average(snapshot.y_N[rows], weights=weights)))
