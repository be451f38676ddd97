"""The HTTP API over one universe, and the page in front of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic.json_schema import models_json_schema

from vector_universe.errors import StorageError, UserError
from vector_universe.index import Universe
from vector_universe.serve.api import item_routes, model_routes, search_routes
from vector_universe.serve.api.answers import HealthAnswer, InfoAnswer, LabelAnswer
from vector_universe.serve.api.current import ERRORS, Current, side
from vector_universe.serve.api.requests import ClassifyRequest, EmbedRequest, SearchRequest
from vector_universe.serve.api.uploads import MAX_BODY
from vector_universe.serve.guard.access import OPEN, Access, Gate
from vector_universe.serve.guard.admission import MOST, Admission
from vector_universe.serve.guard.middleware import BODY_SECONDS, SECURITY_HEADERS, BodyCap, SameOrigin, SecurityHeaders
from vector_universe.serve.metrics import MEDIA_TYPE, Counted, Metrics
from vector_universe.serve.served.compare import compare
from vector_universe.serve.served.snapshot import Served, Snapshot, open_to_stay
from vector_universe.serve.sharing.page import STATIC

logger = logging.getLogger(__name__)
_OTHERS = 32  # threads beyond those that may wait for the model: for maps, items, thumbnails
_NO_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Vector Universe</title>
<h1>The page is not built yet</h1><p>Run <code>make page</code> and reload. The API works:
<a href="/api/info">/api/info</a>, <a href="/openapi.json">/openapi.json</a>.</p></html>"""


def create_app(universe: str | Path | Universe, static: Path = STATIC, access: Access = OPEN,
               body_seconds: float = BODY_SECONDS, compare_with: str | Path | Universe | None = None) -> FastAPI:
    """The application that serves one universe; by itself it answers only to requests that name this machine.

    `app.state.served.current` is what it answers from, a `Snapshot`, and may be replaced while it runs.

    Args:
        universe: an open one, or its folder.
        static: the folder of the built page.
        access: who may come in.
        body_seconds: until the whole body of a request must be there.
        compare_with: another universe of the same items by another model.

    Raises:
        UserError: a folder is not a universe, or the two have no item in common.
    """
    app = FastAPI(title="Vector Universe", version=version("vector-universe"), docs_url=None, redoc_url=None,
                  lifespan=_threads)
    app.state.metrics = metrics = Metrics()
    opened = Snapshot.of(_opened(universe), metrics.observe_run)
    if compare_with is not None:
        opened = compare(opened, Snapshot.of(_opened(compare_with), metrics.observe_run))
    app.state.served = Served(opened)
    app.state.admission = Admission()
    metrics.observe_index(app.state.served, app.state.admission)
    # The last one added sees a request first.
    app.add_middleware(SameOrigin)
    app.add_middleware(Gate, access=access)
    app.add_middleware(BodyCap, limit=MAX_BODY, seconds=body_seconds)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Counted, metrics=metrics)
    _add_error_handlers(app)
    _add_facts(app)
    _add_metrics(app, metrics)
    for routes in (item_routes, search_routes, model_routes):
        app.include_router(routes.router)
    _document_requests(app)
    _add_page(app, static)
    return app


def _opened(universe: str | Path | Universe) -> Universe:
    return universe if isinstance(universe, Universe) else open_to_stay(universe)


@asynccontextmanager
async def _threads(app: FastAPI) -> AsyncIterator[None]:
    """A thread for every request that may wait for the model, and some that none of them can take."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = MOST + _OTHERS
    yield


def _add_facts(app: FastAPI) -> None:
    @app.get("/api/health")
    def health(snapshot: Current) -> HealthAnswer:
        """Whether the server is up, and the version of the index."""
        return HealthAnswer(version=snapshot.version)

    @app.get("/api/info")
    def read_info(snapshot: Current) -> InfoAnswer:
        """The universe as a whole."""
        return snapshot.info

    @app.get("/api/labels")
    def read_labels(snapshot: Current) -> list[LabelAnswer]:
        """All labels, most frequent first; the place is the label's number on the map."""
        return snapshot.info.labels

    @app.get("/api/map", responses=ERRORS | {200: {"content": {"application/octet-stream": {}}},
                                             304: {"description": "The map that the caller has is this one."}},
             response_class=Response)
    def read_map(snapshot: Current, of: Literal["this", "other"] = "this",
                 if_none_match: Annotated[str | None, Header()] = None) -> Response:
        """Places, topics and labels of all items, in binary columns behind a JSON header."""
        snapshot = side(snapshot, of)
        tag = f'"{snapshot.version}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if if_none_match is not None and tag in [one.strip().removeprefix("W/") for one in if_none_match.split(",")]:
            return Response(status_code=304, headers=headers)
        return Response(snapshot.map, media_type="application/octet-stream", headers=headers)


def _add_metrics(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/metrics", responses={200: {"content": {"text/plain": {}}}}, response_class=Response)
    def read_metrics() -> Response:
        """What the server counts of itself, for Prometheus."""
        return Response(metrics.text(), media_type=MEDIA_TYPE)


def _add_page(app: FastAPI, static: Path) -> None:
    if (static / "index.html").is_file():
        app.mount("/", StaticFiles(directory=static, html=True))
        return

    @app.get("/", include_in_schema=False)
    def no_page() -> HTMLResponse:
        return HTMLResponse(_NO_PAGE)


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(StorageError)
    def storage_error(request: Request, error: StorageError) -> JSONResponse:  # paths are the server's own business
        logger.error("%s", error)
        return JSONResponse({"detail": "the index cannot be read at the moment: see the server's log"}, 503,
                            {"Retry-After": "5"})

    @app.exception_handler(UserError)
    def user_error(request: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:])[:200] or "request"
        return JSONResponse({"detail": f"{field}: {first['msg']}"[:300].replace("\n", " ")}, 422)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:  # the traceback goes to the server's log
        return JSONResponse({"detail": "internal error: see the server's log"}, 500, SECURITY_HEADERS)


def _document_requests(app: FastAPI) -> None:
    """Put the shapes of bodies, which FastAPI does not read itself, among the schemas of the OpenAPI document."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _, found = models_json_schema([(kind, "validation") for kind in (SearchRequest, ClassifyRequest,
                                                                             EmbedRequest)],
                                          ref_template="#/components/schemas/{model}")
            plain()["components"]["schemas"].update(found["$defs"])
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
