"""Serve a universe to this machine until Ctrl-C."""

from __future__ import annotations

import errno
import os
import socket
import webbrowser
from contextlib import suppress
from pathlib import Path

from vector_universe.errors import UserError


def serve(path: str | Path, port: int = 8765, host: str = "127.0.0.1", open_browser: bool = False) -> None:
    """Serve the API and the page of a universe; returns after Ctrl-C.

    Args:
        path: the universe's folder.
        port: a free one.
        host: 127.0.0.1, ::1 or localhost; there is no log-in yet, so nothing else.
        open_browser: show the page at once.

    Raises:
        UserError: the port is in use or not allowed, the host is not this machine, or `path` is not a universe.
    """
    listener = bind(host, port)
    with listener:
        import uvicorn

        from vector_universe.serve.app import create_app

        server = uvicorn.Server(uvicorn.Config(create_app(path), log_level="warning"))
        listener.listen()
        address = f"http://{'[::1]' if listener.family == socket.AF_INET6 else '127.0.0.1'}:{listener.getsockname()[1]}"
        print(f"serving {path} at {address} (Ctrl-C stops)", flush=True)
        if open_browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):  # uvicorn has shut down cleanly and passes the signal on
            server.run(sockets=[listener])
        print("stopped", flush=True)


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to a loopback address; port 0 takes any free one.

    Raises:
        UserError: the host is not this machine, or the port is in use or not allowed.
    """
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise UserError(f"--host {host} would open this universe to others and there is no log-in yet: use 127.0.0.1")
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port} is not between 0 and 65535")
    listener = socket.socket(socket.AF_INET6 if host == "::1" else socket.AF_INET)
    if os.name == "posix":  # restart at once; elsewhere this option would let two servers share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("::1" if host == "::1" else "127.0.0.1", port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} is in use: choose another with --port") from None
        raise UserError(f"port {port} cannot be used ({error.strerror}): choose another with --port") from None
    return listener
