"""The HTTP API over one universe, and the page in front of it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, HTTPException, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from vector_universe.data.images import ImageError, open_image
from vector_universe.errors import UserError
from vector_universe.index import MapPoints, Matches, Universe
from vector_universe.index import Query as UniverseQuery
from vector_universe.serve.answers import (
    ErrorAnswer,
    HitAnswer,
    InfoAnswer,
    LabelAnswer,
    PositionAnswer,
    SearchAnswer,
)
from vector_universe.serve.guard import SECURITY_HEADERS, BodyCap, SecurityHeaders

MAX_UPLOAD = 10_000_000
MAX_TEXT = 10_000
MAX_MATCHES = 200
_FORM_OVERHEAD = 100_000  # text field, boundaries and part headers around the image
_HOSTS = ["localhost", "127.0.0.1", "::1", "[::1]", "testserver"]
_STATIC = Path(__file__).parent / "static"
_NO_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Vector Universe</title>
<h1>The page is not built yet</h1><p>Run <code>make page</code> and reload. The API works:
<a href="/api/info">/api/info</a>, <a href="/openapi.json">/openapi.json</a>.</p></html>"""
_ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in (400, 404, 413, 415, 422)}

HowMany = Annotated[int, Query(ge=1, le=MAX_MATCHES)]


def create_app(universe: str | Path | Universe, static: Path = _STATIC) -> FastAPI:
    """The application that serves one universe; answers only to requests that name this machine.

    Args:
        universe: an open one, or its folder.
        static: the folder of the built page.

    Raises:
        UserError: the folder is not a universe.
    """
    opened = universe if isinstance(universe, Universe) else Universe.open(universe)
    app = FastAPI(title="Vector Universe", version=version("vector-universe"), docs_url=None, redoc_url=None)
    # The last one added sees a request first.
    app.add_middleware(BodyCap, limit=MAX_UPLOAD + _FORM_OVERHEAD)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS, www_redirect=False)  # against DNS rebinding
    app.add_middleware(SecurityHeaders)
    _add_error_handlers(app)
    points = opened.map_points()
    _add_map(app, opened, points)
    _add_search(app, opened, points)
    _add_page(app, static)
    return app


def _add_map(app: FastAPI, universe: Universe, points: MapPoints) -> None:
    counts = universe.label_counts()
    info = InfoAnswer(
        name=universe.name,
        count=len(universe),
        dimension=universe.generation.dimension,
        labels=[LabelAnswer(name=name, count=count) for name, count in counts.items()],
        attribution=universe.attribution,
        version=app.version,
        examples=universe.examples,
    )
    known = frozenset(points.ids)
    label_numbers = {name: number for number, name in enumerate(counts)}
    map_answer = JSONResponse({
        "ids": points.ids,
        "titles": points.titles,
        "x": [round(float(x), 5) for x in points.x],
        "y": [round(float(y), 5) for y in points.y],
        "label": [label_numbers[labels[0]] if labels else -1 for labels in points.labels],
    }).body

    @app.get("/api/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/api/info")
    def read_info() -> InfoAnswer:
        return info

    @app.get("/api/map")
    def read_map() -> Response:
        return Response(map_answer, media_type="application/json")

    @app.get("/thumbnails/{id:path}", responses=_ERRORS)
    def read_thumbnail(id: str) -> Response:
        _require(id in known)
        headers = {"Cache-Control": "private, max-age=3600"}
        return Response(universe.thumbnail(id), media_type="image/webp", headers=headers)


def _add_search(app: FastAPI, universe: Universe, points: MapPoints) -> None:
    model_lock = Lock()  # a model embeds one query at a time; requests wait in their threads
    rows = {id: row for row, id in enumerate(points.ids)}

    def answers(matches: Matches) -> list[HitAnswer]:
        return [HitAnswer.of(hit, rows[hit.id]) for hit in matches]

    @app.post("/api/search", responses=_ERRORS)
    def search(
        text: Annotated[str, Form(max_length=MAX_TEXT)] = "",
        image: Annotated[UploadFile | None, File()] = None,
        k: Annotated[int, Form(ge=1, le=MAX_MATCHES)] = 24,
    ) -> SearchAnswer:
        encoded = None if image is None else _read_image(image)
        with model_lock:
            matches = universe.search(UniverseQuery.of(text, encoded, k=k))
        assert matches.wanted_D is not None
        x, y = universe.place_of(matches.wanted_D)
        return SearchAnswer(hits=answers(matches), position=PositionAnswer(x=x, y=y), doubt=matches.doubt)

    @app.get("/api/items/{id:path}/neighbours", responses=_ERRORS)
    def neighbours(id: str, k: HowMany = 24) -> SearchAnswer:
        _require(id in rows)
        row = rows[id]
        here = PositionAnswer(x=float(points.x[row]), y=float(points.y[row]))
        return SearchAnswer(hits=answers(universe.neighbours(id, k)), position=here)


def _add_page(app: FastAPI, static: Path) -> None:
    if (static / "index.html").is_file():
        app.mount("/", StaticFiles(directory=static, html=True))
        return

    @app.get("/", include_in_schema=False)
    def no_page() -> HTMLResponse:
        return HTMLResponse(_NO_PAGE)


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(UserError)
    def user_error(request: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return JSONResponse({"detail": f"{field}: {first['msg']}"}, 422)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:  # the traceback goes to the server's log
        return JSONResponse({"detail": "internal error: see the server's log"}, 500, SECURITY_HEADERS)


def _require(there: bool) -> None:
    if not there:
        raise HTTPException(404, "no such item")


def _read_image(upload: UploadFile) -> bytes | None:
    """The uploaded bytes, checked by their header alone; None for a form's empty file field."""
    encoded = upload.file.read(MAX_UPLOAD + 1)
    if not encoded and not upload.filename:
        return None
    if len(encoded) > MAX_UPLOAD:
        raise HTTPException(413, f"the image is larger than {MAX_UPLOAD // 1_000_000} MB")
    try:
        open_image(encoded).close()
    except ImageError as error:
        raise HTTPException(413 if "too large" in str(error) else 415, f"the image cannot be read: {error}") from None
    return encoded
