"""Serve a universe until Ctrl-C: to this machine, or to others who have the token."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time
import webbrowser
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import quote

from vector_universe.errors import UserError
from vector_universe.printable import printable
from vector_universe.serve.guard.access import LOOPBACK, Access

if TYPE_CHECKING:
    from vector_universe.index import Universe
    from vector_universe.serve.guard.connections import Patience

TOKEN_VARIABLE = "VU_TOKEN"


def serve(path: str | Path, port: int = 8765, host: str = "127.0.0.1", token: str | None = None,
          open_browser: bool = False, patience: Patience | None = None,
          compare: str | Path | None = None) -> None:
    """Serve the API and the page of a universe; returns after Ctrl-C or SIGTERM.

    A universe that changes on disk is served anew within seconds, without a restart.

    Args:
        path: the universe's folder, or s3://bucket/folder.
        port: a free one; 0 takes any.
        host: an address of this machine; beyond 127.0.0.1, ::1 and localhost a token is needed.
        token: what every request must show, at least 16 characters; unset: the variable VU_TOKEN, else one is made up
            and printed where `host` is open to others, and none is needed where it is not.
        open_browser: show the page, where there is a display and somebody before it.
        patience: with slow clients; unset: as `Patience` says.
        compare: another universe of the same items by another model, to be seen beside it; followed likewise.

    Raises:
        UserError: the port is in use or not allowed, the host is not of this machine, the token can be guessed, or
            `path` or `compare` is not a universe, or they have no item in common.
    """
    started = time.perf_counter()
    token = token or os.environ.get(TOKEN_VARIABLE) or None
    access = Access.to(host, token)
    listener = bind(host, port)
    with listener:
        import uvicorn

        from vector_universe.index.table.place import Place
        from vector_universe.serve.app import create_app
        from vector_universe.serve.guard.connections import Patience, settings
        from vector_universe.serve.served.compare import Side
        from vector_universe.serve.served.reload import Reloader, index_state
        from vector_universe.serve.stopping import Server

        patience = patience or Patience()
        followed: dict[Side, str] = {"this": str(path)}
        if compare is not None:
            followed["other"] = str(compare)
        states = {side: index_state(Place(place)) for side, place in followed.items()}
        app = create_app(path, access=access, body_seconds=patience.body_seconds, compare_with=compare)
        served = app.state.served
        options = settings(patience)
        server = Server(uvicorn.Config(app, **options))
        listener.listen(options["backlog"])
        address = f"http://{_shown(host, listener)}:{listener.getsockname()[1]}"
        made_up = f"/?token={quote(access.token or '')}" if access.token != token else ""
        print(f"serving {printable(str(path))} at {address}{made_up} (Ctrl-C stops)", flush=True)
        _say(f"{len(served.current):,} items, opened in {time.perf_counter() - started:.1f} s")
        if host not in LOOPBACK:
            _say("plain HTTP can be read on its way, the token too: put a proxy with TLS before it (docs/serving.md)")
        if (other := served.current.other) is not None:
            _say(f"compared with {compare}: {other.shared:,} items are in both")
            Thread(target=_warm_up, args=(other.universe, started), daemon=True).start()
        Thread(target=_warm_up, args=(served.current.universe, started), daemon=True).start()
        reloaders = [Reloader(served, place, states[side], _say, side=side, observe=app.state.metrics.observe_run)
                     for side, place in followed.items()]
        for reloader in reloaders:
            reloader.start()
        if open_browser and has_display():
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()  # a token in a command could be read
        server.run(sockets=[listener])
        for reloader in reloaders:
            reloader.stop()
        print("stopped", flush=True)


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to an address of this machine; port 0 takes any free one.

    Raises:
        UserError: the host is not of this machine, or the port is in use or not allowed.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port} is not between 0 and 65535")
    if not host:
        raise UserError("--host is empty: use 127.0.0.1, or 0.0.0.0 to let others in")
    try:
        family, _, _, _, address = socket.getaddrinfo("127.0.0.1" if host == "localhost" else host, port,
                                                      type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise UserError(f"--host {host} is no address: use 127.0.0.1, or 0.0.0.0 to let others in") from None
    listener = socket.socket(family)
    if os.name == "posix":  # restart at once; elsewhere this option would let two servers share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} is in use: choose another with --port") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise UserError(f"--host {host} is not an address of this machine: use 127.0.0.1, or 0.0.0.0 to let others "
                            "in") from None
        raise UserError(f"port {port} cannot be used ({error.strerror}): choose another with --port") from None
    return listener


def has_display() -> bool:
    """Whether somebody sits before a screen of this machine: not in a pipe, on a build server or over SSH."""
    if not sys.stdout.isatty() or os.environ.get("CI"):
        return False
    if sys.platform in ("darwin", "win32"):
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _shown(host: str, listener: socket.socket) -> str:
    """The host to write in an address: for one that stands for all, that by which others reach this machine."""
    if host in ("0.0.0.0", "::"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))  # sends nothing: it only finds the way out
                return str(probe.getsockname()[0])
            except OSError:
                return "127.0.0.1"
    shown = str(listener.getsockname()[0]) if host in LOOPBACK else host
    return f"[{shown}]" if ":" in shown else shown


def _warm_up(universe: Universe, started: float) -> None:
    from vector_universe.serve.served.device import said_device, warm_up

    try:
        warm_up(universe)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        _say(f"the model cannot be loaded, so only items and filters can be searched for: {reason}")
        return
    _say(f"the model is ready after {time.perf_counter() - started:.1f} s, on {said_device()}")


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
