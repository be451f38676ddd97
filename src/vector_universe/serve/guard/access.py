"""Who may come in: this machine alone, or whoever has the token."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlencode

from starlette.datastructures import Headers, QueryParams
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from vector_universe.errors import UserError
from vector_universe.serve.guard.sign_in import SIGN_IN_HEADERS, entered_page, sign_in_page

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LEAST_TOKEN = 16  # characters
_NAMES = ("127.0.0.1", "localhost", "[::1]", "testserver")  # the last is what a test client calls itself
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


@dataclass(frozen=True)
class Access:
    """Who may come in.

    Attributes:
        token: what every request must show; None lets in whoever reaches the server, which must then listen on this
            machine alone.
    """

    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """
        Raises:
            UserError: the token is shorter than 16 characters, or not of plain characters.
        """
        if self.token is None:
            return
        if len(self.token) < LEAST_TOKEN:
            raise UserError(f"the token has {len(self.token)} characters, which can be guessed: take at least "
                            f"{LEAST_TOKEN}, or leave it out to get one made up")
        if not all("!" <= character <= "~" for character in self.token):
            raise UserError("the token holds spaces or characters beyond ASCII, which no header carries: take letters "
                            "and digits")

    @classmethod
    def to(cls, host: str, token: str | None) -> Access:
        """Access to a server that listens on `host`: beyond this machine a token is made up where none is given.

        Raises:
            UserError: the token can be guessed.
        """
        if token is None and host not in LOOPBACK:
            token = secrets.token_urlsafe(24)
        return cls(token)


OPEN = Access()


class Gate:
    """ASGI middleware: lets in requests with the token, or, where there is none, those that name this machine.

    The token comes as `Authorization: Bearer …`, or once as `?token=…` in the page's address, which leaves a cookie.
    Without a token the header Host must name this machine: a foreign page whose name was pointed here by its owner
    (DNS rebinding) is told apart by it.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._token = access.token
        if access.token is not None:
            # Another server on this host has another cookie; the cookie is not the token itself.
            self._cookie_name = f"vector_universe_{hashlib.sha256(access.token.encode()).hexdigest()[:8]}"
            self._cookie = hmac.new(access.token.encode(), b"cookie", "sha256").hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._answer(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response | None:
        """What is said instead of going on; None lets the request in."""
        headers = Headers(scope=scope)
        if self._token is None:
            if host_named(headers.get("host", "")) in _NAMES:
                return None
            return JSONResponse({"detail": "this server answers to localhost and 127.0.0.1 alone; for others start it "
                                           "with --token"}, 400)
        path = scope["path"]
        is_page = scope["method"] == "GET" and not path.startswith(("/api/", "/metrics", "/openapi.json"))
        query = QueryParams(scope["query_string"] if is_page else b"")
        given = query.get("token")
        if given is not None and _same(given, self._token):
            return self._enter(scope, headers, query)
        if self._is_known(headers):
            return None
        if is_page and "text/html" in headers.get("accept", ""):
            return HTMLResponse(sign_in_page(wrong=given is not None), 401, SIGN_IN_HEADERS)
        detail = "a token is needed: send the header Authorization: Bearer TOKEN, with the token that `vu serve` was " \
                 "given or printed"
        return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})

    def _is_known(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(given.strip(), self._token):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie_name)
        except CookieError:
            return False
        return cookie is not None and _same(cookie.value, self._cookie)

    def _enter(self, scope: Scope, headers: Headers, query: QueryParams) -> Response:
        """The cookie, and on to the address without the token."""
        rest = urlencode([(name, value) for name, value in query.multi_items() if name != "token"])
        address = f"/?{rest}" if rest else "/"  # never the path that was asked for: //elsewhere.example is another host
        response: Response = RedirectResponse(address, 303, {"Cache-Control": "no-store"})
        if headers.get("sec-fetch-site") == "cross-site":
            # A browser sends no strict cookie along when a link of another site is redirected, but does from our page.
            response = HTMLResponse(entered_page(address), 200, SIGN_IN_HEADERS)
        response.set_cookie(self._cookie_name, self._cookie, httponly=True, samesite="strict",
                            secure=scope.get("scheme") == "https")
        return response


def host_named(header: str) -> str | None:
    """The host of a header Host, in lower case and without its port: a name, an IPv4 or an [IPv6]; else None."""
    found = _HOST.fullmatch(header)
    return found[1].lower() if found else None


def _same(given: str, wanted: str | None) -> bool:
    return wanted is not None and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
