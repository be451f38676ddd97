"""What every request and response passes: headers that keep the page to itself, and limits on what may arrive."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
                               "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
                               "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
BODY_SECONDS = 30.0
_FAREWELL = 1.0  # seconds for a client that still sends to read why it was refused


class SecurityHeaders:
    """ASGI middleware: `SECURITY_HEADERS` on every response, but for those that it says itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class SameOrigin:
    """ASGI middleware: what a page of another origin makes a browser ask is refused (403); links from it may lead here.

    Browsers say it themselves, in Sec-Fetch-Site or, for what changes something, in Origin; programs say neither.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_foreign(scope["method"], Headers(scope=scope)):
            answer = JSONResponse({"detail": "a page of another site asked for this: only this server's own page may"},
                                  403)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_foreign(method: str, headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        follows_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        return site not in ("same-origin", "none") and not follows_link
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


class BodyCap:
    """ASGI middleware: a body is refused while it arrives, never stored, where it is too large (413) or slow (408).

    A connection whose body was not taken to its end is closed, once the client has had a moment to read the answer.

    Args:
        limit: bytes.
        seconds: until the whole body must be there.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(Headers(scope=scope), receive, send, self.limit, self.seconds)
        if body.announced > self.limit:
            await JSONResponse({"detail": body.too_large}, 413)(scope, receive, body.send)
        else:
            await self.app(scope, body.receive, body.send)


class _Body:
    """The body of one request, as it arrives."""

    def __init__(self, headers: Headers, receive: Receive, send: Send, limit: int, seconds: float) -> None:
        length = headers.get("content-length", "")
        self.announced = int(length[:20]) if length.isascii() and length.isdigit() else 0
        self.too_large = f"the request is larger than {limit // 1_000_000} MB"
        self._more = self.announced > 0 or "transfer-encoding" in headers
        self._receive, self._send = receive, send
        self._limit, self._seconds = limit, seconds
        self._deadline: float | None = None
        self._received = 0

    async def receive(self) -> Message:
        if not self._more:  # whether the client is still there
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._deadline = self._deadline or now + self._seconds
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, self._deadline - now))
        except asyncio.TimeoutError:
            raise HTTPException(408, f"the request did not arrive within {self._seconds:g} s") from None
        self._more = bool(message.get("more_body", False))
        self._received += len(message.get("body", b""))
        if self._received > self._limit:  # Content-Length may be absent or a lie
            self._more = True
            raise HTTPException(413, self.too_large)
        return message

    async def send(self, message: Message) -> None:
        if self._more and message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not (self._more and last):
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._discard(), _FAREWELL)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _discard(self) -> None:
        """Take what still comes: a connection closed on unread bytes loses the answer on its way."""
        while self._more:
            self._more = bool((await self._receive()).get("more_body", False))
