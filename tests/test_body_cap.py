"""A body may be as large as the limit and not a byte larger, whatever it said of its size."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.served import ServedModel
from tests.universes import data_set, examples_of
from vector_universe.index import Universe
from vector_universe.serve import create_app
from vector_universe.serve.guard.middleware import BodyCap

LIMIT = 1000


async def length(request):
    return PlainTextResponse(str(len(await request.body())))


CAPPED = Starlette(routes=[Route("/", length, methods=["POST"])], middleware=[Middleware(BodyCap, limit=LIMIT)])


def answer(size: int, piece: int, headers: dict[str, str]) -> httpx.Response:
    """What is said to a body of `size` bytes that comes in pieces."""
    async def body():
        for start in range(0, size, piece):
            yield bytes(min(piece, size - start))

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(CAPPED), base_url="http://localhost") as client:
            return await client.post("/", content=body(), headers=headers)

    with ThreadPoolExecutor(1) as elsewhere:  # the browser of other tests has a loop in this thread
        return elsewhere.submit(asyncio.run, ask()).result()


@pytest.mark.parametrize("piece", [1, 300, 1000, 5000])
@pytest.mark.parametrize("said", ["nothing", "the truth", "too little"])
def test_the_limit_passes_and_a_byte_more_does_not(piece, said):
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413), (2 * LIMIT, 413)):
        headers = {"nothing": {}, "the truth": {"content-length": str(size)}, "too little": {"content-length": "10"}}
        found = answer(size, piece, headers[said])
        assert found.status_code == status
        if status == 200:
            assert found.text == str(LIMIT)


def test_the_server_takes_forty_megabytes(tmp_path):
    app = create_app(Universe.build(ServedModel(), data_set(examples_of(2)), tmp_path / "universe"))
    assert [layer.kwargs["limit"] for layer in app.user_middleware if layer.cls is BodyCap] == [40_000_000]
