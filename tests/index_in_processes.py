"""`vu index` in a process of its own, to be killed: planted at a commit, or from outside at any moment."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.forked import CONTEXT


@dataclass(frozen=True)
class Run:
    """One `vu index`.

    Attributes:
        data: folder.
        out: of the universe.
        model: name of the model.
        options: of `IndexOptions`.
        before, after: kill -9 before or after the so-manieth commit, counted from 1.
        in_index: kill -9 when the first vector index is built.
        exact_up_to: items; beyond, a vector index is built.
        log: a file that gets a line after each commit: the digests of all items, by generation.
        errors: a file that gets the line of a UserError.
        environment: of the process.
        file_bytes: no file may grow past it, as if the disk were full.
    """

    data: Path
    out: str
    model: str = "one"
    options: dict[str, Any] = field(default_factory=dict)
    before: int = 0
    after: int = 0
    in_index: bool = False
    exact_up_to: int = 50_000
    log: Path | None = None
    errors: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    file_bytes: int = 0


def start(run: Run) -> Any:
    """A process that does it; exit status 0, -9 when killed, 2 after an error that went to `errors`."""
    process = CONTEXT.Process(target=_work, args=(run,))
    process.start()
    return process


def finished(run: Run, seconds: float = 120) -> int:
    """Its exit status, once it has ended."""
    process = start(run)
    process.join(seconds)
    status = process.exitcode
    process.kill()
    assert status is not None, "it never ended"
    return status


def acknowledged(log: Path) -> list[dict[str, Any]]:
    """The lines of a log that were written whole."""
    lines = log.read_text().splitlines(keepends=True) if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def digests(table: Any) -> dict[str, list[str]]:
    """By id, the digests of an item's picture and words."""
    rows = table.scan(["id", "image_digest", "said_digest"]).to_pylist()
    assert len({row["id"] for row in rows}) == len(rows), "an id is there twice"
    return {row["id"]: [row["image_digest"].hex(), row["said_digest"].hex()] for row in rows}


def _work(run: Run) -> None:
    os.environ.update(run.environment | {"LANCE_CPU_THREADS": "1"})
    from tests.universe_folders import CountedModel, index
    from vector_universe.errors import UserError
    from vector_universe.index.ingest import embed, finish
    from vector_universe.index.ingest import update as ingest
    from vector_universe.index.search import neighbours
    from vector_universe.index.table.item_table import ItemTable

    if run.file_bytes:
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (run.file_bytes, run.file_bytes))
    embed._CHUNK, ingest._COMMIT_ROWS = 3, 3
    finish.EXACT_UP_TO = neighbours.EXACT_UP_TO = run.exact_up_to
    finish.project = lambda vectors_ND: vectors_ND[:, :2].copy()  # UMAP takes seconds to load
    commits, write, build = 0, ItemTable.commit, finish.build_vector_index

    def commit(table: ItemTable, change: Any) -> Any:
        nonlocal commits
        commits += 1
        if commits == run.before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = write(table, change)
        if run.log is not None:
            table.lance.checkout_latest()
            line = {"generation": table.place.uri.rpartition("/")[2], "items": digests(table)}
            with run.log.open("a") as file:
                file.write(json.dumps(line) + "\n")
        if commits == run.after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def build_vector_index(table: Any, column: str, progress: Any = None) -> None:
        if run.in_index and column == "text":  # the index of the images is there then
            os.kill(os.getpid(), signal.SIGKILL)
        build(table, column, progress)

    ItemTable.commit, finish.build_vector_index = commit, build_vector_index
    try:
        index(run.data, run.out, CountedModel(run.model), **run.options)
    except (UserError, OSError) as error:  # as `vu` does
        if run.errors is None:
            raise
        run.errors.write_text(error.strerror if isinstance(error, OSError) and error.strerror else str(error))
        raise SystemExit(2) from None
