"""What the routes are given: the universe as it is now, and the body of a request that found a place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Request

from vector_universe.errors import UserError
from vector_universe.serve.api.answers import ErrorAnswer
from vector_universe.serve.api.uploads import Body, read_body
from vector_universe.serve.served.compare import OtherSide
from vector_universe.serve.served.snapshot import Snapshot

ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in (400, 404, 413, 415, 422)}
BUSY: dict[int | str, dict[str, Any]] = ERRORS | {503: {
    "model": ErrorAnswer, "headers": {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}}}


def current(request: Request) -> Snapshot:
    """The universe as it is now; a request keeps to it from beginning to end."""
    snapshot: Snapshot = request.app.state.served.current
    return snapshot


async def asked(request: Request) -> AsyncIterator[Body]:
    """The body of a request, which then has one of the places for those that need the model, until it is answered.

    A slow upload takes no place, nor does a slow reader of the answer.
    """
    body = await read_body(request)
    with request.app.state.admission.place():
        yield body


def side(snapshot: Snapshot, of: str) -> Snapshot:
    """The universe that a request is about.

    Raises:
        UserError: it asks for another to compare with, and there is none.
    """
    return other(snapshot) if of == "other" else snapshot


def other(snapshot: Snapshot) -> OtherSide:
    """The universe to compare with.

    Raises:
        UserError: there is none.
    """
    if snapshot.other is None:
        raise UserError("there is no universe to compare with: start the server with --compare OTHER")
    return snapshot.other


Current = Annotated[Snapshot, Depends(current)]
Asked = Annotated[Body, Depends(asked, scope="function")]
