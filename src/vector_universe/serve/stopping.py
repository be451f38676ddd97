"""A server that ends within seconds of Ctrl-C or SIGTERM, and answers what is in flight before."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn

GRACE = 5.0  # seconds for requests in flight
_REFUSAL = b'{"detail":"the server stops: ask again when it is back"}'


class Server(uvicorn.Server):
    """Takes no connections once told to stop, gives requests in flight `grace` seconds, and answers 503 to the rest.

    A second signal ends the process at once. `run` returns after a signal as after any other end, but for a model in
    the middle of a batch, which ends with the process.
    """

    def __init__(self, config: uvicorn.Config, grace: float = GRACE, end: Callable[[int], object] = os._exit) -> None:
        super().__init__(config)
        self._grace, self._end = grace, end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self._end(128 + sig)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await asyncio.wait_for(super().shutdown(sockets), self._grace)
        except asyncio.TimeoutError:
            for connection in list(self.server_state.connections):
                with suppress(Exception):  # one that cannot be answered is closed by the end of the process
                    await _refuse(getattr(connection, "cycle", None))
            print("stopped", flush=True)
            self._end(0)  # a model that is in the middle of a batch would hold up the interpreter's own end


async def _refuse(cycle: Any) -> None:
    if cycle is None or cycle.response_started:
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_REFUSAL)).encode()),
               (b"retry-after", b"5"), (b"connection", b"close")]
    await cycle.send({"type": "http.response.start", "status": 503, "headers": headers})
    await cycle.send({"type": "http.response.body", "body": _REFUSAL, "more_body": False})
