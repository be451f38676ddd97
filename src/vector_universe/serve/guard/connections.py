"""Connections of clients that send or read too slowly are closed, so that they do not use up what others need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from vector_universe.serve.guard.middleware import BODY_SECONDS


@dataclass(frozen=True)
class Patience:
    """How long a server waits for its clients.

    Attributes:
        body_seconds: until the whole body of a request must be there.
        header_seconds: until the first line and the headers of a request must be there.
        read_seconds: a client that takes nothing of its answer for this long is gone.
        connections: at once; one more is closed.
        header_bytes: of the first line and the headers together.
    """

    body_seconds: float = BODY_SECONDS
    header_seconds: float = 10.0
    read_seconds: float = 30.0
    connections: int = 800
    header_bytes: int = 64 * 1024


def patient_protocol(patience: Patience) -> Callable[..., asyncio.Protocol]:
    """uvicorn's HTTP/1.1 with a clock for the headers of a request and for the reading of its answer."""

    class PatientProtocol(H11Protocol):
        _headers_due: asyncio.TimerHandle | None = None
        _reading_due: asyncio.TimerHandle | None = None
        _unread = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > patience.connections:
                transport.abort()
            else:
                self._await_headers()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_answering() or self.transport.is_closing():
                self._headers_came()
            elif self._headers_due is None:
                self._await_headers()  # of the next request on this connection

        def on_response_complete(self) -> None:
            super().on_response_complete()  # may begin with a request that was sent ahead
            if self._is_answering():
                self._headers_came()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._await_reading()

        def resume_writing(self) -> None:
            self._cancel_reading()
            super().resume_writing()

        def connection_lost(self, exc: Exception | None) -> None:
            self._headers_came()
            self._cancel_reading()
            super().connection_lost(exc)

        def _is_answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _await_headers(self) -> None:
            self._headers_due = self.loop.call_later(patience.header_seconds, self.transport.abort)

        def _headers_came(self) -> None:
            if self._headers_due is not None:
                self._headers_due.cancel()
                self._headers_due = None

        def _await_reading(self) -> None:
            self._unread = self.transport.get_write_buffer_size()
            self._reading_due = self.loop.call_later(patience.read_seconds, self._check_reading)

        def _check_reading(self) -> None:
            if self.transport.get_write_buffer_size() >= self._unread:
                self.transport.abort()
            else:
                self._await_reading()

        def _cancel_reading(self) -> None:
            if self._reading_due is not None:
                self._reading_due.cancel()
                self._reading_due = None

    return PatientProtocol


def settings(patience: Patience) -> dict[str, Any]:
    """What uvicorn is told, besides the application."""
    return {
        "http": patient_protocol(patience), "ws": "none", "h11_max_incomplete_event_size": patience.header_bytes,
        "server_header": False, "backlog": 512, "timeout_keep_alive": 30, "log_level": "error", "access_log": False,
    }
