"""Items: a few by their rows on the map, one with everything about it, and its thumbnail."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response

from vector_universe.index import Hit
from vector_universe.serve.api.answers import ItemAnswer, ItemDetailsAnswer, ItemsAnswer
from vector_universe.serve.api.current import ERRORS, Current
from vector_universe.serve.served.snapshot import NO_TOPIC, Snapshot

AT_ONCE = 200

router = APIRouter()


@router.get("/api/map/items", responses=ERRORS)
def read_items(snapshot: Current,
               row: Annotated[list[int], Query(min_length=1, max_length=AT_ONCE)]) -> ItemsAnswer:
    """Items by their rows on the map, in this order."""
    beyond = next((one for one in row if not 0 <= one < len(snapshot)), None)
    if beyond is not None:
        raise HTTPException(404, f"no row {beyond}: the map has rows 0 to {len(snapshot) - 1}")
    return ItemsAnswer(version=snapshot.version, items=[
        ItemAnswer(row=one, id=snapshot.ids[one].as_py(), title=snapshot.titles[one].as_py() or "",
                   labels=snapshot.labels_of(one)) for one in row])


@router.get("/api/items/{id:path}", responses=ERRORS)
def read_item(snapshot: Current, id: str) -> ItemDetailsAnswer:
    """Everything about an item."""
    row = row_of(snapshot, id)
    hit = snapshot.universe.item_at(int(snapshot.row_ids_N[row]))
    topic = int(snapshot.topic_N[row])
    return ItemDetailsAnswer(
        row=row, id=hit.id, title=hit.title, labels=hit.labels, x=float(snapshot.x_N[row]), y=float(snapshot.y_N[row]),
        topic=None if topic == NO_TOPIC or snapshot.topics is None else snapshot.topics.names[topic], ocr=hit.ocr,
        predicted_label=hit.predicted_label, metadata=plain_metadata(hit))


@router.get("/api/thumbnails/{id:path}", responses=ERRORS | {200: {"content": {"image/webp": {}}}},
            response_class=Response)
def read_thumbnail(snapshot: Current, id: str) -> Response:
    """An item's picture as WebP, at most 128 px long."""
    row_id = snapshot.row_ids_N[row_of(snapshot, id)]
    picture = snapshot.universe.table.take([int(row_id)], ["thumbnail"])[0]["thumbnail"]
    return Response(picture, media_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})


def row_of(snapshot: Snapshot, id: str) -> int:
    """The row of an item on the map.

    Raises:
        HTTPException: 404, there is no such item.
    """
    row = snapshot.row(id)
    if row is None:
        raise HTTPException(404, "no such item")
    return row


def plain_metadata(hit: Hit) -> dict[str, Any]:
    """The data's own columns of an item, without what JSON cannot say."""
    return {name: value for name, value in hit.metadata.items()
            if value is not None and not (isinstance(value, float) and not math.isfinite(value))}
