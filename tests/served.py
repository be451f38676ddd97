"""A real server over a small universe, in a thread of the test or in a process of its own."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.forked import CONTEXT
from tests.universes import FakeModel


class ServedModel(FakeModel):
    """A quick model; a text that begins with "slow" takes `seconds`."""

    def __init__(self, name: str = "one", seconds: float = 1.0) -> None:
        super().__init__(name)
        self.seconds = seconds

    def embed_texts(self, texts: Any, batch_size: int = 64) -> np.ndarray:
        if any(text.startswith("slow") for text in texts):
            time.sleep(self.seconds)
        return super().embed_texts(texts)


def search(text: str, **more: Any) -> dict[str, Any]:
    """A request for a few matches of a text."""
    return {"like": [{"text": text}], "k": 3, **more}


def one_line(answer: httpx.Response, *statuses: int) -> str:
    """The detail of a refusal, once it is sure that it is one clear line."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    detail = answer.json()["detail"]
    assert isinstance(detail, str)
    assert 0 < len(detail) < 400
    assert "\n" not in detail
    assert "Traceback" not in detail
    return detail


# ---- in a thread ----

@contextmanager
def in_thread(app: Any, patience: Any = None) -> Iterator[str]:
    """The address of an application that is served until the end of the block."""
    import uvicorn

    from vector_universe.serve.guard.connections import Patience, settings
    from vector_universe.serve.run import bind
    from vector_universe.serve.stopping import Server

    listener = bind("127.0.0.1", 0)
    listener.listen()
    server = Server(uvicorn.Config(app, **settings(patience or Patience())), 2, end=lambda status: None)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
    assert not thread.is_alive()


def connected(address: str) -> socket.socket:
    """A bare connection to a server."""
    host, _, port = address.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def heard(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    found = b""
    try:
        while chunk := connection.recv(65536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


# ---- in a process ----

@dataclass
class Served:
    """A `vu serve` in a process of its own."""

    process: Any
    port: int
    output: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        """All that it has printed."""
        return self.output.read_text()

    def ended(self, seconds: float = 15) -> int:
        """Its exit status."""
        self.process.join(seconds)
        assert not self.process.is_alive(), f"still running after {seconds} s: {self.said()}"
        status: int = self.process.exitcode
        return status


@contextmanager
def in_process(folder: Path, output: Path, *, model_seconds: float = 1.0, **options: Any) -> Iterator[Served]:
    """`serve(folder, …)`, answering once the block begins; killed at its end, if it still runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = CONTEXT.Process(target=_serve, args=(folder, port, output, model_seconds, options))
    process.start()
    try:
        _await(f"http://127.0.0.1:{port}", process, output)
        yield Served(process, port, output)
    finally:
        process.kill()
        process.join()


def _await(address: str, process: Any, output: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.is_alive():
        try:
            httpx.get(f"{address}/api/health", timeout=10)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"no server: {output.read_text() if output.exists() else ''}")


def _serve(folder: Path, port: int, output: Path, model_seconds: float, options: dict[str, Any]) -> None:
    file = output.open("a", buffering=1)
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    sys.stdout = sys.stderr = file
    from vector_universe import models
    from vector_universe.serve import serve

    models.load_run_model = lambda folder: ServedModel(seconds=model_seconds)  # type: ignore[assignment]
    serve(folder, port=port, **options)
