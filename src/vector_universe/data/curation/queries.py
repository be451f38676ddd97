"""The list of queries that people bring, and the file of one that was built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from vector_universe.data.curation.config import MOST_QUERIES
from vector_universe.data.curation.normalise import normalise
from vector_universe.errors import UserError
from vector_universe.folders import replace_text


def read_queries(path: str | Path) -> list[str]:
    """The queries of a file, one a line, normalised, each once, sorted.

    Raises:
        UserError: no such file, not UTF-8, no query in it, or more than 500,000.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: give a file with one query a line") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8") from None
    queries = sorted(set(normalise(pa.array(lines, pa.string())).to_pylist()) - {""})
    if not queries:
        raise UserError(f"{path} has no query: write one a line")
    if len(queries) > MOST_QUERIES:
        raise UserError(f"{path} has {len(queries):,} queries: {MOST_QUERIES:,} are the most")
    return queries


def read_written(path: Path) -> list[str]:
    """The list that `write_queries` wrote."""
    return path.read_text(encoding="utf-8").splitlines()


def write_queries(path: Path, queries: Sequence[str]) -> None:
    """One query a line, for people to read and edit."""
    replace_text(path, "".join(f"{query}\n" for query in queries))
